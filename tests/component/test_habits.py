"""A day beside a cron line and a day alone: what the history of a real keeper makes of it."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from ollama_keeper.core.advice import Hour
from ollama_keeper.core.habits import habits
from ollama_keeper.report.history import History
from ollama_keeper.simulator import Simulator
from ollama_keeper.store import Store, open_store
from tests.kit.keeper import keeping, until, wanted
from tests.kit.virtual import LoopClock

QWEN = "qwen3:8b"
HOURS = 26
FIVE_MINUTES_S = 300.0


def found(store: Store, now: datetime) -> dict[str | None, str]:
    """The findings by model, from the hours of use."""
    hours = [Hour(u.server, u.model, u.hour, u.kind, u.minutes, u.size) for u in store.past.uses()]
    return {finding.model: finding.what for finding in habits(hours, [], now)}


@pytest.mark.parametrize("cron", [True, False], ids=["beside a cron line", "alone"])
async def test_a_cron_line_shows_after_a_day_and_our_own_pings_never(
    sim: Simulator, tmp_path: Path, cron: bool
) -> None:
    store = open_store(tmp_path, report=lambda change: pytest.fail(str(change)))
    history = History(store)
    policy = wanted(QWEN, interval_s=150.0, ping_every_s=1_800.0)
    async with keeping(sim, policy, store=store, consumers=[history], watchers=[history]):
        await until(lambda: sim.is_resident(QWEN))
        for _ in range(HOURS * 12):
            if cron:
                await sim.client(QWEN, prompt="hi", tokens=1)
            await asyncio.sleep(FIVE_MINUTES_S)
        now = LoopClock().now().wall
    store.close(10.0)
    told = found(store, now)
    assert told.keys() == ({QWEN} if cron else set())
    assert all(what.endswith("minutes of each of the last 24 hours, and not by us") for what in told.values())
