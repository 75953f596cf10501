"""What contention may cost, by the server's own record: insist ends at the breaker, ours never push each other out."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.core.policy import Contention
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import make_model
from ollama_keeper.store import open_store
from tests.kit.keeper import HOST, US, keeping, until, wanted

QWEN, LLAMA, LLAVA = "qwen3:8b", "llama3.2:3b", "llava:13b"
HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S
LONG = [
    pytest.param(HOUR_S / 2, id="half an hour"),
    pytest.param(DAY_S, id="a day", marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
]
"""Nothing happens any more after the first minutes: the shorter one shows most of it."""


def now() -> float:
    return asyncio.get_running_loop().time()


def our_loads(sim: Simulator, *, since: float = 0.0) -> list[Any]:
    return [load for load in sim.history.loads(who=US) if load.start >= since]


async def displaces(sim: Simulator, *, every_s: float, for_s: float) -> None:
    """A guest that uses another model again and again, where there is room for one."""
    end = now() + for_s
    while now() < end:
        await sim.client(LLAVA, prompt="what is this?", tokens=4)
        await asyncio.sleep(every_s)


# --- insist -----------------------------------------------------------------------------------------------------------


async def test_insist_comes_back_at_once_and_its_third_displacement_opens_the_breaker(sim: Simulator) -> None:
    sim.max_loaded(1)
    sim.load_time(LLAVA, 0.5)  # so quick that no look falls into it
    async with keeping(sim, wanted(QWEN, contention=Contention.INSIST)) as keeper:
        await until(lambda: sim.is_resident(QWEN))
        await asyncio.sleep(30)
        guest = asyncio.ensure_future(displaces(sim, every_s=60, for_s=600))
        await until(lambda: bool(keeper.all("breaker.opened")))
        opened = now()
        lost = sim.history.unloads(QWEN)
        assert len(lost) == 3
        assert len(our_loads(sim)) == 3, "it did not come back at once"
        for unload, load in zip(lost, our_loads(sim)[1:], strict=False):
            assert load.start - unload.at <= 16, "a look, and at once"
        await asyncio.sleep(265)
        assert our_loads(sim, since=opened) == [], "it was warmed while the breaker was open"
        assert len(keeper.all("breaker.opened")) == 1
        assert keeper.state(QWEN) == "backing_off"
        await guest
        await until(lambda: sim.is_resident(QWEN))
        await asyncio.sleep(1)


async def test_a_guest_whose_loads_are_seen_under_way_opens_the_breaker_as_well(sim: Simulator) -> None:
    """CONTRACT 8: after 3 displacements in 10 min. Real guests load for longer than an interval: this is the rule."""
    sim.max_loaded(1)
    sim.load_time(LLAVA, 20)
    async with keeping(sim, wanted(QWEN, contention=Contention.INSIST)) as keeper:
        await until(lambda: sim.is_resident(QWEN))
        await displaces(sim, every_s=45, for_s=1_800)
        assert keeper.all("breaker.opened")
        assert len(our_loads(sim)) <= 8


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_guest_that_never_stops_is_fought_ever_more_seldom(sim: Simulator) -> None:
    sim.max_loaded(1)
    async with keeping(sim, wanted(QWEN, contention=Contention.INSIST)) as keeper:
        await until(lambda: sim.is_resident(QWEN))
        await displaces(sim, every_s=30, for_s=6 * HOUR_S)
        starts = [load.start for load in our_loads(sim)]
        assert len(starts) <= 3 * len(keeper.all("breaker.opened")) + 3
        assert len(starts) <= 24, f"{len(starts)} loads of ours in six hours"
        hour = [start for start in starts if start > now() - 3_600]
        assert len(hour) <= 3


async def test_without_anybody_in_the_way_insist_is_as_quiet_as_yield(sim: Simulator) -> None:
    async with keeping(sim, wanted(QWEN, contention=Contention.INSIST)):
        await asyncio.sleep(HOUR_S)
        assert len(our_loads(sim)) == 1


# --- observe, and guests that stay ------------------------------------------------------------------------------------


async def test_observe_never_warms_and_says_what_displaced_it(sim: Simulator) -> None:
    sim.max_loaded(1)
    await sim.client(QWEN, keep_alive=-1)
    async with keeping(sim, wanted(QWEN, contention=Contention.OBSERVE)) as keeper:
        await asyncio.sleep(60)
        await sim.client(LLAVA, prompt="hi", tokens=4, keep_alive="1m")
        await until(lambda: not any(sim.resident()))
        await asyncio.sleep(HOUR_S)
        assert our_loads(sim) == []
        assert keeper.last("model.lost").displaced_by == LLAVA
        assert keeper.state(QWEN) == "cold"


@pytest.mark.parametrize(
    ("contention", "most"),
    [
        pytest.param(Contention.YIELD, 4, id="yield"),
        pytest.param(Contention.INSIST, 5, id="insist"),
        pytest.param(Contention.OBSERVE, 0, id="observe"),
    ],
)
@pytest.mark.parametrize("long_s", LONG)
async def test_a_guest_that_somebody_pins_again_and_again_is_not_fought(
    sim: Simulator, contention: Contention, most: int, long_s: float
) -> None:
    """A client pins its own model three times: each time it takes the one place."""
    sim.max_loaded(1)
    async with keeping(sim, wanted(QWEN, contention=contention)):
        for _ in range(3):
            await asyncio.sleep(1_200)
            await sim.client(LLAVA, keep_alive=-1)
        began = now()
        await asyncio.sleep(long_s)
        assert len(our_loads(sim)) <= most
        assert len(our_loads(sim, since=began)) <= 1


@pytest.mark.parametrize("long_s", LONG)
async def test_a_pinned_guest_that_nobody_uses_gives_way_once(sim: Simulator, long_s: float) -> None:
    sim.max_loaded(1)
    await sim.client(LLAVA, keep_alive=-1)
    async with keeping(sim, QWEN):
        await until(lambda: sim.is_resident(QWEN))
        await asyncio.sleep(long_s)
        assert len(our_loads(sim)) == 1


# --- ours among themselves --------------------------------------------------------------------------------------------


def crowd(number: int) -> list[str]:
    return [f"model{index:03}" for index in range(number)]


def crowded(number: int, *, room: int) -> Simulator:
    sim = Simulator([make_model(name, load_s=2.0, size=10**8) for name in crowd(number)])
    sim.max_loaded(room)
    return sim


@pytest.mark.parametrize(
    ("number", "long_s"),
    [
        pytest.param(2, HOUR_S / 2, id="two for half an hour"),
        pytest.param(30, 300.0, id="thirty for five minutes"),
        pytest.param(2, DAY_S - 300, id="two for a day", marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
        pytest.param(100, 6 * HOUR_S, id="a hundred for six hours", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
async def test_equal_models_and_one_place_cost_three_loads_and_then_none(number: int, long_s: float) -> None:
    sim = crowded(number, room=1)
    async with keeping(sim, *crowd(number)) as keeper:
        await asyncio.sleep(long_s)
        assert len(our_loads(sim)) <= 3, [load.model for load in our_loads(sim)]
        assert sim.is_resident(crowd(number)[0]), "the highest rank has its place"
        assert len(keeper.all("model.contended")) <= number
        assert len(keeper.all("model.lost")) <= 2
    await sim.close()


async def test_unequal_priorities_end_with_the_best_in_their_places() -> None:
    """Ollama's victim is the one of the shortest keep_alive, which follows the priority (CONTRACT 2.3)."""
    number, room = 20, 3
    sim = crowded(number, room=room)
    models = [wanted(name, priority=number - place) for place, name in enumerate(crowd(number))]
    async with keeping(sim, *models):
        await asyncio.sleep(1_200)
        assert all(sim.is_resident(name) for name in crowd(number)[:room])
        assert len(our_loads(sim)) <= room + 2, [load.model for load in our_loads(sim)]
    await sim.close()


async def test_equal_ones_end_with_the_first_in_their_places_and_no_more_loads() -> None:
    """Equal pins: Ollama evicts by the path of the weights; so the lesser one makes way, or it would stay."""
    number, room = 20, 3
    sim = crowded(number, room=room)
    async with keeping(sim, *crowd(number)):
        await asyncio.sleep(1_200)
        assert len(sim.resident()) == room
        assert all(sim.is_resident(name) for name in crowd(number)[:room])
        assert len(our_loads(sim)) <= room + 2, [load.model for load in our_loads(sim)]
        assert our_loads(sim, since=60) == []
    await sim.close()


async def test_a_lesser_one_makes_way_though_the_server_counts_its_load_as_a_use_for_a_while_yet() -> None:
    """It does as long as it waits for the memory of what it has evicted; an idle test must not take that for a user."""
    number, room = 4, 3
    sim = crowded(number, room=room)
    sim.ends_late(2.0)
    async with keeping(sim, *crowd(number)) as keeper:
        await until(lambda: bool(keeper.all("model.lost")))
        sim.ends_late(0.001)
        await asyncio.sleep(120)
        assert all(sim.is_resident(name) for name in crowd(number)[:room])
        assert len(our_loads(sim)) == room + 2, [load.model for load in our_loads(sim)]
    await sim.close()


@pytest.mark.parametrize("number", [2, 20, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_restarts_of_the_keeper_do_not_try_again(tmp_path: Path, number: int) -> None:
    sim = crowded(number, room=1)
    for _ in range(4):
        store = open_store(tmp_path, report=lambda _: None)
        async with keeping(sim, *crowd(number), store=store):
            await asyncio.sleep(300)
        store.close(5.0)
    assert len(our_loads(sim)) <= 3, [load.model for load in our_loads(sim)]
    assert sim.is_resident(crowd(number)[0])
    await sim.close()


async def test_a_lesser_model_is_not_tried_while_a_better_one_would_have_to_go(sim: Simulator) -> None:
    sim.max_loaded(1)
    models = (wanted(QWEN, priority=200), wanted(LLAMA, contention=Contention.INSIST))
    async with keeping(sim, *models) as keeper:
        await asyncio.sleep(1_800)
        assert [load.model for load in our_loads(sim)] == [QWEN, LLAMA, QWEN]
        assert keeper.state(LLAMA) == "contended", "insist is for guests, not for ours"


async def test_a_model_that_was_stopped_leaves_a_gap_that_is_its_own(sim: Simulator) -> None:
    """Its client may be loading it anew with other options: a lesser one in its place would cost that client twice."""
    sim.max_loaded(1)
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await until(lambda: keeper.state(LLAMA) == "contended" and keeper.state(QWEN) == "ready")
        since = now()
        sim.unload(QWEN)
        await asyncio.sleep(600)
        assert [load.model for load in our_loads(sim, since=since)] == [QWEN]
        assert keeper.state(LLAMA) == "contended"


async def test_what_is_added_waits_for_the_return_of_a_better_one_that_was_stopped(sim: Simulator) -> None:
    """Whoever stopped it may be loading it anew, and would wait behind the load of the other."""
    async with keeping(sim, QWEN) as keeper:
        await until(lambda: keeper.state(QWEN) == "ready")
        since = now()
        sim.unload(QWEN)
        await until(lambda: keeper.state(QWEN) == "cold")
        await keeper.reload({HOST: (wanted(QWEN), wanted(LLAMA))})
        await asyncio.sleep(10)
        assert keeper.state(LLAMA) == "queued"
        await until(lambda: keeper.state(LLAMA) == "ready")
        assert [load.model for load in our_loads(sim, since=since)] == [QWEN, LLAMA]


async def test_a_model_that_is_added_teaches_nothing_of_two_that_do_not_fit(sim: Simulator) -> None:
    sim.max_loaded(1)
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await until(lambda: keeper.state(LLAMA) == "contended" and keeper.state(QWEN) == "ready")
        since = now()
        await keeper.reload({HOST: (wanted(QWEN), wanted(LLAMA), wanted("nomic-embed-text"))})
        await asyncio.sleep(600)
        assert our_loads(sim, since=since) == []


async def test_the_place_of_a_better_model_that_is_paused_goes_to_the_lesser_one(sim: Simulator) -> None:
    sim.max_loaded(1)
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await until(lambda: keeper.state(LLAMA) == "contended" and keeper.state(QWEN) == "ready")
        keeper.daemon.pause((QWEN,), by="root", for_s=None, note=None, unload=True)
        await until(lambda: sim.is_resident(LLAMA), limit_s=300)
