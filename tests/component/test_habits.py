"""A day of two models, one of them beside a cron line: what the history of a real keeper makes of it."""

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

QWEN, LLAMA = "qwen3:8b", "llama3.2:3b"
HOURS = 26
FIVE_MINUTES_S = 300.0


def found(store: Store, now: datetime) -> dict[str | None, str]:
    """The findings by model, from the hours of use."""
    hours = [Hour(u.server, u.model, u.hour, u.kind, u.minutes, u.size) for u in store.past.uses()]
    return {finding.model: finding.what for finding in habits(hours, [], now)}


async def test_a_cron_line_shows_after_a_day_and_our_own_pings_never(sim: Simulator, tmp_path: Path) -> None:
    store = open_store(tmp_path, report=lambda change: pytest.fail(str(change)))
    history = History(store)
    policies = [wanted(name, interval_s=150.0, ping_every_s=1_800.0) for name in (QWEN, LLAMA)]
    async with keeping(sim, *policies, store=store, consumers=[history], watchers=[history]):
        await until(lambda: sim.is_resident(QWEN) and sim.is_resident(LLAMA))
        for _ in range(HOURS * 12):
            await sim.client(QWEN, prompt="hi", tokens=1)
            await asyncio.sleep(FIVE_MINUTES_S)
        now = LoopClock().now().wall
    store.close(10.0)
    told = found(store, now)
    assert told.keys() == {QWEN}
    assert told[QWEN].endswith("minutes of each of the last 24 hours, and not by us")
