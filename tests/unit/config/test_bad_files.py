"""One small bad file a mistake, beside the exact messages: `tests/config_errors/*.yaml` and `messages.txt` there."""

import os
import re
from collections import defaultdict
from pathlib import Path

import pytest

from ollama_keeper.config import load
from ollama_keeper.errors import ConfigError

FOLDER = Path(__file__).parents[2] / "config_errors"
SECRETS = ("hunter2",)


def table() -> dict[str, list[str]]:
    """The messages of each file, in their order."""
    told = defaultdict(list)
    for line in (FOLDER / "messages.txt").read_text(encoding="utf-8").splitlines():
        told[line.partition(".yaml:")[0]].append(line)
    return told


MESSAGES = table()


def mistakes(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(ConfigError) as caught:
        load(path=Path(f"{name}.yaml"), environ={})
    return str(caught.value).splitlines()


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_bad_file_is_refused_in_these_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mistakes(name, monkeypatch) == MESSAGES[name]


def test_every_file_has_its_messages_and_every_message_its_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(MESSAGES)


def test_no_message_holds_a_secret() -> None:
    text = (FOLDER / "messages.txt").read_text(encoding="utf-8")
    assert any(secret.encode() in path.read_bytes() for path in FOLDER.glob("*.yaml") for secret in SECRETS)
    assert not any(secret in text for secret in SECRETS)


def test_every_mistake_but_those_of_a_whole_file_has_line_and_column() -> None:
    whole = {"alias_bomb", "binary", "empty", "models_missing", "only_comments", "utf16"}
    placed = re.compile(r"\w+\.yaml:\d+:\d+: ")
    assert {name for name, lines in MESSAGES.items() if not all(placed.match(line) for line in lines)} == whole


def test_a_mistake_says_what_to_write() -> None:
    assert all("; " in line for lines in MESSAGES.values() for line in lines)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda path: None,
            "does not exist; write its path, or begin one with ollama-keeper config init",
            id="missing",
        ),
        pytest.param(lambda path: path.mkdir(), "is a folder; name the file in it, such as config.yaml", id="folder"),
        pytest.param(lambda path: path.symlink_to(path), "cannot be read: ", id="link-to-itself"),
        pytest.param(
            lambda path: path.write_bytes(b"#" * (2**20 + 1)),
            "is larger than 1 MiB; is it the configuration file?",
            id="too-large",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_told_by_its_path(make, message: str, tmp_path: Path) -> None:
    path = tmp_path / "keeper.yaml"
    make(path)
    with pytest.raises(ConfigError) as caught:
        load(path=path, environ={})
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    path = tmp_path / "keeper.yaml"
    path.write_text("models: [qwen3:8b]", encoding="utf-8")
    path.chmod(0)
    with pytest.raises(ConfigError, match=r"keeper.yaml: cannot be read: permission denied; let the user"):
        load(path=path, environ={})
