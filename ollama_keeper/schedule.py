"""One APScheduler job a model: the only importer of APScheduler.

Jobs only start work that the servers own, so they run where they fall due: a task for each would cost more than all
that is decided about the model. APScheduler 3 runs on the wall clock, so the trigger never returns a past time and is
dated anew when the clock was stepped; its defaults that drop late runs are switched off (DESIGN 3.3).
"""

import contextvars
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from ollama_keeper.clock import Clock
from ollama_keeper.core.counts import Timing
from ollama_keeper.core.spread import phase

Check = Callable[[], None]
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
OURS = "ollama_keeper"
"""Our scheduler and its executor among others of the same program, in the names of their loggers."""


class Grid(BaseTrigger):
    """Every `step_s` from `anchor` on. However long the gap, missed runs are skipped in one step."""

    __slots__ = ("anchor", "step")

    def __init__(self, anchor: datetime, step_s: float) -> None:
        self.anchor = anchor
        self.step = timedelta(seconds=step_s)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first point of the grid after `now`, whatever came before."""
        del previous_fire_time
        return self.anchor + (1 + (now - self.anchor) // self.step) * self.step

    def turn(self, now: datetime) -> tuple[int, float]:
        """The number of the last point up to `now`, and how many seconds ago that was."""
        number, late = divmod(now - self.anchor, self.step)
        return number, late.total_seconds()


class Schedule:
    """The jobs of all models. The models of one server share a phase, so that one look serves all of them."""

    def __init__(self, clock: Clock) -> None:
        self.timing = Timing()
        self._clock = clock
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, executors={OURS: DebugExecutor()}, logger=_quiet(f"apscheduler.scheduler.{OURS}")
        )
        _quiet(f"apscheduler.executors.{OURS}")
        self._dated = 0  # how often all jobs were dated anew
        self._jobs: dict[tuple[str, str], float] = {}  # with the interval

    def start(self) -> None:
        """Begins to run jobs; needs the running loop."""
        contextvars.Context().run(self._scheduler.start)

    def add(self, server: str, model: str, *, interval_s: float, check: Check) -> None:
        """Runs `check` each `interval_s` from now on, at the phase of its server."""
        self._jobs[server, model] = interval_s
        grid = _grid(server, interval_s)
        contextvars.Context().run(
            self._scheduler.add_job,
            self._timed(check, grid),
            trigger=grid,
            executor=OURS,
            id=_id(server, model),
            replace_existing=True,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    def remove(self, server: str, model: str | None = None) -> None:
        """Ends the job of a model, or of all models of a server; a check that runs goes on."""
        for key in [key for key in self._jobs if key[0] == server and model in {None, key[1]}]:
            del self._jobs[key]
            self._scheduler.remove_job(_id(*key))

    def redate(self) -> None:
        """Dates all jobs anew: to be called when the wall clock was stepped, or the machine slept."""
        self._dated += 1
        for (server, model), interval_s in self._jobs.items():
            self._scheduler.reschedule_job(_id(server, model), trigger=_grid(server, interval_s))

    def stop(self) -> None:
        """Starts no more checks."""
        self._scheduler.shutdown(wait=False)

    def _timed(self, check: Check, grid: Grid) -> Callable[[], None]:
        last, dated = -1, -1

        def run() -> None:
            nonlocal last, dated
            turn, late_s = grid.turn(self._clock.now().wall)
            self.timing.lag_s.take(late_s)
            if dated == self._dated:  # else turns that never were would be missed
                self.timing.missed += max(turn - last - 1, 0)
            last, dated = turn, self._dated
            check()

        return run


def _quiet(name: str) -> logging.Logger:
    """A logger of APScheduler's that tells no line for every check, whatever the program around us logs."""
    logger = logging.getLogger(name)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    return logger


def _id(server: str, model: str) -> str:
    """The same each time a model is added: APScheduler's executor remembers every id for ever."""
    return f"{server!r} {model!r}"


def _grid(server: str, interval_s: float) -> Grid:
    """The grid of one server's jobs: servers are spread over the interval by a hash of their names."""
    return Grid(EPOCH + timedelta(seconds=phase(server, "looks") * interval_s), interval_s)
