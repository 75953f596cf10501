"""keep_alive: its forms, who may send it, and what a request without one does (OLLAMA.md 1, 2)."""

import asyncio

import pytest

from tests.contract.driver import Driver

CENTURY = "876000h"
UNTIL_NOTICED_S = 2.0  # between the server's date and our look
HELLO = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
ONE_TOKEN = {"prompt": "1", "raw": True, "stream": False, "options": {"num_predict": 1}}


@pytest.mark.parametrize("keep_alive", [-1, -0.5, "-1s", "-1m", "-1h30m", CENTURY, "875000h"])
async def test_a_negative_one_pins_and_so_does_a_century(server: Driver, keep_alive: object) -> None:
    await server.load(server.model, keep_alive=keep_alive)
    assert (await server.listed(server.model)).pinned


@pytest.mark.parametrize(
    ("keep_alive", "seconds"),
    [(60, 60), (90.5, 90.5), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("+5m", 300), ("24h", 86400)],
)
async def test_a_positive_one_is_a_lease(server: Driver, keep_alive: object, seconds: float) -> None:
    await server.load(server.model, keep_alive=keep_alive)
    assert seconds - UNTIL_NOTICED_S < (await server.listed(server.model)).remaining_s <= seconds


@pytest.mark.parametrize("keep_alive", [0, 0.0, "0", "0s", "-0s"])
async def test_zero_unloads(server: Driver, keep_alive: object) -> None:
    await server.load(server.model, keep_alive=-1)
    answer = await server.post("/api/generate", model=server.model, keep_alive=keep_alive)
    assert (answer.status_code, answer.json()["done_reason"]) == (200, "unload")
    await server.until_gone(server.model)


@pytest.mark.parametrize("keep_alive", [0.3, "300ms"])
async def test_a_short_lease_ends_by_itself(server: Driver, keep_alive: object) -> None:
    await server.load(server.model, keep_alive=keep_alive)
    await server.until_gone(server.model)


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/api/embed"])
@pytest.mark.parametrize(
    ("keep_alive", "text"),
    [
        ("-1", 'time: missing unit in duration "-1"'),
        ("300", 'time: missing unit in duration "300"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("", 'time: invalid duration ""'),
        (" 5m", 'time: invalid duration " 5m"'),
        ("forever", 'time: invalid duration "forever"'),
        ("2562048h", 'time: invalid duration "2562048h"'),
        (True, "Unsupported type: 'bool'"),
        ([], "Unsupported type: '[]interface {}'"),
        ({}, "Unsupported type: 'map[string]interface {}'"),
    ],
)
async def test_a_wrong_one_is_400_and_loads_nothing(server: Driver, path: str, keep_alive: object, text: str) -> None:
    answer = await server.post(path, model=server.model, keep_alive=keep_alive)
    assert (answer.status_code, answer.json()) == (400, {"error": text})
    assert await server.list_running() == []


async def test_a_wrong_one_leaves_a_pin_alone(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    before = await server.listed(server.model)
    await server.post("/api/generate", model=server.model, keep_alive="1d")
    assert await server.listed(server.model) == before


@pytest.mark.parametrize("body", [{}, {"keep_alive": None}])
async def test_omission_keeps_a_pin(server: Driver, body: dict[str, object]) -> None:
    for name in (server.model, server.embedder):
        await server.load(name, keep_alive=-1)
        assert await server.kept_without_reload(name, **body)


async def test_omission_keeps_a_lease_and_starts_it_anew(server: Driver) -> None:
    await server.load(server.model, keep_alive=90)
    before = await server.listed(server.model)
    await asyncio.sleep(0.3)
    await server.load(server.model)
    after = await server.listed(server.model)
    assert after.expires_at > before.expires_at
    assert after.remaining_s <= 90


async def test_omission_on_a_cold_model_is_the_servers_default(server: Driver) -> None:
    await server.load(server.model)
    assert not (await server.listed(server.model)).pinned


async def test_the_last_writer_wins(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    await server.post("/api/generate", model=server.model, keep_alive=30, **ONE_TOKEN)
    await server.load(server.model)
    assert (await server.listed(server.model)).remaining_s <= 30
    await server.load(server.model, keep_alive=-1)
    assert (await server.listed(server.model)).pinned


async def test_an_answer_with_zero_is_given_and_then_the_model_goes(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    answer = await server.post("/api/generate", model=server.model, keep_alive=0, **ONE_TOKEN)
    assert answer.json()["eval_count"] == 1
    await server.until_gone(server.model)


async def test_embed_with_zero_loads_and_then_unloads(server: Driver) -> None:
    answer = await server.post("/api/embed", model=server.embedder, input=[], keep_alive=0)
    assert answer.text == f'{{"model":"{server.embedder}","embeddings":[]}}'
    await server.until_gone(server.embedder)


# --- /v1 --------------------------------------------------------------------------------------------------------------


async def test_v1_chat_keeps_a_pin(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    before = await server.listed(server.model)
    assert (await server.post("/v1/chat/completions", model=server.model, **HELLO)).status_code == 200
    await server.load(server.model)
    after = await server.listed(server.model)
    assert after.pinned
    assert after.expires_at > before.expires_at


@pytest.mark.parametrize("keep_alive", [0, 5, "1d", True])
async def test_v1_does_not_even_read_a_keep_alive(server: Driver, keep_alive: object) -> None:
    await server.load(server.model, keep_alive=-1)
    answer = await server.post("/v1/chat/completions", model=server.model, keep_alive=keep_alive, **HELLO)
    assert answer.status_code == 200
    assert await server.kept_without_reload(server.model)


async def test_v1_completions_and_embeddings_keep_a_pin(server: Driver) -> None:
    for name in (server.model, server.embedder):
        await server.load(name, keep_alive=-1)
    one = await server.post("/v1/completions", model=server.model, prompt="1", max_tokens=1)
    two = await server.post("/v1/embeddings", model=server.embedder, input="hello")
    assert (one.status_code, two.status_code) == (200, 200)
    assert await server.kept_without_reload(server.model)
    assert await server.kept_without_reload(server.embedder)


# --- unloading --------------------------------------------------------------------------------------------------------


async def test_unloading_what_is_not_loaded_is_200(server: Driver) -> None:
    answer = await server.post("/api/generate", model=server.model, keep_alive=0)
    assert (answer.status_code, answer.json()["done_reason"]) == (200, "unload")
    assert await server.list_running() == []


async def test_generate_unloads_an_embedder_too(server: Driver) -> None:
    await server.load(server.embedder, keep_alive=-1)
    answer = await server.post("/api/generate", model=server.embedder, keep_alive=0)
    assert (answer.status_code, answer.json()["done_reason"]) == (200, "unload")
    await server.until_gone(server.embedder)


async def test_chat_without_messages_unloads(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    answer = await server.post("/api/chat", model=server.model, keep_alive=0)
    assert answer.json()["done_reason"] == "unload"
    await server.until_gone(server.model)
