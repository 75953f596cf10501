"""Commands to a running keeper, over its socket."""

import json
import stat
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.kit.proc import Child, Simulated, World, free_port, wait_for

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
    unknown = world.do("pause", MODEL.upper() + "x", **variables)
    assert (unknown.code, unknown.out) == (64, "")
    assert f"is not kept here; did you mean {MODEL}?" in unknown.err
    assert world.do("resume", "other", MODEL, **variables).code == 1
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
    assert done.code == 64
    assert "--all" in done.err


def test_a_socket_that_was_left_behind_is_taken_over(world: World, server: Simulated, tmp_path: Path) -> None:
    control = tmp_path / "control.sock"
    first = started(world, server, control)
    first.close()
    assert control.is_socket()
    second = started(world, server, control)
    assert world.do("reload", OLLAMA_KEEPER_WEB__SOCKET=str(control)).code == 0
    second.close()


def test_with_a_token_commands_are_taken_over_tcp_and_the_token_is_in_no_output(
    world: World, server: Simulated, tmp_path: Path
) -> None:
    address, token = f"127.0.0.1:{free_port()}", "4f1c0a86e2b97d355c8e0f6a1b3d7942"
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    file.chmod(0o644)
    variables = {"OLLAMA_KEEPER_WEB__LISTEN": address, "OLLAMA_KEEPER_WEB__TOKEN_FILE": str(file)}
    keeper = world.run(MODEL, "--ollama", server.url, "--interval", "1s", **variables)
    keeper.until("model.ready")
    assert commanded(address, token, "pause", {"models": [MODEL], "by": "home", "unload": True}) == {
        "models": [MODEL],
        "unknown": [],
    }
    assert keeper.until("model.paused")["by"] == "home"
    keeper.until("model.released")
    answer = commanded(address, token, "warm", {"models": [MODEL]})
    (held,) = answer["held"]
    assert (held["state"], held["paused_by"]) == ("paused", "home")
    assert held["text"].startswith("paused by home ")
    assert held["text"].endswith(f"; to end it: ollama-keeper resume {MODEL}")
    commanded(address, token, "resume", {})
    keeper.until("model.ready")
    with pytest.raises(HTTPError, match="401"):
        commanded(address, "wrong", "resume", {})
    assert keeper.until("control.refused")["failures"] == 1
    assert "everybody on this machine can read" in keeper.errors
    assert token not in json.dumps(keeper.events) + keeper.errors
    keeper.close()


def test_a_token_that_can_be_guessed_ends_the_start_with_78(world: World, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("hunter2")
    done = world.do("run", MODEL, OLLAMA_KEEPER_WEB__TOKEN_FILE=str(file))
    assert done.code == 78
    assert "web.token_file: the token in" in done.err
    assert "hunter2" not in done.err


def commanded(address: str, token: str, command: str, body: dict[str, object]) -> Any:
    headers = {"Authorization": f"Bearer {token}", "X-Ollama-Keeper": "1", "Content-Type": "application/json"}
    request = Request(f"http://{address}/control/{command}", json.dumps(body).encode(), headers, method="POST")
    with build_opener(ProxyHandler({})).open(request, timeout=5) as answer:
        return json.load(answer)
