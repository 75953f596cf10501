"""Where commands look for the history: their own file, and that of the system's service where no other was named."""

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from ollama_keeper.commands import past
from ollama_keeper.commands.past import NoHistory, history, state_files, state_seen
from ollama_keeper.config import Config, load
from ollama_keeper.store import FILE


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the system's service, which is not there yet; and a user without anything."""
    for name in ("STATE_DIRECTORY", "OLLAMA_KEEPER_CONFIG", "OLLAMA_KEEPER_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(past, "SERVICE", tmp_path / "service")
    return tmp_path / "service"


def by_default(**environ: str) -> Config:
    """The configuration of a user who named nothing but this."""
    return load(path=None, models=(), flags={}, environ={**os.environ, **environ}, models_required=False)


def lie(*folders: Path) -> None:
    """A file of a history lies in each."""
    for folder in folders:
        folder.mkdir()
        (folder / FILE).touch()


def test_the_history_of_the_service_is_found_where_this_user_has_none(service: Path) -> None:
    lie(service)
    assert state_seen(by_default()) == service


def test_the_users_own_history_comes_first(service: Path, tmp_path: Path) -> None:
    own = tmp_path / "own" / "ollama-keeper"
    own.parent.mkdir()
    lie(service, own)
    assert state_seen(by_default()) == own


def test_the_history_of_a_users_service_lies_beside_his_configuration_before_systemd_254(
    service: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    lie(service, tmp_path / "config" / "ollama-keeper")
    assert state_seen(by_default()) == tmp_path / "config" / "ollama-keeper"


def test_a_named_state_dir_is_the_only_one(service: Path, tmp_path: Path) -> None:
    lie(service)
    config = by_default(OLLAMA_KEEPER_STATE_DIR=str(tmp_path / "named"))
    assert state_files(config) == (tmp_path / "named" / FILE,)
    assert state_seen(config) == tmp_path / "named"


def test_without_a_state_dir_there_is_nowhere_to_look(service: Path) -> None:
    lie(service)
    config = by_default(OLLAMA_KEEPER_STATE_DIR="off")
    assert state_files(config) == ()
    assert state_seen(config) is None


def test_a_history_of_the_service_that_may_not_be_read_is_told_with_sudo(
    service: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stat = Path.stat

    def closed(path: Path, **how: bool) -> os.stat_result:
        if path == service / FILE:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(NoHistory), history(None):
        pass
    told = capsys.readouterr().err
    assert (
        f"the history of the system's service, {service / FILE}, cannot be read by this user: permission denied" in told
    )
    assert "sudo" in told
    assert state_seen(by_default()) == by_default().state_dir


def test_a_history_of_the_service_that_cannot_be_opened_is_told_with_sudo(
    service: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lie(service)
    with pytest.raises(NoHistory), history(None):
        raise sqlite3.OperationalError("unable to open database file")
    assert capsys.readouterr().err.endswith("unable to open database file\nTry: the same with sudo\n")
