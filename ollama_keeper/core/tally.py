"""The share of its wanted time in which a model was warm, over the last day and the last 30, kept as it goes.

Sums by hour and by day in a few hundred bytes, so that whoever asks for them needs no disk.
"""

from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from ollama_keeper.core.timeline import Share, Span, share_of

HOUR_S, DAY_S = 3_600, 86_400
HOURS, DAYS = 24, 30


class Shares(NamedTuple):
    """Shares of 0.0 to 1.0 over the last 24 hours and the last 30 days; None where the model was not wanted.

    Each begins with a whole hour or day.
    """

    day: float | None = None
    month: float | None = None


class Tally:
    """Seconds wanted and warm of one model, as far back as 30 days."""

    __slots__ = ("_days", "_hours")

    def __init__(self) -> None:
        self._hours = _Ring(HOUR_S, HOURS)
        self._days = _Ring(DAY_S, DAYS)

    def add(self, at: datetime, share: Share) -> None:
        """Adds what was counted just before `at`."""
        self._hours.add(at.timestamp(), share)
        self._days.add(at.timestamp(), share)

    def add_span(self, span: Span) -> None:
        """Adds what a whole span counts."""
        for ring in (self._hours, self._days):
            for part in _parts(span, ring.size_s):
                ring.add(part.begin.timestamp(), share_of(part))

    def join(self, older: "Tally") -> None:
        """Adds all that another one counted."""
        self._hours.join(older._hours)
        self._days.join(older._days)

    def shares(self, now: datetime) -> Shares:
        """The shares of now."""
        at = now.timestamp()
        return Shares(self._hours.share(at), self._days.share(at))


class _Ring:
    """The last `number` pieces of time of `size_s` seconds each; what is older is forgotten."""

    __slots__ = ("_newest", "_number", "_sums", "_wanted_s", "_warm_s", "size_s")

    def __init__(self, size_s: int, number: int) -> None:
        self.size_s = size_s
        self._number = number
        self._newest: int | None = None
        self._sums = array("d", bytes(16 * number))
        self._wanted_s = self._warm_s = 0.0  # of all pieces

    def add(self, at: float, share: Share) -> None:
        piece = int(at // self.size_s)
        self._turn(piece)
        if self._newest is not None and piece > self._newest - self._number:
            place = 2 * (piece % self._number)
            self._sums[place] += share.wanted_s
            self._sums[place + 1] += share.warm_s
            self._wanted_s += share.wanted_s
            self._warm_s += share.warm_s

    def join(self, older: "_Ring") -> None:
        if older._newest is None:
            return
        for piece in range(older._newest - self._number + 1, older._newest + 1):
            place = 2 * (piece % self._number)
            self.add(piece * self.size_s, Share(older._sums[place], older._sums[place + 1]))

    def share(self, at: float) -> float | None:
        self._turn(int(at // self.size_s))
        return min(self._warm_s / self._wanted_s, 1.0) if self._wanted_s > 0 else None

    def _turn(self, piece: int) -> None:
        """Makes room for a newer piece; an older one, of a clock set back, is added to where it belongs."""
        if self._newest is not None and piece <= self._newest:
            return
        newest = piece if self._newest is None else self._newest
        for gone in range(max(newest + 1, piece - self._number + 1), piece + 1):
            place = 2 * (gone % self._number)
            self._sums[place] = self._sums[place + 1] = 0.0
        self._newest = max(newest, piece)
        self._wanted_s, self._warm_s = sum(self._sums[0::2]), sum(self._sums[1::2])


def _parts(span: Span, size_s: int) -> Iterator[Span]:
    begin, end = span.begin.timestamp(), span.end.timestamp()
    while begin < end:
        cut = min((begin // size_s + 1) * size_s, end)
        yield Span(span.state, span.reason, span.resident, _instant(begin), _instant(cut))
        begin = cut


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
