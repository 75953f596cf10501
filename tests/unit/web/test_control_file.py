"""Where there are no unix sockets: a file with port and token of a listener on loopback (CONTRACT 2.1)."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.web.asking import NoDaemon, Said, ask
from ollama_keeper.web.control import control_app
from ollama_keeper.web.gate import Gate
from ollama_keeper.web.serving import serve
from ollama_keeper.web.sockets import Control, control, removed, written
from tests.kit.virtual import LoopClock
from tests.unit.web.test_control import Daemon


@asynccontextmanager
async def taking(path: Path, daemon: Daemon) -> AsyncIterator[Control]:
    """A daemon that takes commands at a path, as on Windows."""
    taken = control(path, unix=False)
    assert taken.token is not None
    gate = Gate(taken.token.encode(), now=LoopClock().now, tell=lambda change: None)
    with taken.bound, removed(taken):
        task = asyncio.create_task(serve(control_app(daemon, gate), taken.bound))
        yield taken
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def asked(path: Path, command: str, *, of: Daemon, token: str | None = None) -> dict[str, Any]:
    """The answer to a command, as the blocking client of the command line gets it, beside the daemon's loop."""

    async def both() -> dict[str, Any]:
        async with taking(path, of) as taken:
            if token is not None:
                path.write_text(json.dumps({"port": taken.bound.getsockname()[1], "token": token}))
            return await asyncio.to_thread(ask, path, command, {"models": ["a"]})

    return asyncio.run(both())


def test_a_command_reaches_the_daemon_by_the_file(tmp_path: Path) -> None:
    path, daemon = tmp_path / "run" / "control.sock", Daemon()
    assert asked(path, "warm", of=daemon) == {"models": ["a"], "unknown": [], "held": []}
    assert daemon.told == [("warm", ("a",))]
    assert list(path.parent.iterdir()) == []


def test_without_the_token_of_the_file_nothing_is_taken(tmp_path: Path) -> None:
    daemon = Daemon()
    with pytest.raises(Said, match="no such token"):
        asked(tmp_path / "control.sock", "reload", of=daemon, token="guessed")
    assert daemon.told == []


async def test_only_its_user_can_read_the_file(tmp_path: Path) -> None:
    async with taking(tmp_path / "control.sock", Daemon()):
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600


async def test_the_file_of_a_later_daemon_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with taking(path, Daemon()):
        later = control(path, unix=False)
    assert written(path) == (later.bound.getsockname()[1], later.token)
    later.bound.close()


def test_a_file_that_a_dead_daemon_left_is_no_daemon(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    control(path, unix=False).bound.close()
    with pytest.raises(NoDaemon):
        ask(path, "reload", {})


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"port": "x", "token": ""}', "{", "é"])
def test_what_is_no_such_file_is_no_daemon(tmp_path: Path, text: str) -> None:
    path = tmp_path / "control.sock"
    path.write_text(text, encoding="utf-8")
    assert written(path) is None
    with pytest.raises(NoDaemon):
        ask(path, "reload", {})
