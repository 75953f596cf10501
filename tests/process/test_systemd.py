"""What systemd hears of a real keeper, and a loop that hangs."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.proc import World, wait_for

pytestmark = pytest.mark.process

HANGS = """
import asyncio, re, sys, time
run = asyncio.run

def hanging(main, **given):
    async def hang():
        asyncio.get_running_loop().call_later(2, {how})
        return await main
    return run(hang(), **given)

asyncio.run = hanging
from ollama_keeper.__main__ import main
sys.argv[1:] = ["run", "qwen3:8b", "--ollama", "{url}"]
main()
"""
BLOCKED = "time.sleep, 120"
REGEX = "lambda: re.match('(a+)+$', 'a' * 60 + 'b')"


class Manager:
    """Stands in for systemd: a notification socket, and all that was said on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def listen(self) -> list[dict[str, str]]:
        """All datagrams so far."""
        while True:
            try:
                data = self._socket.recv(4_096)
            except BlockingIOError:
                return self.heard
            self.heard.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def hears(self, key: str, value: str | None = None, *, after: int = 0, limit_s: float = 20) -> None:
        """Waits until something was said."""
        wait_for(lambda: any(self._is(one, key, value) for one in self.listen()[after:]), limit_s=limit_s)

    def close(self) -> None:
        self._socket.close()

    @staticmethod
    def _is(said: dict[str, str], key: str, value: str | None) -> bool:
        return key in said and value in {None, said[key]}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def test_systemd_hears_ready_status_reloading_and_stopping(world: World, manager: Manager) -> None:
    server = world.simulate("--load-time", "200ms")
    config = world.home / "keeper.yaml"
    config.write_text(f"ollama: {server.url}\nmodels: [qwen3:8b]\n")
    keeper = world.run("--config", str(config), NOTIFY_SOCKET=str(manager.path))
    manager.hears("READY", "1")
    assert manager.heard[0] == {"READY": "1"}
    manager.hears("STATUS", "1 ready")
    assert all("WATCHDOG" in one for one in manager.heard if "STATUS" in one)
    before = len(manager.heard)
    keeper.signal(signal.SIGHUP)
    manager.hears("RELOADING", "1", after=before)
    manager.hears("READY", "1", after=before)
    reloading = next(one for one in manager.heard if "RELOADING" in one)
    assert 0 < int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    keeper.signal(signal.SIGTERM)
    manager.hears("STOPPING", "1")
    assert keeper.ended() == 0


def test_a_server_that_is_not_there_delays_no_start(world: World, manager: Manager) -> None:
    world.run("qwen3:8b", "--ollama", "http://127.0.0.1:9", NOTIFY_SOCKET=str(manager.path))
    manager.hears("READY", "1")
    manager.hears("STATUS", "1 unknown")


def hanging(world: World, how: str, **variables: str) -> object:
    script = HANGS.format(how=how, url="http://127.0.0.1:9")
    return world.start([sys.executable, "-c", script], OLLAMA_KEEPER_STATE_DIR=str(world.home / "state"), **variables)


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [(BLOCKED, 70), (REGEX, -signal.SIGPROF)], ids=["blocked", "regex"])
def test_fault_D6_a_loop_that_hangs_for_good_ends_the_process_and_leaves_a_trace(
    world: World, manager: Manager, how: str, code: int
) -> None:
    began = time.monotonic()
    child = hanging(world, how, NOTIFY_SOCKET=str(manager.path))
    assert child.ended(limit_s=45) == (code if code > 0 else 128 - code)  # type: ignore[attr-defined]
    assert time.monotonic() - began >= 20
    assert len([one for one in manager.listen() if "WATCHDOG" in one]) == 1, "systemd was fed by a loop that hung"
    assert "most recent call first" in (world.home / "state" / "stalled.txt").read_text()


@pytest.mark.slow
def test_a_process_that_was_stopped_for_a_while_goes_on(world: World) -> None:
    """SIGSTOP, as a suspended machine, is no loop that hangs (FAULTS D3)."""
    server = world.simulate("--load-time", "200ms")
    keeper = world.run("qwen3:8b", "--ollama", server.url, OLLAMA_KEEPER_STATE_DIR=str(world.home / "state"))
    keeper.until("model.ready")
    keeper.signal(signal.SIGSTOP)
    time.sleep(25)
    keeper.signal(signal.SIGCONT)
    server.looked()
    assert keeper.alive
