"""What systemd hears of a real keeper."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.notify import Manager
from tests.kit.proc import World

pytestmark = pytest.mark.process


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
