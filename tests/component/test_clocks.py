"""Clocks that are set, and machines that sleep: no stall, no burst of looks, no false loss (FAULTS D1-D3)."""

import asyncio
from typing import Any

import pytest

from ollama_keeper.simulator import Simulator
from tests.component.test_keeping import EMBED, QWEN, pinned
from tests.kit.keeper import US, keeping, wanted

HOUR, WEEK, YEAR = 3_600.0, 7 * 86_400.0, 365.25 * 86_400.0


def step_wall(seconds: float) -> None:
    """An administrator, NTP or a wake from sleep sets the wall clock; the server runs on the same machine."""
    loop: Any = asyncio.get_running_loop()
    loop.step_wall(seconds)


def looks(sim: Simulator, since: float) -> list[float]:
    return [request.at for request in sim.history.requests("/api/ps", who=US) if request.at >= since]


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(-HOUR, id="an-hour-back"),
        pytest.param(HOUR, id="an-hour-forward"),
        pytest.param(YEAR, id="a-year-forward"),
        pytest.param(56 * YEAR, id="from-1970-to-now"),
        pytest.param(-20 * YEAR, id="twenty-years-back"),
        pytest.param(WEEK, id="asleep-for-a-week"),
    ],
)
async def test_a_stepped_clock_neither_stalls_nor_bursts_nor_loses(sim: Simulator, step: float) -> None:
    async with keeping(sim, QWEN, EMBED) as keeper:
        await pinned(sim, QWEN, EMBED)
        await asyncio.sleep(100)
        stepped = asyncio.get_running_loop().time()
        step_wall(step)
        await asyncio.sleep(900)
        seen = looks(sim, stepped)
        gaps = [later - earlier for earlier, later in zip([stepped, *seen], seen, strict=False)]
        assert max(gaps) <= 15 + 5
        assert len(seen) <= 900 / 15 + 3
        assert keeper.events("clock") == ["clock.jumped"]
        assert "model.lost" not in keeper.events()
        assert len(sim.history.loads()) == 2


async def test_after_a_sleep_the_server_is_looked_at_within_five_seconds(sim: Simulator) -> None:
    async with keeping(sim, wanted(QWEN, interval_s=60.0)) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(100)
        woke = asyncio.get_running_loop().time()
        step_wall(WEEK)
        await asyncio.sleep(6)
        assert looks(sim, woke)
        assert keeper.state(QWEN) == "ready"


async def test_a_server_whose_clock_is_an_hour_off_loses_nothing(sim: Simulator) -> None:
    """FAULTS D5: nothing is decided by a date alone."""
    sim.clock_offset(HOUR)
    async with keeping(sim, QWEN, wanted(EMBED, lease_s=120.0)) as keeper:
        await asyncio.sleep(1_800)
        sim.clock_offset(-2 * HOUR)
        await asyncio.sleep(1_800)
        assert len(sim.history.loads()) == 2
        assert "model.lost" not in keeper.events()
        assert "model.repinned" not in keeper.events()
