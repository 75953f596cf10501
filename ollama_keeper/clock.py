"""Wall and monotonic time as one value, and the guard that notices when they part.

`Clock` is the only place that asks the machine for the time; everything else is given an `Instant`.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

from ollama_keeper.core.instant import Instant

STEP_S = 2.0  # beyond this the wall clock was set, or the machine slept; below it is slewing


class Clock(Protocol):
    """Tells the present moment."""

    def now(self) -> Instant:
        """The present moment on both clocks."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        """The present moment on both clocks."""
        return Instant(time.monotonic(), datetime.now(UTC))


def wall_step(before: Instant, after: Instant) -> float | None:
    """Seconds by which the wall clock was stepped between two moments, positive for forward; None when it was not."""
    step = (after.wall - before.wall).total_seconds() - after.since(before)
    return step if abs(step) > STEP_S else None
