"""Loads and looks: what is listed when, in which order, and what simultaneous requests get (OLLAMA.md 4, 5)."""

import asyncio

import pytest

from tests.contract.driver import TOLD_S, Driver

TAG = ["name", "model", "modified_at", "size", "digest", "details", "capabilities"]
STARTED_S = 0.1  # after which a load is under way, and none that is worth a test is over
GIVEN_UP_S = 0.5


async def loading(server: Driver) -> asyncio.Task[object]:
    """A load of the first model that has begun; the test is skipped where it is over already."""
    task: asyncio.Task[object] = asyncio.create_task(server.load(server.model, keep_alive=-1))
    await asyncio.sleep(STARTED_S)
    if await server.entry(server.model) is not None:
        await task
        pytest.skip(f"{server.model} loads in less than {STARTED_S} s")
    return task


async def test_a_model_is_listed_once_it_is_loaded(server: Driver) -> None:
    task = await loading(server)
    assert await server.list_running() == []
    await task
    assert (await server.listed(server.model)).pinned


async def test_an_unload_of_a_loading_model_does_nothing(server: Driver) -> None:
    task = await loading(server)
    answer = await server.post("/api/generate", model=server.model, keep_alive=0)
    assert (answer.status_code, answer.json()["done_reason"]) == (200, "unload")
    await task
    assert (await server.listed(server.model)).pinned


async def test_a_client_that_hangs_up_takes_its_load_with_it(server: Driver) -> None:
    task = await loading(server)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(GIVEN_UP_S)
    assert await server.list_running() == []
    await server.load(server.model, keep_alive=-1)
    assert (await server.listed(server.model)).pinned


async def test_a_second_waiter_that_hangs_up_does_no_harm(server: Driver) -> None:
    task = await loading(server)
    second = asyncio.create_task(server.load(server.model))
    await asyncio.sleep(TOLD_S)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await task
    assert (await server.listed(server.model)).pinned


async def test_requests_at_once_are_one_load(server: Driver) -> None:
    answers = await asyncio.gather(*(server.load(server.model, keep_alive=-1) for _ in range(3)))
    assert [answer.json()["done_reason"] for answer in answers] == ["load"] * 3
    assert [entry.pinned for entry in await server.list_running()] == [True]


async def test_loads_of_two_models_at_once_are_both_answered(server: Driver) -> None:
    first, second = server.completions[:2]
    await asyncio.gather(server.load(first, keep_alive=-1), server.load(second, keep_alive=-1))
    assert (await server.listed(first)).pinned
    assert (await server.listed(second)).pinned


async def test_a_load_beside_it_does_not_touch_a_pin(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    before = await server.listed(server.model)
    await server.load(server.completions[1])
    assert await server.listed(server.model) == before


async def test_the_longest_remaining_is_listed_first(server: Driver) -> None:
    first, second = server.completions[:2]
    await server.load(first, keep_alive="5m")
    await server.load(server.embedder, keep_alive="1h")
    await server.load(second, keep_alive=-1)
    dates = [entry.expires_at for entry in await server.list_running()]
    assert len(dates) == 3
    assert dates == sorted(dates, reverse=True)


async def test_sizes_are_told(server: Driver) -> None:
    for name in (server.model, server.embedder):
        await server.load(name)
        raw = (await server.listed(name)).raw
        assert isinstance(raw["size"], int)
        assert isinstance(raw["size_vram"], int)
        assert 0 <= raw["size_vram"] <= raw["size"] > 0


async def test_a_larger_context_takes_more(server: Driver) -> None:
    sizes = []
    for context in (1024, 2048):
        await server.load(server.model, options={"num_ctx": context})
        sizes.append(int(str((await server.listed(server.model)).raw["size"])))
    assert sizes[0] < sizes[1]


async def test_tags_tell_the_kind_and_the_trained_context(server: Driver) -> None:
    await server.load(server.model)
    listed = await server.listed(server.model)
    tags = {tag["name"]: tag for tag in (await server.http.get("/api/tags")).json()["models"]}
    tag = tags[listed.name]
    if not server.since(0, 30, 0):
        assert list(tag) == TAG[:-1]
        return
    assert list(tag) == TAG
    assert "completion" in tag["capabilities"]
    assert tag["details"]["context_length"] == await server.trained_context(server.model)
