"""A moment: wall and monotonic time as one value.

Spans are measured on the monotonic clock, which no administrator sets; what `/api/ps` says of expiry is wall time. A
function of `core` is given the present moment and never asks for it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """One moment on both clocks.

    Attributes:
        mono: seconds of the monotonic clock; only differences mean anything.
        wall: aware UTC.
    """

    mono: float
    wall: datetime

    def since(self, earlier: "Instant") -> float:
        """Seconds from `earlier` to this moment, on the monotonic clock."""
        return self.mono - earlier.mono

    def later(self, seconds: float) -> "Instant":
        """The moment `seconds` after this one."""
        return Instant(self.mono + seconds, self.wall + timedelta(seconds=seconds))
