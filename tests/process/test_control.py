"""Commands to a running keeper, over its socket."""

import stat
from pathlib import Path

import pytest

from tests.kit.proc import Child, Simulated, World, wait_for

pytestmark = pytest.mark.process
MODEL = "qwen3:8b"


@pytest.fixture
def server(world: World) -> Simulated:
    return world.simulate("--load-time", "0.2s").listens()


def started(world: World, server: Simulated, socket: Path) -> Child:
    keeper = world.run(MODEL, "--ollama", server.url, "--interval", "1s", OLLAMA_KEEPER_WEB__SOCKET=str(socket))
    keeper.until("model.ready")
    return keeper


def test_pause_unload_frees_the_memory_and_resume_brings_the_model_back(
    world: World, server: Simulated, tmp_path: Path
) -> None:
    control = tmp_path / "run" / "control.sock"
    keeper = started(world, server, control)
    assert stat.S_IMODE(control.stat().st_mode) == 0o600
    variables = {"OLLAMA_KEEPER_WEB__SOCKET": str(control)}
    done = world.do("pause", MODEL, "--for", "2h", "--unload", "--reason", "a game\x1b[31m", **variables)
    assert (done.code, done.out) == (0, f"{MODEL}: paused for 2h\n")
    paused = keeper.until("model.paused")
    assert paused["note"] == "a game[31m"
    keeper.until("model.released")
    wait_for(lambda: not server.resident())
    assert world.do("resume", **variables).out == f"{MODEL}: kept again\n"
    keeper.until("model.ready")
    assert world.do("pause", "other", **variables).code == 1
    assert world.do("reload", **variables).code == 0
    keeper.until("config.loaded")
    keeper.close()


def test_without_a_daemon_the_command_says_so_and_ends_with_2(world: World, tmp_path: Path) -> None:
    done = world.do("pause", "--all", OLLAMA_KEEPER_WEB__SOCKET=str(tmp_path / "nobody.sock"))
    assert done.code == 2
    assert "no daemon at" in done.err
    assert "Traceback" not in done.err


def test_a_pause_names_its_models_or_all(world: World) -> None:
    done = world.do("pause")
    assert done.code == 1
    assert "--all" in done.err


def test_a_socket_that_was_left_behind_is_taken_over(world: World, server: Simulated, tmp_path: Path) -> None:
    control = tmp_path / "control.sock"
    first = started(world, server, control)
    first.close()
    assert control.is_socket()
    second = started(world, server, control)
    assert world.do("reload", OLLAMA_KEEPER_WEB__SOCKET=str(control)).code == 0
    second.close()
