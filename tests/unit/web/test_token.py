"""The token of commands over TCP: what is taken for one, and how what is not is told."""

from pathlib import Path

import pytest

from ollama_keeper.errors import ConfigError
from ollama_keeper.web.token import bits, control_token, read_by_others

HEX = b"4f1c0a86e2b97d355c8e0f6a1b3d7942"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_bytes(HEX)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "held", [HEX, HEX.upper(), HEX + b"\r\n", b"Zq3_kT9-xW.aB~1+yU/7pLQ==", b" " + HEX], ids=lambda held: held.decode()
)
def test_a_token_of_128_bits_is_taken_without_the_space_around_it(file: Path, held: bytes) -> None:
    file.write_bytes(held)
    assert control_token(file, "keeper.yaml") == held.strip()


@pytest.mark.parametrize(
    ("held", "what"),
    [
        pytest.param(b"", "holds no token", id="an-empty-file"),
        pytest.param(b"two words " + HEX, "holds no token", id="more-than-one-word"),
        pytest.param(HEX + b"\n" + HEX, "holds no token", id="two-lines"),
        pytest.param("schlüssel".encode() + HEX, "holds no token", id="what-no-header-can-carry"),
        pytest.param(HEX * 1_000, "holds no token", id="a-file-that-is-too-large"),
        pytest.param(HEX[:31], "less than 128 bits", id="a-hexadecimal-digit-too-few"),
        pytest.param(b"correct-horse", "less than 128 bits", id="a-short-one"),
        pytest.param(b"a" * 64, "less than 128 bits", id="one-sign-again-and-again"),
    ],
)
def test_what_can_be_guessed_is_refused_and_not_shown(file: Path, held: bytes, what: str) -> None:
    file.write_bytes(held)
    with pytest.raises(ConfigError) as caught:
        control_token(file, "keeper.yaml")
    message = str(caught.value)
    assert message.startswith("keeper.yaml: web.token_file: ")
    assert what in message
    assert "openssl rand -hex 32" in message
    assert not held or held.decode() not in message


def test_a_file_that_everybody_may_write_is_refused(file: Path) -> None:
    file.chmod(0o666)
    with pytest.raises(ConfigError, match="everybody may write"):
        control_token(file, "keeper.yaml")


def test_a_file_that_everybody_may_read_is_told(file: Path) -> None:
    assert not read_by_others(file)
    file.chmod(0o644)
    assert read_by_others(file)


def test_a_file_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing cannot be read: no such file or directory; let the user"):
        control_token(tmp_path / "nothing", "keeper.yaml")


def test_bits_are_four_a_hexadecimal_digit_and_six_another_sign() -> None:
    assert (bits(b"0123456789abcdef"), bits(b"0123456789abcdeg")) == (64, 96)
