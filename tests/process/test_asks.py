"""Commands beside a daemon that was started without a file: they ask it before they ask Ollama."""

import json
import os
import pty
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.kit.proc import Child, Done, Simulated, World, free_port, ours

pytestmark = pytest.mark.process

QWEN, LLAMA = "qwen3:8b", "llama3.2:3b"


class Beside:
    """A keeper of one model with a control socket, and commands that find it there."""

    def __init__(self, world: World, server: Simulated) -> None:
        self._world = world
        self.server = server
        self._places = {
            "OLLAMA_KEEPER_WEB__SOCKET": str(world.home / "control.sock"),
            "OLLAMA_KEEPER_STATE_DIR": str(world.home / "state"),
            "OLLAMA_HOST": server.url,
        }
        self.keeper: Child = world.run(QWEN, "--interval", "1s", **self._places)
        self.keeper.until("model.ready")

    def do(self, *arguments: str, **variables: str) -> Done:
        return self._world.do(*arguments, **self._places, **variables)

    def on_terminal(self, *arguments: str) -> str:
        """All that a command writes to a terminal."""
        ours_end, terminal = pty.openpty()
        child = self._world.start(ours(*arguments), stdout=terminal, TERM="xterm", **self._places)
        os.close(terminal)
        written = b""
        with os.fdopen(ours_end, "rb", buffering=0) as reading, suppress(OSError):  # EIO: the last writer has ended
            while part := reading.read(4096):
                written += part
        child.close()
        return written.decode()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    with World(tmp_path_factory.mktemp("beside"), forks=True) as world:
        yield Beside(world, world.simulate("--load-time", "200ms"))


@pytest.fixture
def paused(beside: Beside) -> Iterator[Beside]:
    assert beside.do("pause", QWEN, "--for", "2h", "--unload", "--reason", "a game").code == 0
    beside.keeper.until("model.released")
    yield beside
    beside.do("resume")
    beside.keeper.until("model.ready")


def test_status_shows_what_the_daemon_keeps_since_when_and_what_comes_next(beside: Beside) -> None:
    done = beside.do("status")
    head, row = (line.split() for line in done.out.splitlines()[:2])
    assert head == ["MODEL", "STATE", "SINCE", "NEXT", "UNTIL", "CONTEXT", "GPU", "SIZE"]
    assert row[:2] == [QWEN, "ready"]
    assert " ping in " in done.out
    assert done.code == 0


def test_status_shows_a_paused_model_with_who_until_when_and_why(paused: Beside) -> None:
    done = paused.do("status")
    assert done.code == 1
    assert done.out.splitlines()[1].split()[:2] == [QWEN, "paused"]
    assert re.search(r" resume in (2h|1h 59m)\b", done.out)
    assert "paused by " in done.out
    assert f"(a game); sooner: ollama-keeper resume {QWEN}" in done.out


def test_status_for_programs_is_what_the_daemon_says(paused: Beside) -> None:
    (row,) = json.loads(paused.do("status", "--json").out)["models"]
    assert (row["state"], row["reason"], row["paused_note"]) == ("paused", "by_command", "a game")
    assert row["paused_until"] is not None
    assert row["next"] == "resume"


def test_status_of_what_the_daemon_does_not_keep_is_what_ollama_has(beside: Beside) -> None:
    done = beside.do("status", LLAMA)
    assert done.code == 1
    assert done.out.splitlines()[1].split()[:2] == [LLAMA, "cold"]
    assert f"the ollama-keeper that runs here does not keep {LLAMA}" in done.out


def test_status_of_another_server_is_not_answered_by_the_daemon(beside: Beside) -> None:
    done = beside.do("status", "--ollama", f"http://127.0.0.1:{free_port()}")
    assert done.code == 2
    assert "the ollama-keeper that runs here keeps another server" in done.out


def test_explain_asks_at_the_socket_where_there_is_no_page(paused: Beside) -> None:
    done = paused.do("explain", QWEN)
    first, second, third = done.out.splitlines()[:3]
    assert " is paused since " in first
    assert second.startswith("Paused by ")
    assert third.startswith(("Next: its pause ends in 2h", "Next: its pause ends in 1h 59m"))


def test_warm_of_a_paused_model_says_at_once_why_not_and_loads_nothing(paused: Beside) -> None:
    loads = len(paused.server.loads())
    done = paused.do("warm", QWEN)
    assert done.code == 1
    assert f": {QWEN}: paused by " in done.out
    assert f"ollama-keeper resume {QWEN}" in done.out
    assert len(paused.server.loads()) == loads


def test_wait_for_a_paused_model_says_why_before_it_waits_and_in_the_end(paused: Beside) -> None:
    done = paused.do("wait", QWEN, "--timeout", "200ms")
    assert done.code == 1
    assert "paused by " in done.err
    assert "not resident in time; paused by " in done.out


def test_warm_has_the_daemon_load_what_it_keeps_and_loads_the_rest_itself(beside: Beside) -> None:
    beside.server.befalls("unload", model=QWEN)
    beside.keeper.until("model.lost")
    done = beside.do("warm", QWEN, LLAMA)
    assert done.code == 0, done.out + done.err
    assert f"{QWEN}: ready: loaded by the daemon" in done.out
    assert f"{LLAMA}: ready: loaded in " in done.out
    assert beside.keeper.until("warm.started")["cause"] == "by_command"
    beside.server.befalls("unload", model=LLAMA)


def test_on_a_terminal_an_outcome_has_a_line_of_its_own_above_what_is_under_way(beside: Beside) -> None:
    beside.server.befalls("unload", model=QWEN)
    beside.keeper.until("model.lost")
    written = beside.on_terminal("warm", QWEN)
    assert f": {QWEN}: loading" in written
    before, _, _ = written.partition(f"{QWEN}: ready: loaded by the daemon")
    assert re.search(r"\x1b\[2K[^a-z]*$", before.rpartition("127.0.0.1")[0]), repr(written)
