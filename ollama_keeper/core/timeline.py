"""How a model was, stretch by stretch, and what share of the time it was wanted it was warm.

**Wanted** is a model while it is to be kept: in every state but `refused`, `paused`, `off_hours` and `over_budget`.
**Warm** it is while it could answer: `ready` or `degraded`, as `/readyz` says. A server that is down is wanted and not
warm. What nobody saw counts as neither: the states `unknown` for other reasons, and while the keeper did not run.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta, tzinfo

from ollama_keeper.core.reasons import Reason, State
from ollama_keeper.core.record import record, replace

NOT_WANTED = frozenset({State.REFUSED, State.PAUSED, State.OFF_HOURS, State.OVER_BUDGET})
WARM = frozenset({State.READY, State.DEGRADED})


@record
class Span:
    """A stretch of one model's life on one server, in which its state, reason and residency stayed the same.

    Attributes:
        state, reason: values of CONTRACT 3 and 4; `unknown` without a reason where no keeper looked.
        resident: None where nobody knows.
        begin, end: aware instants; the end of one that goes on is the last moment that the keeper saw it.
        server, model: as the operator calls them.
    """

    state: str
    reason: str | None
    resident: bool | None
    begin: datetime
    end: datetime
    server: str = ""
    model: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.end - self.begin).total_seconds()


@record
class Share:
    """Seconds in which a model was wanted, and how many of them it was warm."""

    wanted_s: float = 0.0
    warm_s: float = 0.0

    @property
    def share(self) -> float | None:
        """Warm seconds by wanted ones, 0.0 to 1.0; None where it was not wanted at all."""
        return min(self.warm_s / self.wanted_s, 1.0) if self.wanted_s > 0 else None

    def and_(self, other: "Share") -> "Share":
        """Both together."""
        return Share(self.wanted_s + other.wanted_s, self.warm_s + other.warm_s)


@record
class Day:
    """The share of one day, in the time zone of whoever asked."""

    day: date
    share: Share


@record
class Availability:
    """The days of which there are records, oldest first, and all of them together."""

    days: tuple[Day, ...]
    total: Share


def counted(state: str, reason: str | None) -> tuple[bool, bool]:
    """Whether a model in this state is wanted, and whether it is warm."""
    if state in NOT_WANTED or (state == State.UNKNOWN and reason != Reason.SERVER_DOWN):
        return False, False
    return True, state in WARM


def share_of(span: Span) -> Share:
    """What one stretch counts."""
    wanted, warm = counted(span.state, span.reason)
    return Share(span.seconds * wanted, span.seconds * warm)


def timeline(spans: Iterable[Span], since: datetime, until: datetime) -> tuple[Span, ...]:
    """The spans of one model without a gap or an overlap from `since` to `until`, in order.

    What no span covers is `unknown`. Where two overlap, after a clock was set back, the one that began first holds.
    """
    return tuple(_covering(sorted(spans, key=lambda span: (span.begin, span.end)), since, until))


def availability(spans: Iterable[Span], now: datetime, *, days: int = 30) -> Availability:
    """How much of the last days a model was warm; days are those of `now`'s time zone, today included."""
    first = _midnight(now.date() - timedelta(days=days - 1), now.tzinfo)
    shares: dict[date, Share] = {}
    for span in timeline(spans, first, now):
        for day, part in _by_day(span, now.tzinfo):
            shares[day] = shares.get(day, Share()).and_(share_of(part))
    known = tuple(Day(day, share) for day, share in sorted(shares.items()) if share.wanted_s > 0)
    total = Share()
    for one in known:
        total = total.and_(one.share)
    return Availability(known, total)


def _covering(spans: Iterable[Span], since: datetime, until: datetime) -> Iterator[Span]:
    at = since
    for span in spans:
        begin, end = max(span.begin, at), min(span.end, until)
        if begin >= end:
            continue
        if begin > at:
            yield _unseen(span, at, begin)
        yield replace(span, begin=begin, end=end)
        at = end
    if at < until:
        yield _unseen(None, at, until)


def _unseen(like: Span | None, begin: datetime, end: datetime) -> Span:
    server, model = (like.server, like.model) if like else ("", "")
    return Span(State.UNKNOWN.value, None, None, begin, end, server, model)


def _by_day(span: Span, zone: tzinfo | None) -> Iterator[tuple[date, Span]]:
    begin = span.begin.astimezone(zone)
    while begin < span.end:
        end = min(_midnight(begin.date() + timedelta(days=1), zone), span.end)
        yield begin.date(), replace(span, begin=begin, end=end)
        begin = end.astimezone(zone)


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return datetime.combine(day, time(), zone)
