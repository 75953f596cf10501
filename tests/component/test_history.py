"""The history of a day: what is kept of it, held against the simulated server's own record."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.core.changes import PingFailed, WarmStarted
from ollama_keeper.core.reasons import Failure
from ollama_keeper.report.history import History, recalled
from ollama_keeper.simulator import Simulator
from ollama_keeper.store import Past, Store, open_store
from tests.kit.keeper import HOST, keeping, until, wanted
from tests.kit.virtual import LoopClock

QWEN, LLAMA, LLAVA = "qwen3:8b", "llama3.2:3b", "llava:13b"
INTERVAL_S = 15.0
SOON = 10.0


@contextmanager
def recording(state_dir: Path) -> Iterator[tuple[History, Store]]:
    """A history, and its store, which is closed at the end."""
    store = open_store(state_dir, report=lambda change: pytest.fail(str(change)))
    try:
        yield History(store), store
    finally:
        store.close(SOON)


def given(history: History, store: Store) -> dict[str, Any]:
    return {"store": store, "consumers": [history], "watchers": [history]}


def resident_s(sim: Simulator, model: str, since: float, until_: float) -> float:
    """Seconds in which the server had the model, by its own record of loads and unloads."""
    came = [load.end for load in sim.history.loads(model) if load.end is not None and load.outcome == "loaded"]
    went = [unload.at for unload in sim.history.unloads(model)]
    steps = sorted([(at, 1) for at in came] + [(at, -1) for at in went])
    total, began = 0.0, None
    for at, step in [*steps, (until_, -1)]:
        if step > 0 and began is None:
            began = max(at, since)
        elif step < 0 and began is not None:
            total, began = total + max(min(at, until_) - began, 0.0), None
    return total


def states(past: Past, model: str = QWEN) -> list[str]:
    return [span.state for span in past.spans(model=model)]


def events(past: Past) -> Sequence[str]:
    return [entry.event for entry in past.events()]


async def test_availability_is_what_the_server_says_it_was(sim: Simulator, tmp_path: Path) -> None:
    """An hour with a stop by hand, a guest and a restart: warm seconds as the server's own resident ones."""
    sim.max_loaded(1)
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)):
            await until(lambda: sim.is_resident(QWEN))
            await asyncio.sleep(600)
            sim.unload(QWEN)
            await asyncio.sleep(900)
            await sim.client(LLAVA, prompt="what is this?", tokens=40)
            await asyncio.sleep(900)
            sim.restart(down_s=5)
            await asyncio.sleep(1_200)
            ended = asyncio.get_running_loop().time()
            shares = history.shares(HOST, QWEN, LoopClock().now().wall)
        now = LoopClock().now().wall
    truth_s = resident_s(sim, QWEN, 0.0, ended)
    total = store.past.availability(HOST, QWEN, now).total
    assert total.wanted_s == pytest.approx(ended, abs=INTERVAL_S)
    assert total.warm_s == pytest.approx(truth_s, abs=3 * INTERVAL_S), "an interval a loss"
    assert shares.day == pytest.approx(truth_s / ended, abs=3 * INTERVAL_S / ended)


async def test_spans_follow_the_states_and_leave_no_gap(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)) as keeper:
            await until(lambda: sim.is_resident(QWEN))
            await asyncio.sleep(60)
            keeper.daemon.pause([QWEN], by="me", for_s=600.0, note=None, unload=True)
            await asyncio.sleep(900)
    spans = store.past.spans(model=QWEN)
    told = [span.state for span in spans]
    assert told[-2:] == ["loading", "ready"] or told[-1] == "ready"
    assert "paused" in told
    assert all(one.end == other.begin for one, other in pairwise(spans))
    assert spans[-1].resident


async def test_events_are_those_of_the_log_without_its_debug_lines(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)) as keeper:
            await until(lambda: sim.is_resident(QWEN))
            await asyncio.sleep(3_700)
    logged = [change.event for _, change in keeper.recorder.changes if change.level != "debug"]
    assert events(store.past) == logged
    (ready,) = [entry for entry in store.past.events() if entry.event == "model.ready"]
    assert (ready.server, ready.model, ready.fields["by"]) == (HOST, QWEN, "keeper")
    assert ready.said.startswith(f"{QWEN} on {HOST} is ready")


async def test_while_all_is_well_only_the_summary_of_the_hour_is_appended(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)):
            await until(lambda: sim.is_resident(QWEN))
            await asyncio.sleep(2 * 3_600 + 60)
    told = list(events(store.past))
    assert told[told.index("model.ready") + 1 :] == ["keeper.summary"] * 2 + ["keeper.stopping", "keeper.stopped"]
    assert states(store.past)[-1] == "ready"


async def test_a_second_keeper_goes_on_and_the_time_between_is_unknown(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)):
            await until(lambda: sim.is_resident(QWEN))
            await asyncio.sleep(600)
    stopped = LoopClock().now().wall
    await asyncio.sleep(300)
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)):
            await asyncio.sleep(600)
            older = recalled(store, stopped)
    now = LoopClock().now().wall
    line = store.past.timeline(HOST, QWEN, since=stopped, until=now)
    assert [span.state for span in line] == ["unknown", "ready"]
    assert line[0].seconds == pytest.approx(300, abs=1)
    assert older[HOST, QWEN].shares(stopped).month == pytest.approx(1.0, abs=0.05)


class NoThreadAtFirst(ThreadPoolExecutor):
    """Has no thread to give the first few times, as a machine at its limits."""

    refusals = 3

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.refusals:
            self.refusals -= 1
            raise RuntimeError("can't start new thread")
        return super().submit(*args, **kwargs)


async def test_what_cannot_be_recalled_at_the_start_is_recalled_later(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)):
            await until(lambda: sim.is_resident(QWEN))
            sim.stop()
            await asyncio.sleep(3_600)
    sim.start()
    threads = NoThreadAtFirst()
    asyncio.get_running_loop().set_default_executor(threads)
    with recording(tmp_path) as (history, store):
        recalling = asyncio.create_task(history.run())
        async with keeping(sim, QWEN, **given(history, store)):
            await asyncio.sleep(60)
            assert history.shares(HOST, QWEN, LoopClock().now().wall).month == pytest.approx(1.0, abs=0.1)
            await until(lambda: not threads.refusals, limit_s=300)
            await asyncio.sleep(60)
            assert history.shares(HOST, QWEN, LoopClock().now().wall).month < 0.2
            recalling.cancel()


async def test_clients_uses_are_counted_by_the_minute_and_our_pings_are_not(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, LLAMA, **given(history, store)):
            await until(lambda: sim.is_resident(QWEN) and sim.is_resident(LLAMA))
            await asyncio.sleep(60)
            for _ in range(5):
                await sim.client(QWEN, prompt="hi", tokens=20)
                await asyncio.sleep(120)
            await sim.client(LLAVA, prompt="what is this?", tokens=40)
            await asyncio.sleep(1_200)
    found: dict[tuple[str, str], int] = {}
    for use in store.past.uses():
        found[use.model, use.kind] = found.get((use.model, use.kind), 0) + use.minutes
    assert found == {(QWEN, "pin"): 5, (LLAMA, "pin"): 0, (LLAVA, "guest"): 1}


async def test_a_model_that_is_not_kept_any_more_ends_its_span(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, LLAMA, **given(history, store)) as keeper:
            await until(lambda: sim.is_resident(QWEN) and sim.is_resident(LLAMA))
            await asyncio.sleep(60)
            await keeper.reload({HOST: (wanted(QWEN),)})
            gone = LoopClock().now().wall
            await asyncio.sleep(600)
    (*_, last) = store.past.spans(model=LLAMA)
    assert abs((last.end - gone).total_seconds()) <= 5


async def test_a_clock_set_forward_is_a_gap_and_not_time(sim: Simulator, tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        async with keeping(sim, QWEN, **given(history, store)):
            await until(lambda: sim.is_resident(QWEN))
            await asyncio.sleep(600)
            asyncio.get_running_loop().step_wall(3_600)  # type: ignore[attr-defined]
            await asyncio.sleep(600)
        now = LoopClock().now().wall
    total = store.past.availability(HOST, QWEN, now).total
    assert total.wanted_s == pytest.approx(1_200, abs=INTERVAL_S)


def test_a_flood_of_one_event_is_a_few_lines_and_a_count(tmp_path: Path) -> None:
    with recording(tmp_path) as (history, store):
        begin = datetime(2026, 11, 24, 12, tzinfo=UTC)
        for number in range(1_000):
            change = PingFailed(server="gpu", model="a", took_s=1.0, reason=Failure.RESET)
            history.take(change, begin + timedelta(milliseconds=number))
        history.take(WarmStarted(server="gpu", model="a", attempt=1), begin + timedelta(minutes=2))
    assert [(one.event, one.fields.get("repeated")) for one in store.past.events()][-2:] == [
        ("ping.failed", 994), ("warm.started", None)
    ]  # fmt: skip
