"""`plan` as a process, against a simulated server: what it prints, what it asks, how it ends."""

import json
from collections.abc import Iterator

import pytest

from tests.kit.proc import Simulated, World, free_port, wait_for

pytestmark = pytest.mark.process

QWEN, LLAMA, LLAVA, EMBED, NOWHERE = "qwen3:8b", "llama3.2:3b", "llava:13b", "nomic-embed-text", "mistral:7b"
LOOKS = {"/api/ps", "/api/version", "/api/tags", "/api/show"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    """A server for all tests here: a client's QWEN is resident, with 5 minutes."""
    with World(tmp_path_factory.mktemp("server"), forks=True) as world:
        server = world.simulate("--load-time", "100ms")
        server.befalls("client", model=QWEN, keep_alive="5m")
        wait_for(lambda: QWEN in server.resident())
        yield server


def file_with(world: World, server: str, budget: str) -> str:
    file = world.home / "keeper.yaml"
    file.write_text(
        f"ollama: {server}\nbudget: {budget}\nmodels:\n"
        f"  - {{name: {EMBED}, priority: 200}}\n  - {LLAVA}\n  - {{name: {LLAMA}, required: false}}\n"
    )
    return str(file)


def test_plan_looks_once_and_loads_nothing(world: World, server: Simulated) -> None:
    before = len(server.history()["requests"])
    done = world.do("plan", LLAMA, "--ollama", server.url)
    assert done.code == 0
    asked = server.history()["requests"][before:]
    assert {request["path"] for request in asked} <= LOOKS
    assert sum(request["path"] == "/api/ps" for request in asked) == 1
    assert f"1. warm {LLAMA}" in done.out
    assert "a place for 1 of 1 model, which takes " in done.out
    assert "Without a budget" in done.out
    assert f"evict the first of these that is idle:\n  {QWEN}, {LLAMA}" in done.out


def test_plan_tells_whom_a_budget_leaves_out_and_by_how_much(world: World, server: Simulated) -> None:
    done = world.do("plan", "--config", file_with(world, server.url, "{memory: 9GiB}"))
    assert done.code == 1, "a required model is left out"
    lines = {line.split()[1]: line for line in done.out.splitlines() if line[:1].isdigit()}
    assert "-1 (Forever)" in lines[EMBED]
    assert "to be loaded" in lines[EMBED]
    assert "875000h (Forever)" in lines[LLAVA]
    assert "over by" in lines[LLAVA]
    assert f"- {LLAVA} is left out" in done.out
    assert "Guests take" in done.out


def test_plan_fits_eighty_columns(world: World, server: Simulated) -> None:
    done = world.do("plan", "--config", file_with(world, server.url, "{memory: 9GiB}"))
    assert max(map(len, done.out.splitlines())) <= 80


def test_the_json_of_a_plan_is_one_document_with_a_version(world: World, server: Simulated) -> None:
    done = world.do("plan", "--json", "--config", file_with(world, server.url, "{models: 2}"))
    document = json.loads(done.out)
    assert document["version"] == 1
    (told,) = document["servers"]
    assert [(model["model"], model["chosen"], model["size_from"]) for model in told["models"]] == [
        (EMBED, True, "estimated"),
        (LLAVA, False, "estimated"),
        (LLAMA, False, "estimated"),
    ]
    assert told["guests"][0]["model"] == QWEN
    assert told["steps"][0] == {"do": "warm", "model": EMBED, "because": "first_seen", "in_s": None}


def test_a_size_that_a_keeper_has_learned_goes_before_an_estimate(world: World, server: Simulated) -> None:
    settings = {"OLLAMA_KEEPER_STATE_DIR": str(world.home / "state")}
    assert world.do("warm", EMBED, "--ollama", server.url, **settings).code == 0
    server.befalls("unload", model=EMBED)
    wait_for(lambda: f"{EMBED}:latest" not in server.resident())
    document = json.loads(world.do("plan", EMBED, "--json", "--ollama", server.url, **settings).out)
    assert document["servers"][0]["models"][0]["size_from"] == "learned"


def test_a_model_that_is_not_pulled_has_no_size_and_ends_with_1(world: World, server: Simulated) -> None:
    done = world.do("plan", NOWHERE, "--ollama", server.url)
    assert done.code == 1
    assert "unknown" in done.out
    assert "missing: not pulled" in done.out
    assert f"ollama pull {NOWHERE}" in done.out


def test_without_a_server_plan_ends_with_2(world: World) -> None:
    done = world.do("plan", QWEN, "--ollama", f"http://127.0.0.1:{free_port()}")
    assert done.code == 2
    assert "connect_refused" in done.out


def test_a_plan_of_nothing_ends_with_64_and_says_what_is_missing(world: World) -> None:
    done = world.do("plan")
    assert done.code == 64
    assert "MODEL: is missing" in done.err


def test_a_client_s_load_over_the_budget_stays_as_it_is(world: World, server: Simulated) -> None:
    file = world.home / "small.yaml"
    file.write_text(f"ollama: {server.url}\nbudget: {{memory: 1GiB}}\nmodels: [{QWEN}]\n")
    done = world.do("plan", "--config", str(file))
    assert f"{QWEN} stays as a client has it" in done.out
    assert done.code == 0, "it is resident"
