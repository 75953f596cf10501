"""What was broken once on a real server, so that it stays mended."""

import asyncio

from ollama_keeper.core.facts import Failed
from ollama_keeper.core.reasons import Failure
from ollama_keeper.simulator import Simulator
from tests.component.test_keeping import LLAMA, QWEN, pinned, resident
from tests.component.test_reload import settled
from tests.kit.keeper import HOST, US, keeping, until, wanted
from tests.kit.story import Story, listed
from tests.kit.story import wanted as wished


async def test_two_pins_that_are_shortened_at_once_are_both_restored(sim: Simulator) -> None:
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await settled(sim, keeper, QWEN, LLAMA)
        for name in (QWEN, LLAMA):
            await sim.client(name, prompt="hi", tokens=3, keep_alive="40s")
        await until(lambda: resident(sim, QWEN).pinned and resident(sim, LLAMA).pinned, limit_s=20)
        assert len(sim.history.loads(who=US)) == 2


async def test_a_model_that_a_reload_adds_is_warmed_at_once(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(17)
        await keeper.reload({HOST: (wanted(QWEN), wanted(LLAMA))})
        assert await until(lambda: sim.is_resident(LLAMA)) < 16 + 5
        await settled(sim, keeper, LLAMA)


async def test_a_load_that_died_leaves_no_mark_on_those_that_it_swept_away(sim: Simulator) -> None:
    sim.oom(QWEN)
    await sim.client(LLAMA, keep_alive=-1)
    async with keeping(sim, wanted(QWEN, priority=200), LLAMA) as keeper:
        await until(lambda: "warm.failed" in keeper.events())
        await pinned(sim, LLAMA)
        await settled(sim, keeper, LLAMA)
        assert keeper.state(QWEN) == "backing_off"


def test_a_failed_load_of_the_better_model_is_no_proof_that_the_server_is_full() -> None:
    story = Story((wished("a"), wished("b"))).begins(listed("b"))
    story.opens_warm("a")
    story.at(3).looks()
    assert story.memory.doubt is not None
    (load,) = story.memory.open
    story.at(4)
    story.learns(Failed(load.request, Failure.OUT_OF_MEMORY, 500))
    assert story.memory.doubt is None
    assert story.looks_until(120).loads_next() == "b"


def test_a_kept_model_that_a_client_loads_back_is_not_fought_at_once() -> None:
    story = Story((wished("a"), wished("b"))).begins()
    story.warms("a", 4.0, listed("a", 4 + 9_223_372_036))
    story.at(19).looks(listed("b", 300))
    assert story.model("a").departure.cause == "displaced"
    assert story.loads_next() is None
    assert story.state("a")[0] == "yielding"


def test_a_lost_look_beside_our_own_load_is_no_restart() -> None:
    story = Story((wished("a", priority=200), wished("b"))).begins(listed("b"))
    story.opens_warm("a")
    story.at(3).fails_to_look(Failure.READ_TIMEOUT).at(5).looks()
    assert "server.restarted" not in story.events()
    assert story.last("model.lost").cause == "displaced"


def test_nothing_is_repinned_behind_a_load_that_was_given_up() -> None:
    """The end of a shortened lease may be what frees the scheduler (OLLAMA.md 4.1)."""
    story = Story((wished("a"), wished("b"))).begins()
    story.warms("a", 4.0, listed("a", 4 + 9_223_372_036))
    story.fails_to_warm("b", Failure.LOAD_TIMEOUT, took_s=1_800)
    story.looks_until(1_830, listed("a", 2_100))
    assert story.memory.abandoned is not None
    assert story.finds_idle("a").decides("a").act == "nothing"
