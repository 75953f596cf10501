"""expires_at: what moves it, what does not, and the idle test that rests on it (OLLAMA.md 1, 2, 5.1)."""

import asyncio
from datetime import UTC, datetime

from tests.contract.driver import BETWEEN_LOOKS_S, LONGEST, TOLD_S, Driver

LEASE_S = 1.0


async def test_a_load_only_moves_the_date_of_an_idle_model(server: Driver) -> None:
    for name in (server.model, server.embedder):
        await server.load(name, keep_alive=-1)
        before = await server.listed(name)
        await server.load(name)
        assert (await server.listed(name)).expires_at > before.expires_at


async def test_a_look_does_not_move_it(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    before = await server.listed(server.model)
    await asyncio.sleep(BETWEEN_LOOKS_S)
    assert await server.listed(server.model) == before


async def test_a_pins_date_tells_when_the_last_request_ended(server: Driver) -> None:
    before = datetime.now(UTC)
    await server.load(server.model, keep_alive=-1)
    ended = (await server.listed(server.model)).expires_at - LONGEST
    assert before < ended < datetime.now(UTC)


async def test_the_date_slides_until_the_first_request_has_ended(server: Driver) -> None:
    async with server.generating(server.model, keep_alive=-1):
        first = await server.listed(server.model)
        await asyncio.sleep(BETWEEN_LOOKS_S)
        assert (await server.listed(server.model)).expires_at > first.expires_at
    ended = await server.listed(server.model)
    await asyncio.sleep(BETWEEN_LOOKS_S)
    assert await server.listed(server.model) == ended


async def test_a_load_only_does_not_move_the_date_of_a_busy_model(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    before = await server.listed(server.model)
    async with server.generating(server.model):
        await server.load(server.model)
        assert (await server.listed(server.model)).expires_at == before.expires_at
    assert (await server.listed(server.model)).expires_at > before.expires_at


async def test_a_keep_alive_on_a_busy_model_shows_when_it_is_idle(server: Driver) -> None:
    await server.load(server.model, keep_alive=60)
    async with server.generating(server.model):
        await server.load(server.model, keep_alive=-1)
        assert not (await server.listed(server.model)).pinned
    assert (await server.listed(server.model)).pinned


async def test_a_lease_may_be_past_while_its_model_is_busy(server: Driver) -> None:
    await server.load(server.model, keep_alive=LEASE_S)
    async with server.generating(server.model, keep_alive=LEASE_S):
        await asyncio.sleep(LEASE_S + TOLD_S)
        assert (await server.listed(server.model)).remaining_s < 0
    assert (await server.listed(server.model)).remaining_s > 0
    await server.until_gone(server.model)


async def test_a_renewed_lease_outlives_its_first_end(server: Driver) -> None:
    await server.load(server.model, keep_alive=LEASE_S)
    for _ in range(3):
        await asyncio.sleep(LEASE_S / 2)
        await server.load(server.model)
    await server.listed(server.model)
    await server.until_gone(server.model)


# --- unloading a busy model -------------------------------------------------------------------------------------------


async def test_a_busy_model_is_unloaded_when_it_has_ended(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    async with server.generating(server.model):
        answer = await server.post("/api/generate", model=server.model, keep_alive=0)
        assert (answer.status_code, answer.json()["done_reason"]) == (200, "unload")
        assert (await server.listed(server.model)).remaining_s <= 0
        await asyncio.sleep(TOLD_S)
        await server.listed(server.model)
    await server.until_gone(server.model)


async def test_omission_does_not_keep_a_model_that_is_to_go(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    async with server.generating(server.model):
        await server.post("/api/generate", model=server.model, keep_alive=0)
        await server.load(server.model)
    await server.until_gone(server.model)


async def test_a_pin_cancels_the_unload_of_a_busy_model(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    async with server.generating(server.model):
        await server.post("/api/generate", model=server.model, keep_alive=0)
        await server.load(server.model, keep_alive=-1)
    await asyncio.sleep(TOLD_S)
    assert (await server.listed(server.model)).pinned


# --- the idle test ----------------------------------------------------------------------------------------------------


async def test_an_idle_model_is_told_from_a_busy_one(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    assert await server.is_idle(server.model)
    async with server.generating(server.model):
        assert not await server.is_idle(server.model)
    assert await server.is_idle(server.model)
    assert (await server.listed(server.model)).pinned


async def test_an_idle_lease_is_told_from_a_busy_one(server: Driver) -> None:
    await server.load(server.embedder, keep_alive=60)
    assert await server.is_idle(server.embedder)
    await server.load(server.model, keep_alive=60)
    async with server.generating(server.model):
        assert not await server.is_idle(server.model)


async def test_a_model_in_its_first_request_is_busy(server: Driver) -> None:
    async with server.generating(server.model, keep_alive=-1):
        assert not await server.is_idle(server.model)


async def test_a_model_that_is_to_go_is_busy(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    async with server.generating(server.model):
        await server.post("/api/generate", model=server.model, keep_alive=0)
        assert not await server.is_idle(server.model)
    await server.until_gone(server.model)


async def test_load_only_takes_no_slot(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    async with server.generating(server.model):
        answers = await asyncio.gather(*(server.load(server.model) for _ in range(3)))
        assert [answer.json()["done_reason"] for answer in answers] == ["load"] * 3
