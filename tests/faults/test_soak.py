"""FAULTS E11: memory over weeks, as `make soak` judges it; and doubles that leak, which it must not call flat."""

import asyncio
import subprocess
import sys
from datetime import datetime
from io import IOBase
from pathlib import Path

import pytest

from bench.soak.grounds import Virtual
from bench.soak.life import Life, Plan, live
from bench.soak.reckoning import reckon
from ollama_keeper.core.changes import Change

pytestmark = pytest.mark.slow

SHORT = Plan(seconds=4_800.0, every_s=200.0)
PIECE = 200_000
SHORT_LIVED = {"memory", "blocks", "store bytes"}  # still warm up in so short a life


@pytest.mark.process
@pytest.mark.timeout(400)
def test_fault_E11_memory_growth_over_weeks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.soak", "--csv", str(tmp_path / "soak.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("· flat")


class Sound(Life):
    """A part of the keeper without a fault."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[object] = []

    def leave(self) -> None:
        """Lets go what it held."""
        for one in self.held:
            if isinstance(one, asyncio.Task):
                one.cancel()
            elif isinstance(one, IOBase):
                one.close()


class LeaksTasks(Sound):
    """Forgets a task at each change."""

    def take(self, change: Change, at: datetime) -> None:
        super().take(change, at)
        self.held.append(asyncio.get_running_loop().create_task(asyncio.sleep(10**9)))


class LeaksMemory(Sound):
    """Remembers too much of each change."""

    def take(self, change: Change, at: datetime) -> None:
        super().take(change, at)
        self.held.append(b"x" * PIECE)


class LeaksDescriptors(Sound):
    """Opens a file at each change."""

    def take(self, change: Change, at: datetime) -> None:
        super().take(change, at)
        self.held.append(Path(__file__).open("rb"))  # noqa: SIM115 - that is the leak


class Breaks(Sound):
    """Fails at each change."""

    def take(self, change: Change, at: datetime) -> None:
        raise ZeroDivisionError


RED: dict[type[Sound], str | None] = {
    Sound: None,
    LeaksTasks: "tasks",
    LeaksMemory: "memory",
    LeaksDescriptors: "descriptors",
    Breaks: None,
}


@pytest.mark.parametrize("kind", RED, ids=lambda kind: kind.__name__.lower())
async def test_a_double_that_leaks_turns_its_figure_red(kind: type[Sound], tmp_path: Path) -> None:
    life, grounds = kind(), Virtual()
    try:
        await live(grounds, tmp_path, SHORT, life, lambda _: None)
    finally:
        life.leave()
        await grounds.close()
    grew = set(reckon(life.samples).grew)
    assert grew - SHORT_LIVED == {RED[kind]} - {None} - SHORT_LIVED
    assert RED[kind] is None or RED[kind] in grew
    assert bool(life.trouble) == (kind is Breaks)
