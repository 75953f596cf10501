"""One APScheduler job a model: the only importer of APScheduler.

Jobs only start work that the servers own. APScheduler 3 runs on the wall clock, so the trigger never returns a past
time and is dated anew when the clock was stepped; its defaults that drop late runs are switched off (DESIGN 3.3).
"""

import contextvars
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from ollama_keeper.core.spread import phase

Check = Callable[[], None]
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


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


class Schedule:
    """The jobs of all models. The models of one server share a phase, so that one look serves all of them."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._revision = 0
        self._jobs: dict[tuple[str, str], tuple[str, float]] = {}

    def start(self) -> None:
        """Begins to run jobs; needs the running loop."""
        contextvars.Context().run(self._scheduler.start)

    def add(self, server: str, model: str, *, interval_s: float, check: Check) -> None:
        """Runs `check` each `interval_s` from now on, at the phase of its server."""
        self._revision += 1
        job_id = f"{server}|{model}@{self._revision}"
        self._jobs[server, model] = (job_id, interval_s)
        contextvars.Context().run(
            self._scheduler.add_job,
            _started(check),
            trigger=_grid(server, interval_s),
            id=job_id,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )

    def remove(self, server: str, model: str | None = None) -> None:
        """Ends the job of a model, or of all models of a server; a check that runs goes on."""
        for key in [key for key in self._jobs if key[0] == server and model in {None, key[1]}]:
            self._scheduler.remove_job(self._jobs.pop(key)[0])

    def redate(self) -> None:
        """Dates all jobs anew: to be called when the wall clock was stepped, or the machine slept."""
        for (server, _), (job_id, interval_s) in self._jobs.items():
            self._scheduler.reschedule_job(job_id, trigger=_grid(server, interval_s))

    def stop(self) -> None:
        """Starts no more checks."""
        self._scheduler.shutdown(wait=False)


def _grid(server: str, interval_s: float) -> Grid:
    """The grid of one server's jobs: servers are spread over the interval by a hash of their names."""
    return Grid(EPOCH + timedelta(seconds=phase(server, "looks") * interval_s), interval_s)


def _started(check: Check) -> Callable[[], object]:
    async def run() -> None:
        check()

    return run
