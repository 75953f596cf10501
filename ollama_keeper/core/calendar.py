"""Active hours: windows of the week in a time zone, as instants that no change of the clocks opens or closes twice.

A window is told in local time and belongs to the day on which it begins; one that ends at or before its beginning ends
on the next day. An hour that a zone lives through twice is inside once, whole; a beginning that a zone skips is moved
by what was skipped.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from ollama_keeper.core.record import record

WEEK = 7
DAY_MINUTES = 24 * 60

Span = tuple[datetime, datetime]


@record
class Window:
    """Hours of some days of the week.

    Attributes:
        days: 0 is Monday.
        start, end: minutes of the day, 0 to 1439 and 0 to 1440; `end` at or before `start` is on the next day.
        zone: whose local time that is.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: tzinfo

    def spans(self, first: date, last: date) -> Iterator[Span]:
        """What the window covers, in UTC, for the days on which it begins."""
        days = (first + timedelta(days=number) for number in range((last - first).days + 1))
        return (_span(self, day) for day in days if day.weekday() in self.days)


def closes_at(windows: Iterable[Window], now: datetime) -> datetime | None:
    """The end of the active time that `now` (aware) lies in, windows that touch taken together; None outside.

    Windows that cover the week without a gap never close: then the answer lies a week or more ahead, and is asked anew.
    """
    end = None
    for start, until in sorted(_around(windows, now)):
        if (end is None and start <= now < until) or (end is not None and start <= end < until):
            end = until
    return end


def opens_at(windows: Iterable[Window], now: datetime) -> datetime | None:
    """The next beginning of active time after `now`, from outside of it; None where no window ever begins."""
    return min((start for start, _ in _around(windows, now) if start > now), default=None)


def active(windows: tuple[Window, ...], now: datetime) -> bool:
    """Whether `now` lies in one of the windows; always, where there are none."""
    return not windows or closes_at(windows, now) is not None


def _around(windows: Iterable[Window], now: datetime) -> Iterator[Span]:
    """The spans that may hold `now` or begin within a week of it."""
    for window in windows:
        today = now.astimezone(window.zone).date()
        yield from window.spans(today - timedelta(days=1), today + timedelta(days=WEEK + 1))


@lru_cache(maxsize=1_000)
def _span(window: Window, day: date) -> Span:
    """Asked for each model at each look, and the same for a week."""
    until = day if window.end > window.start else day + timedelta(days=1)
    return _instant(day, window.start, window.zone, fold=0), _instant(until, window.end, window.zone, fold=1)


def _instant(day: date, minutes: int, zone: tzinfo, *, fold: int) -> datetime:
    days, rest = divmod(minutes, DAY_MINUTES)
    clock = time(rest // 60, rest % 60, tzinfo=zone, fold=fold)
    local = datetime.combine(day + timedelta(days=days), clock)
    if fold and _skipped(local):
        local = local.replace(fold=0)
    return local.astimezone(UTC)


def _skipped(local: datetime) -> bool:
    """Whether a zone's clocks jump over this local time."""
    back = local.astimezone(UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None, fold=0) != local.replace(tzinfo=None, fold=0)
