"""FAULTS D6 and D3 in a real process: a loop that hangs for good, and a process that was stopped for a while."""

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.notify import Manager
from tests.kit.proc import Child, World

pytestmark = [pytest.mark.process, pytest.mark.slow]

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


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def hanging(world: World, how: str, **variables: str) -> Child:
    script = HANGS.format(how=how, url="http://127.0.0.1:9")
    return world.start([sys.executable, "-c", script], OLLAMA_KEEPER_STATE_DIR=str(world.home / "state"), **variables)


@pytest.mark.parametrize(("how", "code"), [(BLOCKED, 70), (REGEX, -signal.SIGPROF)], ids=["blocked", "regex"])
def test_fault_D6_a_loop_that_hangs_for_good_ends_the_process_and_leaves_a_trace(
    world: World, manager: Manager, how: str, code: int
) -> None:
    began = time.monotonic()
    child = hanging(world, how, NOTIFY_SOCKET=str(manager.path))
    assert child.ended(limit_s=45) == (code if code > 0 else 128 - code)
    assert time.monotonic() - began >= 20
    assert len([one for one in manager.listen() if "WATCHDOG" in one]) == 1, "systemd was fed by a loop that hung"
    assert "most recent call first" in (world.home / "state" / "stalled.txt").read_text()


def test_fault_D3_a_process_that_was_stopped_for_a_while_goes_on(world: World) -> None:
    """SIGSTOP, as a suspended machine, is no loop that hangs (FAULTS D3)."""
    server = world.simulate("--load-time", "200ms")
    keeper = world.run("qwen3:8b", "--ollama", server.url, OLLAMA_KEEPER_STATE_DIR=str(world.home / "state"))
    keeper.until("model.ready")
    keeper.signal(signal.SIGSTOP)
    time.sleep(25)
    keeper.signal(signal.SIGCONT)
    server.looked()
    assert keeper.alive
