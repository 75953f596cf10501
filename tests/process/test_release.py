"""`release`: what ollama-keeper pinned is given back, by the daemon where one runs."""

from pathlib import Path

import pytest

from tests.kit.proc import Simulated, World

pytestmark = pytest.mark.process

QWEN, EMBED = "qwen3:8b", "nomic-embed-text"


@pytest.fixture
def server(world: World) -> Simulated:
    return world.simulate("--load-time", "300ms")


@pytest.fixture
def config(world: World, server: Simulated) -> str:
    path = Path(world.home) / "keeper.yaml"
    path.write_text(f"ollama: {server.url}\nmodels: [{QWEN}, {EMBED}]\n")
    return str(path)


def test_without_a_daemon_it_lowers_the_pins_itself_and_remembers_no_pause(
    world: World, server: Simulated, config: str
) -> None:
    state = str(world.home / "state")
    assert world.do("warm", "-c", config, OLLAMA_KEEPER_STATE_DIR=state).code == 0
    assert len(server.loads()) == 2
    done = world.do("release", "--all", "-c", config, OLLAMA_KEEPER_STATE_DIR=state)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("no pin; Ollama drops it in") == 2
    assert len(server.loads()) == 2
    assert len(server.resident()) == 2
    status = world.do("status", "-c", config, OLLAMA_KEEPER_STATE_DIR=state).out
    assert "paused" not in status
    assert "4m" in status


def test_the_daemon_gives_back_and_does_not_pin_again(world: World, server: Simulated, config: str) -> None:
    socket = str(world.home / "control.sock")
    keeper = world.run("-c", config, "--interval", "1s", OLLAMA_KEEPER_WEB__SOCKET=socket)
    keeper.until("model.ready", model=EMBED)
    done = world.do("release", QWEN, "--unload", "-c", config, OLLAMA_KEEPER_WEB__SOCKET=socket)
    assert done.code == 0, done.err
    assert done.out.startswith("by the daemon")
    assert "not in memory" in done.out
    assert keeper.until("model.paused")["note"] == "released"
    server.looked(2)
    assert len(server.loads()) == 2


def test_a_name_that_is_not_configured_and_no_name_at_all_are_told(world: World, config: str) -> None:
    assert "name the models to release" in world.do("release", "-c", config).err
    assert "nope is not in the configuration" in world.do("release", "nope", "-c", config).err
