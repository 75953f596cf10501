"""Where the history is looked for: at this user's own place, then at that of the system's service."""

import sqlite3
from pathlib import Path

import pytest

from ollama_keeper.commands import past
from ollama_keeper.commands.past import NoHistory, history, state_files, state_seen
from ollama_keeper.config import load
from ollama_keeper.config.places import state_dir
from ollama_keeper.store import FILE, open_store


@pytest.fixture(autouse=True)
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of its own, with a place for the service's history; nothing is there yet."""
    for name in ("OLLAMA_KEEPER_CONFIG", "OLLAMA_KEEPER_STATE_DIR", "STATE_DIRECTORY", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own"))
    place = tmp_path / "service"
    monkeypatch.setattr(past, "SERVICE", place)
    return place


def own(tmp_path: Path) -> Path:
    return tmp_path / "own" / "ollama-keeper"


def recorded(folder: Path) -> Path:
    open_store(folder, report=lambda change: pytest.fail(str(change))).close()
    return folder / FILE


def file_found() -> Path:
    with history(None) as (_, found):
        return found.path


def test_the_service_is_told_of_where_this_user_has_no_history(service: Path) -> None:
    assert file_found() == recorded(service)


def test_a_history_of_this_user_comes_first(service: Path, tmp_path: Path) -> None:
    recorded(service)
    assert file_found() == recorded(own(tmp_path))


def test_a_place_that_was_named_is_the_only_one(
    service: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(service)
    monkeypatch.setenv("OLLAMA_KEEPER_STATE_DIR", str(tmp_path / "named"))
    with pytest.raises(NoHistory):
        file_found()
    assert f"no history: {tmp_path}/named/state.db is not there" in capsys.readouterr().err


def test_where_nobody_recorded_anything_the_own_place_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NoHistory):
        file_found()
    assert f"no history: {own(tmp_path)}/state.db is not there\nTry: " in capsys.readouterr().err


def test_a_service_whose_folder_is_not_for_this_user_is_told_with_sudo(
    service: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forbidden(files: tuple[Path, ...]) -> Path:
        raise PermissionError(13, "Permission denied", str(files[-1]))

    monkeypatch.setattr(past, "_first", forbidden)
    with pytest.raises(NoHistory):
        file_found()
    told = capsys.readouterr().err
    assert f"of the system's service, {service}/state.db, cannot be read by this user: permission denied\n" in told
    assert told.endswith("Try: the same with sudo\n")


def test_a_service_whose_file_is_not_for_this_user_is_told_with_sudo(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded(service)
    with pytest.raises(NoHistory), history(None):
        raise sqlite3.OperationalError("unable to open database file")
    assert capsys.readouterr().err.endswith("unable to open database file\nTry: the same with sudo\n")


def test_whoever_looks_at_the_state_looks_at_the_same_file(service: Path, tmp_path: Path) -> None:
    config = load(path=None, environ={"XDG_STATE_HOME": str(tmp_path / "own")}, models_required=False)
    assert config.state_dir == state_dir({"XDG_STATE_HOME": str(tmp_path / "own")}) == own(tmp_path)
    assert state_seen(config) == own(tmp_path)
    recorded(service)
    assert state_files(config) == (own(tmp_path) / FILE, service / FILE)
    assert state_seen(config) == service
