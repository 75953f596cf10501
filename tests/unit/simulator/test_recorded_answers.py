"""Every recorded answer of a real server, byte for byte: brought about in the simulator, asked for, compared."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

from ollama_keeper.simulator import FOREVER, Settings, Simulator, Version
from tests.kit.plugin import BASE_URL
from tests.kit.recorded import Recorded, all_names, recorded, recorded_models, without_chance
from tests.kit.transport import SimTransport

Scene = Callable[[Simulator], Awaitable[None]]
OOM_TEXT = (
    "cudaMalloc failed: out of memory\n"
    "alloc_tensor_range: failed to allocate CUDA0 buffer of size 4294967296\n"
    "error loading model: unable to allocate CUDA0 buffer"
)


async def loaded(sim: Simulator, *names: str, keep_alive: object = -1, apart_s: float = 1.0) -> None:
    """Load models one after the other."""
    for name in names:
        path = "/api/embed" if name == "emb" else "/api/generate"
        assert (await sim.client(name, keep_alive=keep_alive, path=path))[0] == 200
        await asyncio.sleep(apart_s)


async def nothing(_sim: Simulator) -> None:
    """A fresh server."""


async def one_pinned(sim: Simulator) -> None:
    await loaded(sim, "ma")


async def pinned_on_0_24(sim: Simulator) -> None:
    await loaded(sim, "ma")


async def one_leased(sim: Simulator) -> None:
    await loaded(sim, "ma", keep_alive="24h")


async def embedder_pinned(sim: Simulator) -> None:
    await loaded(sim, "emb")


async def contexts(sim: Simulator) -> None:
    await loaded(sim, "mb", "mc", "ma-ctx1024")


async def three(sim: Simulator) -> None:
    await loaded(sim, "ma")
    await loaded(sim, "mb", keep_alive="5m")
    await loaded(sim, "emb", keep_alive="1h")


async def dead(sim: Simulator) -> None:
    await loaded(sim, "ma", "mb")
    sim.kill("ma")
    await asyncio.sleep(1)


async def name_twice(sim: Simulator) -> None:
    sim.alias("ma", "tmp")
    await loaded(sim, "tmp")
    sim.repull("tmp")
    await loaded(sim, "tmp")


async def swept(sim: Simulator) -> None:
    await loaded(sim, "ma", "mb", "mc")
    sim.oom("md")
    assert (await sim.client("md", keep_alive=-1))[0] == 500


async def out_of_memory(sim: Simulator) -> None:
    sim.load_error("md", "out_of_memory", text=OOM_TEXT)


async def crashing(sim: Simulator) -> None:
    sim.load_error("ma", "crash", text="error loading model: tensor data corrupted")


async def stalling(sim: Simulator) -> None:
    sim.load_error("ma", "stall")


async def loading(sim: Simulator) -> None:
    sim.load_time("ma", 3)
    sim.client("ma")
    await asyncio.sleep(1)


async def generating_first(sim: Simulator) -> None:
    sim.client("ma", tokens=200, keep_alive=-1)
    await asyncio.sleep(1)


async def generating(sim: Simulator) -> None:
    await loaded(sim, "ma")
    sim.client("ma", tokens=200)
    await asyncio.sleep(0.1)


async def past(sim: Simulator) -> None:
    await loaded(sim, "ma", keep_alive=1, apart_s=0.1)
    sim.client("ma", tokens=200)
    await asyncio.sleep(1.5)


async def stopping(sim: Simulator) -> None:
    await generating(sim)
    sim.unload("ma")


async def hung(sim: Simulator) -> None:
    sim.max_loaded(1)
    await generating(sim)
    sim.client("mb")
    await asyncio.sleep(0.1)
    sim.client("ma", keep_alive=-1)
    await asyncio.sleep(25)
    assert sim.history.loads("mb:latest") == []


async def unloaded(sim: Simulator) -> None:
    await one_pinned(sim)
    sim.unload("ma")
    await asyncio.sleep(0.002)


async def full(sim: Simulator) -> None:
    sim.load_time("md", 100)
    for _ in range(3):
        sim.client("md")
    await asyncio.sleep(1)


async def dying(sim: Simulator) -> None:
    await loaded(sim, "ma")
    asyncio.get_running_loop().call_later(0.5, sim.kill, "ma")


SCENES: dict[str, Scene] = {
    "chat-unload": one_pinned,
    "embed-empty-input-warm": embedder_pinned,
    "embed-queue-full-503": full,
    "generate-load-crash-500": crashing,
    "generate-load-only": one_pinned,
    "generate-load-only-streamed": one_pinned,
    "generate-load-timeout-500": stalling,
    "generate-oom-500": out_of_memory,
    "generate-oom-500-streaming": out_of_memory,
    "generate-queue-full-503": full,
    "generate-runner-died-500": dying,
    "generate-runner-died-stream": dying,
    "generate-unload": one_pinned,
    "generate-unload-busy": generating,
    "generate-unload-embedder": embedder_pinned,
    "ps-after-oom-sweep": swept,
    "ps-after-unload": unloaded,
    "ps-dead-runner": dead,
    "ps-during-generation": generating_first,
    "ps-during-load": loading,
    "ps-embedder": embedder_pinned,
    "ps-lease": one_leased,
    "ps-lease-past-while-generating": past,
    "ps-num-ctx-parameter": contexts,
    "ps-pinned": one_pinned,
    "ps-same-name-twice": name_twice,
    "ps-scheduler-hung": hung,
    "ps-stopping-busy": stopping,
    "ps-three-models": three,
    "v0.24-generate-load-only": one_pinned,
    "v0.24-ps-during-load": loading,
    "v0.24-ps-pinned": pinned_on_0_24,
    "v1-chat-on-pinned": one_pinned,
    "v1-queue-full": full,
}
QUEUES = {"embed-queue-full-503", "generate-queue-full-503", "v1-queue-full"}


def server_of(case: Recorded, make_sim: Callable[..., Simulator] = Simulator) -> Simulator:
    """A server as the recorded one was."""
    settings = Settings(version=Version(case.version), load_timeout=3 * 10**9)
    if case.name in QUEUES:
        settings = replace(settings, max_queue=2)
    return make_sim(recorded_models(case.version), settings)


async def ask(sim: Simulator, case: Recorded) -> httpx.Response:
    """The recorded request."""
    headers = {"host": "ollama.example.com"} if case.name == "ps-bad-host-403" else {}
    async with httpx.AsyncClient(transport=SimTransport(sim), base_url=BASE_URL, timeout=None) as client:
        return await client.request(case.method, case.path, content=case.sent, headers=headers)


@pytest.mark.parametrize("name", all_names())
async def test_the_answer_is_the_recorded_one(name: str, make_sim: Callable[..., Simulator]) -> None:
    case = recorded(name)
    sim = server_of(case, make_sim)
    await SCENES.get(name, nothing)(sim)
    answer = await ask(sim, case)
    assert answer.status_code == case.status
    assert without_chance(answer.text) == without_chance(case.body)
    for header in ("content-type", "allow"):
        assert answer.headers.get(header) == case.headers.get(header)
    assert ("content-length" in answer.headers) == ("content-length" in case.headers)


def test_a_pinned_date_is_the_last_end_plus_the_longest_duration() -> None:
    assert FOREVER == 9_223_372_036_854_775_807
