"""`release`: what ollama-keeper pinned is given back, by the daemon where one runs."""

import getpass
import signal
from pathlib import Path

import pytest

from tests.kit.proc import Simulated, World, free_port, wait_for

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
    assert keeper.until("model.paused")["note"] == "to be released"
    server.looked(2)
    assert len(server.loads()) == 2


def test_a_daemon_without_a_file_gives_back_what_it_was_told_on_its_command_line(
    world: World, server: Simulated
) -> None:
    socket = str(world.home / "control.sock")
    keeper = world.run(QWEN, "--ollama", server.url, "--interval", "1s", OLLAMA_KEEPER_WEB__SOCKET=socket)
    keeper.until("model.ready")
    done = world.do("release", "--all", OLLAMA_KEEPER_WEB__SOCKET=socket)
    assert (done.code, done.err) == (0, "")
    assert f"{QWEN}: no pin; Ollama drops it in" in done.out
    paused = keeper.until("model.paused")
    assert (paused["by"], paused["note"]) == (getpass.getuser(), "to be released")
    assert len(server.loads()) == 1
    unknown = world.do("release", "nope", OLLAMA_KEEPER_WEB__SOCKET=socket)
    assert (unknown.code, unknown.out) == (64, "")
    assert "'nope' is not kept here; there are " in unknown.err


def test_what_a_daemon_without_a_file_left_pinned_is_known_from_its_notes(world: World, server: Simulated) -> None:
    state = str(world.home / "state")
    keeper = world.run(QWEN, "--ollama", server.url, "--interval", "1s", OLLAMA_KEEPER_STATE_DIR=state)
    keeper.until("model.ready")
    keeper.signal(signal.SIGTERM)
    assert keeper.ended() == 0
    assert "forever" in world.do("status", "--ollama", server.url).out
    done = world.do("release", "--all", OLLAMA_KEEPER_STATE_DIR=state)
    assert (done.code, done.err) == (0, "")
    assert f"{QWEN}: no pin; Ollama drops it in" in done.out
    assert len(server.loads()) == 1


def test_a_model_that_is_being_loaded_is_waited_for_and_then_unloaded(world: World) -> None:
    server = world.simulate("--load-time", "4s")
    socket = str(world.home / "control.sock")
    keeper = world.run(QWEN, "--ollama", server.url, "--interval", "1s", OLLAMA_KEEPER_WEB__SOCKET=socket)
    keeper.until("warm.started")
    wait_for(lambda: world.do("reload", OLLAMA_KEEPER_WEB__SOCKET=socket).code == 0)
    done = world.do("release", QWEN, "--unload", OLLAMA_KEEPER_WEB__SOCKET=socket)
    assert done.code == 0, done.err
    assert f"{QWEN}: not in memory" in done.out
    assert [load["outcome"] for load in server.loads()] == ["loaded"]
    assert not server.resident()


def test_beside_a_daemon_that_takes_no_command_nothing_is_given_back_for_it_would_be_pinned_again(
    world: World, server: Simulated, config: str
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    keeper = world.run("-c", config, "--interval", "1s", OLLAMA_KEEPER_WEB__LISTEN=listen)
    keeper.until("model.ready", model=EMBED)
    done = world.do("release", "--all", "-c", config, OLLAMA_KEEPER_WEB__LISTEN=listen)
    assert (done.code, done.out) == (1, "")
    assert f"one answers at {listen}" in done.err
    assert "with sudo" in done.err


def test_a_name_that_is_not_known_and_no_name_at_all_are_told(world: World, config: str) -> None:
    nameless = world.do("release", "-c", config)
    assert nameless.code == 64
    assert "name the models to release" in nameless.err
    assert "'nope' is neither in the configuration" in world.do("release", "nope", "-c", config).err


def test_where_nothing_is_known_it_says_so(world: World) -> None:
    done = world.do("release", "--all")
    assert done.code == 1
    assert "nothing is known here that could be given back" in done.err
