"""The keeper as it is started, on a server as it is found, and after an end that it did not choose."""

import signal
import sys

import pytest

from tests.kit.proc import Child, Simulated, World, free_port, wait_for

pytestmark = pytest.mark.process

QWEN, EMBED = "qwen3:8b", "nomic-embed-text"
QUICK = ("--load-time", "100ms")
OF_THIS_MACHINE = {"loop.stalled", "clock.jumped"}  # it may be busy with other things

FAILING_CLOCK = """
import datetime, pathlib, sys

class Wall(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        if pathlib.Path(sys.argv[1]).exists():
            raise OSError("the clock is gone")
        return super().now(tz)

datetime.datetime = Wall
from ollama_keeper.cli import cli
cli.main(sys.argv[2:], prog_name="ollama-keeper")
"""


def did_no_harm(server: Simulated, *, loads: int) -> None:
    """What the server's own record says of us."""
    history = server.history()
    assert all(count == 0 for who, count in history["tokens"].items() if who.startswith("ollama-keeper"))
    assert [load["outcome"] for load in server.loads()] == ["loaded"] * loads
    assert not any(load["reload"] for load in server.loads())


def pings(server: Simulated) -> int:
    """Our load-only requests without a keep_alive."""
    return sum("keep_alive" not in request["body"] for request in server.requests("/api/generate"))


def test_one_command_makes_the_models_stay(world: World) -> None:
    server = world.simulate(*QUICK)
    keeper = world.run(QWEN, EMBED, "--ollama", server.url)
    keeper.until("model.ready", model=QWEN)
    keeper.until("model.ready", model=EMBED)
    assert [event for event in keeper.told if event not in OF_THIS_MACHINE] == [
        "keeper.started",
        "config.loaded",
        "server.up",
        "warm.started",
        "model.ready",
        "warm.started",
        "model.ready",
    ]
    assert {name: one["pinned"] for name, one in server.resident().items()} == {QWEN: True, f"{EMBED}:latest": True}
    did_no_harm(server, loads=2)


def test_a_lost_model_is_brought_back(world: World) -> None:
    server = world.simulate(*QUICK)
    keeper = world.run(QWEN, "--ollama", server.url, "--interval", "1s")
    keeper.until("model.ready")
    server.befalls("restart")
    keeper.until("model.lost", cause="server_restarted")
    assert keeper.until("model.ready")["by"] == "keeper"
    assert QWEN in server.resident()


def test_a_server_that_is_not_there_yet_is_waited_for(world: World) -> None:
    port = free_port()
    keeper = world.run(QWEN, "--ollama", f"http://127.0.0.1:{port}")
    assert keeper.until("server.waiting")["reason"] == "connect_refused"
    server = world.simulate(*QUICK, port=port)
    keeper.until("model.ready")
    did_no_harm(server, loads=1)


def test_a_file_the_environment_and_ollama_host_are_used(world: World) -> None:
    server = world.simulate(*QUICK)
    file = world.home / "keeper.yaml"
    file.write_text(f"models:\n  - {QWEN}\n")
    as_ollama_reads_it = server.url.removeprefix("http://")
    keeper = world.run(OLLAMA_KEEPER_CONFIG=str(file), OLLAMA_KEEPER_KEEP_ALIVE="30m", OLLAMA_HOST=as_ollama_reads_it)
    assert keeper.until("config.loaded")["path"] == str(file)
    keeper.until("model.ready")
    (request,) = server.requests("/api/generate")
    assert request["body"]["keep_alive"] == 1_800


def test_a_keeper_that_was_killed_goes_on_without_a_reload(world: World) -> None:
    server = world.simulate(*QUICK)

    def keeper() -> Child:
        return world.run(QWEN, "--ollama", server.url, "--interval", "1s", OLLAMA_KEEPER_PING_EVERY="1s")

    first = keeper()
    first.until("model.ready", by="keeper")
    wait_for(lambda: pings(server) >= 1)
    first.signal(signal.SIGKILL)
    assert first.ended() == 128 + signal.SIGKILL
    before = pings(server)
    keeper().until("model.ready", by="found")
    wait_for(lambda: pings(server) > before)
    did_no_harm(server, loads=1)


def test_a_keeper_whose_background_task_dies_ends_with_70(world: World) -> None:
    """Fault E9: it says which task, and never limps."""
    server = world.simulate(*QUICK)
    flag = world.home / "clock-is-gone"
    keeper = world.start(
        [sys.executable, "-c", FAILING_CLOCK, str(flag), "run", QWEN, "--ollama", server.url, "--interval", "1s"]
    )
    keeper.until("model.ready")
    flag.touch()
    assert keeper.ended() == 70
    assert "the clock is gone" in keeper.events[-1]["error"]
    assert "keeper.broken" in keeper.told
    assert "Traceback" not in keeper.errors
