"""`pull: if_missing` with the whole daemon: what the server's record shows of it, minute by minute."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from ollama_keeper.core.calendar import Window
from ollama_keeper.core.policy import Budget, Policy, PullRule
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import make_model
from tests.kit.keeper import PULL, US, Keeper, keeping, touches, until, wanted
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock

GEMMA, QWEN = "gemma3:4b", "qwen3:8b"
GEMMA_BYTES = 3_338_803_304
SLOW = 20_000_000  # bytes a second: 167 s


def missing(name: str = GEMMA, **wishes: Any) -> Policy:
    return wanted(name, pull=PullRule.IF_MISSING, **wishes)


def pulls(sim: Simulator) -> list[Any]:
    return sim.history.requests(PULL, who=US)


async def test_a_missing_model_is_pulled_once_and_then_warmed(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing(), QWEN) as keeper:
        await until(lambda: sim.is_resident(GEMMA))
        await asyncio.sleep(600)
        assert len(pulls(sim)) == 1
        assert pulls(sim)[0].body == {"model": GEMMA}
        assert len(touches(sim, GEMMA)) >= 1
        assert keeper.state(GEMMA) == "ready"
        assert keeper.events("pull", "model.missing")[:2] == ["model.missing", "pull.started"]
        assert keeper.events("pull", "model.missing")[-1] == "pull.finished"
        assert keeper.last("model.missing").hint == "it will be pulled (pull: if_missing)"


async def test_other_models_are_warmed_while_one_is_pulled(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing(), QWEN):
        assert await until(lambda: sim.is_resident(QWEN)) < 10
        assert not sim.is_resident(GEMMA)


async def test_progress_is_told_at_each_tenth_and_each_ten_seconds_at_most(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing()) as keeper:
        await until(lambda: sim.is_resident(GEMMA))
        told = [(at, change) for at, change in keeper.recorder.changes if change.event == "pull.progress"]
        assert 8 <= len(told) <= 10
        gaps = [after - before for (before, _), (after, _) in pairwise(told)]
        assert min(gaps) >= timedelta(seconds=10)
        assert all(change.total_bytes >= change.completed_bytes > 0 for _, change in told)
        done = keeper.last("pull.finished")
        assert done.completed_bytes == done.total_bytes == GEMMA_BYTES - 1_500


async def test_progress_of_a_quick_pull_is_not_told(sim: Simulator) -> None:
    async with keeping(sim, missing()) as keeper:
        await until(lambda: sim.is_resident(GEMMA))
        assert keeper.events("pull") == ["pull.started", "pull.finished"]


async def test_pulls_go_one_at_a_time_by_rank(make_sim: Any) -> None:
    first, second = make_model("first", size=3 * 10**9), make_model("second", size=3 * 10**9)
    sim = make_sim(registry=(first, second))
    async with keeping(sim, missing("second"), missing("first", priority=200)):
        await until(lambda: sim.is_resident("first") and sim.is_resident("second"))
        asked = pulls(sim)
        assert [request.model for request in asked] == ["first", "second"]
        assert asked[1].at >= asked[0].ended


@pytest.mark.parametrize("rule", [PullRule.NEVER, PullRule.IF_MISSING])
async def test_nothing_is_pulled_that_is_there(sim: Simulator, rule: PullRule) -> None:
    async with keeping(sim, wanted(QWEN, pull=rule)):
        await until(lambda: sim.is_resident(QWEN))
        sim.repull(QWEN)
        await asyncio.sleep(1_000)
        assert pulls(sim) == []


async def test_without_the_wish_nothing_is_pulled(sim: Simulator) -> None:
    async with keeping(sim, GEMMA):
        await asyncio.sleep(1_000)
        assert pulls(sim) == []


# --- failures ---------------------------------------------------------------------------------------------------------


async def test_an_unknown_name_is_asked_for_seldom_and_told_with_its_reason(sim: Simulator) -> None:
    async with keeping(sim, missing("no-such-model"), QWEN) as keeper:
        await asyncio.sleep(3_600)
        assert len(pulls(sim)) <= 4
        assert {change.reason for change in keeper.all("pull.failed")} == {"not_in_registry"}
        assert keeper.state("no-such-model") == "missing"
        assert len(keeper.all("model.missing")) == 1


@pytest.mark.parametrize(
    ("text", "reason", "most"),
    [
        pytest.param("pull model manifest: 401: denied", "registry_refused", 4, id="a private model"),
        pytest.param(
            'pull model manifest: Get "https://r/v2": dial tcp: lookup r: no such host',
            "registry_unreachable",
            8,
            id="no way to the registry",
        ),
    ],
)
async def test_a_registry_that_fails_is_asked_again_ever_later(
    sim: Simulator, text: str, reason: str, most: int
) -> None:
    sim.registry(error=text)
    async with keeping(sim, missing()) as keeper:
        await asyncio.sleep(3_600)
        assert 2 <= len(pulls(sim)) <= most
        assert {change.reason for change in keeper.all("pull.failed")} == {reason}
        sim.registry()
        await until(lambda: sim.is_resident(GEMMA), limit_s=7_200)


async def test_a_full_disk_is_told_apart_and_goes_on_once_there_is_room(sim: Simulator) -> None:
    sim.disk(10**9)
    async with keeping(sim, missing()) as keeper:
        await until(lambda: bool(keeper.all("pull.failed")))
        failed = keeper.last("pull.failed")
        assert failed.reason == "disk_full"
        assert "free space" in failed.hint
        assert failed.completed_bytes == pytest.approx(10**9, rel=0.1)
        sim.disk()
        await until(lambda: sim.is_resident(GEMMA))
        assert len(pulls(sim)) == 2


async def test_a_cut_pull_is_asked_for_again_soon_and_goes_on_where_it_was(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing()) as keeper:
        await asyncio.sleep(100)
        sim.restart()
        assert await until(lambda: sim.is_resident(GEMMA)) < 100, "it began anew"
        assert len(pulls(sim)) == 2
        assert [change.reason for change in keeper.all("pull.failed")] == ["reset"]


async def test_a_pull_that_brings_nothing_for_ten_minutes_has_stalled(sim: Simulator) -> None:
    sim.registry(rate=0, tick_s=1.0)
    async with keeping(sim, missing()) as keeper:
        assert 599 < await until(lambda: bool(keeper.all("pull.failed"))) < 605
        assert keeper.last("pull.failed").reason == "pull_stalled"
        sim.registry(rate=10**9)
        await until(lambda: sim.is_resident(GEMMA))


async def test_a_silent_server_has_stalled_too(sim: Simulator) -> None:
    sim.hang(PULL, times=1)
    async with keeping(sim, missing()) as keeper:
        assert 599 < await until(lambda: bool(keeper.all("pull.failed"))) < 605
        await until(lambda: sim.is_resident(GEMMA))


# --- wishes -----------------------------------------------------------------------------------------------------------


async def test_a_stop_of_the_keeper_ends_the_pull_at_once(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing(), QWEN) as keeper:
        await until(lambda: sim.is_resident(QWEN))
        began = LoopClock().now()
    assert LoopClock().now().since(began) < 1
    assert pulls(sim)[0].status == 499
    assert keeper.events("pull") == ["pull.started"]


async def test_the_next_keeper_goes_on_where_it_was(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing()):
        await asyncio.sleep(120)
    async with keeping(sim, missing()):
        assert await until(lambda: sim.is_resident(GEMMA)) < 60


async def test_a_pause_ends_the_pull_and_resume_goes_on(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing()) as keeper:
        await asyncio.sleep(30)
        keeper.daemon.pause((GEMMA,), by="root", for_s=None, note=None, unload=False)
        await asyncio.sleep(300)
        assert pulls(sim)[0].status == 499
        assert keeper.state(GEMMA) == "paused"
        assert len(pulls(sim)) == 1
        keeper.daemon.resume((GEMMA,), by="root")
        assert await until(lambda: sim.is_resident(GEMMA)) < 150


async def test_a_model_that_is_wanted_no_more_is_not_pulled_on(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing(), QWEN) as keeper:
        await asyncio.sleep(30)
        await keeper.reload({"127.0.0.1:11434": (wanted(QWEN),)})
        await asyncio.sleep(300)
        assert pulls(sim)[0].status == 499
        assert len(pulls(sim)) == 1


async def test_outside_its_hours_nothing_is_pulled(sim: Simulator) -> None:
    now = LoopClock().now().wall
    opens = (now.hour * 60 + now.minute + 20) % 1_440
    hours = (Window(frozenset(range(7)), opens, min(opens + 60, 1_440), now.tzinfo),)
    async with keeping(sim, missing(active=hours)) as keeper:
        await asyncio.sleep(900)
        assert keeper.state(GEMMA) == "off_hours"
        assert pulls(sim) == []
        await until(lambda: sim.is_resident(GEMMA), limit_s=7_200)


async def test_over_the_budget_nothing_is_pulled(sim: Simulator) -> None:
    async with keeping(sim, QWEN, missing(), budget=Budget(models=1)) as keeper:
        await asyncio.sleep(600)
        assert pulls(sim) == []
        assert keeper.state(GEMMA) == "missing"


async def test_a_person_s_pull_beside_ours_does_no_harm(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing()) as keeper:
        await asyncio.sleep(30)
        sim.pull(GEMMA)
        assert await until(lambda: sim.is_resident(GEMMA)) < 90
        await asyncio.sleep(300)
        assert keeper.state(GEMMA) == "ready"
        assert len(pulls(sim)) == 1


async def test_the_status_tells_how_far_a_pull_is(sim: Simulator) -> None:
    from ollama_keeper.core.view import model_rows

    sim.registry(rate=SLOW, tick_s=1.0)
    async with keeping(sim, missing()) as keeper:
        await asyncio.sleep(84)
        (row,) = model_rows(keeper.daemon.servers[0].memory, LoopClock().now())
        assert (row.state, row.reason, row.next) == ("missing", "being_pulled", "warm")
        assert row.pulled_fraction == pytest.approx(0.5, abs=0.05)


async def test_two_keepers_that_pull_the_same_do_no_harm(sim: Simulator) -> None:
    sim.registry(rate=SLOW, tick_s=1.0)
    other = Keeper({"127.0.0.1:11434": (missing(),)}, SimTransport(sim))
    other.start()
    await asyncio.sleep(20)
    await other.stop()
    async with keeping(sim, missing()):
        await until(lambda: sim.is_resident(GEMMA))
