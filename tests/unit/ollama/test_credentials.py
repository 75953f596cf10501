"""What goes along with a request: configured headers, tokens, and the mistakes that make them unusable."""

from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.core.address import Address
from ollama_keeper.errors import ConfigError, Mistake
from ollama_keeper.ollama.credentials import hide, request_headers, secrets, tls_context, trusted_file

TOKEN = "s3cr3t-t0ken"


def address(url: str = "https://gpu.example:443", **given: Any) -> Address:
    return Address("gpu", url, **given)


def mistake_of(told: ConfigError) -> Mistake:
    (mistake,) = told.mistakes
    return mistake


def test_configured_headers_stand_over_ours_and_the_token_over_both(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"  {TOKEN}\r\n")
    given = (("User-Agent", "mine"), ("Authorization", "Basic abc"), ("X-Tenant", "a b\tc"), ("X-Empty", ""))
    assert request_headers(address(token_file=file, headers=given), "ollama-keeper/1") == {
        "user-agent": "mine",
        "accept-encoding": "identity",
        "authorization": f"Bearer {TOKEN}",
        "x-tenant": "a b\tc",
        "x-empty": "",
    }


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(None, "cannot be read: No such file", id="absent"),
        pytest.param(b"", "holds no token", id="empty"),
        pytest.param(b" \n\n", "holds no token", id="blank"),
        pytest.param(b"s3cr3t-t0ken\nX-Evil: yes", "holds no token", id="two-lines"),
        pytest.param("s3cr3t-t0ken-\N{EURO SIGN}".encode(), "holds no token", id="not-ascii"),
        pytest.param(b"s3cr3t-t0ken\xff", "not text", id="not-text"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_a_mistake_that_shows_nothing_of_it(
    content: bytes | None, what: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as told:
        request_headers(address(token_file=file), "k")
    mistake = mistake_of(told.value)
    assert (mistake.source, mistake.key) == ("gpu", "token_file")
    assert what in mistake.what
    assert mistake.hint
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        pytest.param(("X Y", "value"), "headers", id="space-in-a-name"),
        pytest.param(("", "value"), "headers", id="no-name"),
        pytest.param(("X-Key", f"{TOKEN}\r\nX-Evil: yes"), "headers.X-Key", id="a-second-header"),
        pytest.param(("X-Key", f"{TOKEN} "), "headers.X-Key", id="space-at-the-end"),
        pytest.param(("X-Key", f"{TOKEN}\N{EURO SIGN}"), "headers.X-Key", id="not-ascii"),
    ],
)
def test_a_header_that_cannot_be_sent_is_a_mistake_that_does_not_show_its_value(
    header: tuple[str, str], key: str
) -> None:
    with pytest.raises(ConfigError) as told:
        request_headers(address(headers=(header,)), "k")
    assert mistake_of(told.value).key == key
    assert TOKEN not in str(told.value)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"], ids=["absent", "empty", "no-certificate"])
@pytest.mark.parametrize("key", ["ca_file", "SSL_CERT_FILE"])
def test_a_file_of_certificates_that_cannot_be_used_is_a_mistake(
    content: bytes | None, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ConfigError) as told:
        tls_context(address(ca_file=file if key == "ca_file" else None))
    assert mistake_of(told.value).key == key
    assert str(file) in mistake_of(told.value).what


def test_the_configured_file_of_certificates_stands_over_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/environment.pem")
    assert trusted_file(address(ca_file=Path("/ours.pem"))) == ("ca_file", "/ours.pem")
    assert trusted_file(address()) == ("SSL_CERT_FILE", "/environment.pem")
    monkeypatch.setenv("SSL_CERT_FILE", "")
    assert trusted_file(address()) == ("SSL_CERT_FILE", None)


def test_a_plain_server_needs_no_certificates(tmp_path: Path) -> None:
    assert tls_context(address("http://127.0.0.1:11434", ca_file=tmp_path / "absent")) is None


def test_secrets_are_hidden_the_longest_first(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    given = address(token_file=file, headers=(("X-Key", f"{TOKEN}-2"), ("X-A", "b")), proxy="http://me:p%40ssword@p:1")
    known = secrets(given, request_headers(given, "k"))
    text = f"{TOKEN}-2 {TOKEN} p%40ssword p@ssword bWU6cEBzc3dvcmQ= b"
    assert hide(text, known) == "[hidden] [hidden] [hidden] [hidden] [hidden] b"


def test_a_proxy_without_a_password_has_no_secret() -> None:
    assert secrets(address(proxy="http://127.0.0.1:3128"), {}) == ()


def test_an_address_shows_neither_its_headers_nor_its_proxy() -> None:
    shown = repr(address(headers=(("X-Key", TOKEN),), proxy=f"http://me:{TOKEN}@p:1"))
    assert TOKEN not in shown
