"""What makes a request reload its model, and what that costs the pin (OLLAMA.md 1, 3).

A reload by a request without keep_alive loses the pin, so that a pin that is still there is a runner left alone.
"""

import asyncio

import pytest

from tests.contract.driver import TOLD_S, Driver

CONTEXT = 2048  # of nobody's default
HELLO = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}

RUNNER_OPTIONS = [
    {"num_ctx": CONTEXT},
    {"num_batch": 256},
    {"num_gpu": 1},
    {"main_gpu": 0},
    {"use_mmap": True},  # without a GPU the default has become False, so that False is no other
    {"num_thread": 1},
    {"draft_num_predict": 3},
]
OTHER_OPTIONS = [
    {"temperature": 0.1, "top_p": 0.5, "top_k": 3, "min_p": 0.1, "typical_p": 0.9, "seed": 7},
    {"repeat_penalty": 1.5, "repeat_last_n": 3, "presence_penalty": 0.1, "frequency_penalty": 0.1},
    {"num_predict": 5, "num_keep": 3, "stop": ["x"]},
    {"no_such_option": 1},
    {"num_gpu": -1},
    {},
]


@pytest.mark.parametrize("options", RUNNER_OPTIONS, ids=lambda options: next(iter(options)))
async def test_another_runner_option_reloads(server: Driver, options: dict[str, object]) -> None:
    await server.load(server.model, keep_alive=-1)
    assert not await server.kept_without_reload(server.model, options=options)


@pytest.mark.parametrize("options", RUNNER_OPTIONS, ids=lambda options: next(iter(options)))
async def test_the_same_runner_option_does_not(server: Driver, options: dict[str, object]) -> None:
    await server.load(server.model, keep_alive=-1, options=options)
    assert await server.kept_without_reload(server.model, options=options)


@pytest.mark.parametrize("options", OTHER_OPTIONS, ids=lambda options: next(iter(options), "none"))
async def test_no_other_option_reloads(server: Driver, options: dict[str, object]) -> None:
    await server.load(server.model, keep_alive=-1)
    assert await server.kept_without_reload(server.model, options=options)


@pytest.mark.parametrize(
    "body", [{"system": "x"}, {"template": "{{ .Prompt }}"}, {"format": "json"}, {"stream": True}, {"shift": True}]
)
async def test_no_other_field_reloads(server: Driver, body: dict[str, object]) -> None:
    await server.load(server.model, keep_alive=-1)
    assert await server.kept_without_reload(server.model, **body)


async def test_shift_reloads_since_there_are_children(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    assert await server.kept_without_reload(server.model, shift=False) != server.since(0, 30, 0)


async def test_an_option_that_is_left_out_reloads_too(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1, options={"num_ctx": CONTEXT})
    assert await server.context(server.model) == CONTEXT
    assert not await server.kept_without_reload(server.model)
    assert await server.context(server.model) != CONTEXT


async def test_a_reload_with_a_keep_alive_has_that(server: Driver) -> None:
    await server.load(server.model, keep_alive=60)
    await server.load(server.model, keep_alive=-1, options={"num_ctx": CONTEXT})
    entry = await server.listed(server.model)
    assert (entry.pinned, entry.context) == (True, CONTEXT)


async def test_a_v1_client_reloads_a_model_of_another_context(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1, options={"num_ctx": CONTEXT})
    assert (await server.post("/v1/chat/completions", model=server.model, **HELLO)).status_code == 200
    await asyncio.sleep(TOLD_S)
    entry = await server.listed(server.model)
    assert (entry.pinned, entry.context == CONTEXT) == (False, False)


async def test_an_unload_needs_no_options(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1, options={"num_ctx": CONTEXT})
    await server.post("/api/generate", model=server.model, keep_alive=0)
    await server.until_gone(server.model)


async def test_without_a_gpu_the_default_is_not_mapped(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    if (await server.listed(server.model)).raw["size_vram"] or not server.since(0, 30, 0):
        pytest.skip("a server with a GPU, or one that maps by default")
    assert await server.kept_without_reload(server.model, options={"use_mmap": False})
    assert await server.kept_without_reload(server.model)


async def test_an_explicit_mapping_is_no_default(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1, options={"use_mmap": False})
    assert not await server.kept_without_reload(server.model)


# --- contexts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"num_ctx": CONTEXT}], ids=["default", "chosen"])
async def test_the_listed_context_may_be_sent_back(server: Driver, options: dict[str, object]) -> None:
    await server.load(server.model, keep_alive=-1, options=options)
    context = await server.context(server.model)
    assert await server.kept_without_reload(server.model, options={"num_ctx": context})


async def test_more_than_the_trained_context_is_listed_as_that(server: Driver) -> None:
    trained = await server.trained_context(server.model)
    await server.load(server.model, keep_alive=-1, options={"num_ctx": 2 * trained})
    assert await server.context(server.model) == trained
    assert await server.kept_without_reload(server.model, options={"num_ctx": trained}) == server.since(0, 30, 0)


async def test_a_context_of_nothing_is_one_of_four_tokens(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1, options={"num_ctx": 0})
    assert await server.context(server.model) == 4


async def test_the_context_of_a_small_embedder_may_not_be_sent_back(server: Driver) -> None:
    await server.load(server.embedder, keep_alive=-1)
    context = await server.context(server.embedder)
    assert await server.kept_without_reload(server.embedder, options={"num_ctx": context}) == (context >= 2048)


async def test_an_embedder_with_the_options_of_its_load_is_left_alone(server: Driver) -> None:
    await server.load(server.embedder, keep_alive=-1, options={"num_ctx": 256})
    assert await server.context(server.embedder) == 256
    assert await server.kept_without_reload(server.embedder, options={"num_ctx": 256})
    assert not await server.kept_without_reload(server.embedder)


# --- busy models ------------------------------------------------------------------------------------------------------


async def test_a_reload_waits_for_the_generation_and_so_do_cold_loads(server: Driver) -> None:
    await server.load(server.model, keep_alive=-1)
    async with server.generating(server.model):
        reload = asyncio.create_task(server.load(server.model, options={"num_ctx": CONTEXT}))
        await asyncio.sleep(TOLD_S)
        cold = asyncio.create_task(server.load(server.completions[1]))
        await asyncio.sleep(TOLD_S)
        assert await server.kept_without_reload(server.model)
        assert not reload.done()
        assert not cold.done()
        assert await server.entry(server.completions[1]) is None
    await asyncio.gather(reload, cold)
    assert await server.context(server.model) == CONTEXT
    assert await server.entry(server.completions[1]) is not None
