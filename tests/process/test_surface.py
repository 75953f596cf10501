"""The status surface of a real keeper: addresses that are taken, and the health check of a container."""

import json
import socket
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.kit.proc import LIMIT_S, World, free_port, ours, wait_for

pytestmark = pytest.mark.process


@pytest.fixture
def taken() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]  # type: ignore[misc]


def test_a_chosen_address_that_is_taken_ends_with_1_and_names_it(world: World, taken: int) -> None:
    """FAULTS E6."""
    done = world.do("run", "qwen3:8b", OLLAMA_KEEPER_WEB__LISTEN=f"127.0.0.1:{taken}")
    assert done.code == 1
    assert f"127.0.0.1:{taken} cannot be listened on" in done.err
    assert "Traceback" not in done.err


def test_the_health_check_is_0_while_the_keeper_lives_and_1_after(world: World) -> None:
    address = f"127.0.0.1:{free_port()}"
    keeper = world.run("qwen3:8b", "--ollama", "http://127.0.0.1:9", OLLAMA_KEEPER_WEB__LISTEN=address)
    keeper.until("server.waiting")
    live = world.do("healthcheck", OLLAMA_KEEPER_WEB__LISTEN=address)
    assert (live.code, live.out) == (0, "live\n")
    keeper.close()
    dead = world.do("healthcheck", "--url", f"http://{address}")
    assert dead.code == 1
    assert "not live" in dead.err


def test_the_health_check_imports_no_click_and_no_http_library(world: World, tmp_path: Path) -> None:
    done = world.do("healthcheck", OLLAMA_KEEPER_WEB__LISTEN="127.0.0.1:9", PYTHONPROFILEIMPORTTIME="1")
    assert done.code == 1
    assert not {"click", "http.client", "httpx", "starlette", "pydantic"} & {
        line.rpartition("|")[2].strip() for line in done.err.splitlines()
    }


def test_status_watch_prints_again_when_something_has_changed(world: World) -> None:
    server = world.simulate("--load-time", "0.2s").listens()
    watch = world.start(ours("status", "qwen3:8b", "--watch", "--ollama", server.url))
    lines = iter(watch.line, None)
    assert any("cold" in line for line in lines)
    world.do("warm", "qwen3:8b", "--ollama", server.url)
    assert any("ready" in line for line in lines)
    watch.close()


def test_the_page_and_what_it_reads_are_answered_by_a_real_keeper(world: World, tmp_path: Path) -> None:
    """Live events, the history as it was written, and the availability that was counted since."""
    server = world.simulate("--load-time", "0.2s").listens()
    address = f"127.0.0.1:{free_port()}"
    variables = {"OLLAMA_KEEPER_WEB__LISTEN": address, "OLLAMA_KEEPER_STATE_DIR": str(tmp_path / "state")}
    keeper = world.run("qwen3:8b", "--ollama", server.url, "--interval", "1s", **variables)
    keeper.until("model.ready")
    assert "<title>ollama-keeper</title>" in asked(address, "/")
    assert json.loads(asked(address, "/about"))["control"] is False
    with build_opener(ProxyHandler({})).open(f"http://{address}/events", timeout=LIMIT_S) as stream:
        server.befalls("unload", model="qwen3:8b")
        told = next(line for line in stream if line.startswith(b"data: "))
    assert json.loads(told.removeprefix(b"data: "))["event"] == "model.lost"
    wait_for(lambda: json.loads(asked(address, "/status"))["models"][0]["warm_day"] is not None)
    wait_for(lambda: losses(address) == ["unloaded"])
    (past,) = json.loads(asked(address, "/history"))["models"]
    assert "cold" in {state for _, _, state in past["spans"]}
    keeper.close()


def asked(address: str, path: str) -> str:
    with build_opener(ProxyHandler({})).open(f"http://{address}{path}", timeout=LIMIT_S) as answer:
        text: str = answer.read().decode()
        return text


def losses(address: str) -> list[str]:
    """Causes of the losses that the history tells."""
    models = json.loads(asked(address, "/history"))["models"]
    return [loss["cause"] for model in models for loss in model["losses"]]
