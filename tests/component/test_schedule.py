"""The jobs of models in virtual time: what is left of those that ended, and which turns were missed."""

import asyncio
from typing import Any

import pytest

from ollama_keeper.schedule import OURS, Schedule
from tests.kit.virtual import LoopClock


@pytest.fixture
async def schedule() -> Schedule:
    return Schedule(LoopClock())


async def test_a_model_that_is_added_anew_again_and_again_leaves_nothing_behind(schedule: Schedule) -> None:
    """The executor of APScheduler keeps each id that ever ran."""
    runs: list[float] = []
    schedule.start()
    for _ in range(100):
        schedule.add("box", "qwen3:8b", interval_s=15.0, check=lambda: runs.append(0.0))
        await asyncio.sleep(15)
        schedule.remove("box", "qwen3:8b")
    scheduler: Any = schedule._scheduler
    assert len(runs) == 100
    assert len(scheduler._executors[OURS]._instances) == 1
    schedule.stop()


async def test_turns_that_were_slept_over_are_missed_and_those_of_another_date_are_not(schedule: Schedule) -> None:
    schedule.start()
    schedule.add("box", "qwen3:8b", interval_s=15.0, check=lambda: None)
    await asyncio.sleep(60)
    loop: Any = asyncio.get_running_loop()
    loop.step_wall(3_600)
    schedule.redate()
    await asyncio.sleep(60)
    assert schedule.timing.missed == 0
    loop.step_wall(60)
    await asyncio.sleep(60)
    assert schedule.timing.missed == 4
    schedule.stop()
