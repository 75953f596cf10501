"""What the shell counts of its own work, from its beginning: plain numbers that only grow, for whoever asks."""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field

from ollama_keeper.core.reasons import Failure

LOOK_BOUNDS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0)
LAG_BOUNDS_S = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0)
MINUTE_OF_BEATS = 12


class Histogram:
    """How often something took how long.

    Args:
        bounds: upper ends of the classes, seconds, ascending; beyond the last is one more class.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def take(self, value: float) -> None:
        """Counts one; a value on a bound belongs to the class that ends there."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass(slots=True)
class Counts:
    """What the shell of one server did.

    Attributes:
        looks: `GET /api/ps`; `look_s` how long those that were answered took.
        look_failures: those that were not, and those that were not sent because `/api/version` did not answer either.
    """

    checks: int = 0
    looks: int = 0
    pings: int = 0
    look_failures: dict[Failure, int] = field(default_factory=dict)
    look_s: Histogram = field(default_factory=lambda: Histogram(LOOK_BOUNDS_S))

    def look_failed(self, reason: Failure) -> None:
        """Counts a look without an answer."""
        self.look_failures[reason] = self.look_failures.get(reason, 0) + 1


@dataclass(slots=True)
class Timing:
    """How well the daemon keeps its times.

    Attributes:
        lag_s: of the jobs of the schedule, how late each began.
        missed: jobs that were not begun because their time was over when the next one's came.
        beats: how late the last beats of the pulse were, those of one minute.
    """

    lag_s: Histogram = field(default_factory=lambda: Histogram(LAG_BOUNDS_S))
    missed: int = 0
    beats: deque[float] = field(default_factory=lambda: deque(maxlen=MINUTE_OF_BEATS))

    @property
    def loop_lag_s(self) -> float:
        """How late the loop was at most, within the last minute."""
        return max(self.beats, default=0.0)
