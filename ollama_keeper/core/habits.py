"""What happens like clockwork, from the history of a server: the effects of cron scripts and of other keepers.

Nobody tells who sent a request, but a person does not use a model in the same number of minutes of each hour of a day
and a night, nor load it at the same minute of each day.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from ollama_keeper.core.advice import Hour
from ollama_keeper.core.departures import UNLOADER
from ollama_keeper.core.finding import Finding, Severity
from ollama_keeper.core.record import record
from ollama_keeper.core.units import show_duration

DAYS = 8
"""Of the history that are looked at."""

HOURS = 24  # a day and a night, each hour of which is alike
WRITTEN_AFTER = timedelta(minutes=15)  # minutes of use are written each ten minutes
STEADY = 1  # minutes by which hours that are alike differ
RESTLESS = 58  # minutes of each hour: a service may do that too

TIMES = 6  # what came so often at one distance has a clock
AT_LEAST = timedelta(minutes=5)
SLACK = timedelta(seconds=90)  # a look each 15 s to 60 s, and a load that takes longer than the one before
MANY_DAYS = 4
A_DAY = timedelta(days=1)
MANY_TIMES = 4  # a day: a client that says its own keep_alive, or a keeper with leases


@record
class Happened:
    """Something that others did to a model, or to a server.

    Attributes:
        what: in words that go on after "it was".
        at: in the zone in which times of the day are told.
    """

    server: str
    model: str | None
    what: str
    at: datetime


SHORTENING = "shortened in its time"  # at the same time of each day by hours of our own, so only how often tells
UNLOADING = "unloaded"
LOADED, LOST, RELOADED, RESTARTED = "loaded by a client", "unloaded or displaced", "loaded anew", "restarted"
OFTEN = {SHORTENING, UNLOADING}


def habits(hours: Iterable[Hour], happened: Iterable[Happened], now: datetime) -> list[Finding]:
    """All that happens like clockwork.

    Args:
        hours: in which models were used by others than us.
        happened: oldest first.
    """
    used: dict[tuple[str, str], list[Hour]] = {}
    for hour in hours:
        used.setdefault((hour.server, hour.model), []).append(hour)
    events: dict[tuple[str, str | None, str], list[datetime]] = {}
    for one in happened:
        events.setdefault((one.server, one.model, one.what), []).append(one.at)
    found = [_regular_use(mine, now) for mine in used.values()]
    found += [_event(*key, at, now) for key, at in events.items()]
    return [finding for finding in found if finding is not None]


# --- uses -------------------------------------------------------------------------------------------------------------


def _regular_use(hours: Sequence[Hour], now: datetime) -> Finding | None:
    minutes = {hour.begin: hour.minutes for hour in hours if hour.minutes}
    last = (now - timedelta(hours=1) - WRITTEN_AFTER).replace(minute=0, second=0, microsecond=0)
    day = [minutes.get(last - timedelta(hours=back), 0) for back in range(HOURS)]
    if not min(day) or max(day) - min(day) > STEADY:
        return None
    who = "a script, another keeper, or a service that never rests" if min(day) >= RESTLESS else "a script, or a keeper"
    often = f"{max(day)} minute{'' if max(day) == 1 else 's'} of each of the last {HOURS} hours"
    return Finding(
        Severity.NOTE,
        "regular_use",
        f"it was used in {often}, and not by us",
        f"{who}: curl in cron generates text in the slot that users wait for, and one with options of its own reloads",
        "see crontab -l, timers and other keepers on all that reach the server; what keeps this model is here already",
        hours[-1].server,
        hours[-1].model,
    )


# --- events -----------------------------------------------------------------------------------------------------------


def _event(server: str, model: str | None, what: str, at: Sequence[datetime], now: datetime) -> Finding | None:
    when = (what != UNLOADING and every(at, now)) or (_often(at, now) if what in OFTEN else daily(at, now))
    if when is None:
        return None
    why, do = _MEANINGS[what]
    return Finding(Severity.NOTE, _CODES[what], f"it was {what} {when}", why, do, server, model)


def every(at: Sequence[datetime], now: datetime) -> str | None:
    """The distance at which something comes, `each 10m`, where that is the same all through the last day."""
    recent = [one for one in at if now - one <= A_DAY]
    gaps = [later - earlier for earlier, later in pairwise(recent)]
    if len(recent) < TIMES:
        return None
    middle = timedelta(seconds=round(median(gap.total_seconds() for gap in gaps), -1))
    if middle < AT_LEAST or any(abs(gap - middle) > SLACK for gap in gaps):
        return None
    return f"each {show_duration(middle.total_seconds())} in the last day, {len(recent)} times"


def daily(at: Sequence[datetime], now: datetime) -> str | None:
    """The time of the day at which something comes, `at 07:00`, where it came then on several of the last days."""
    recent = [one for one in at if now - one <= DAYS * A_DAY]
    for one in reversed(recent):
        days = {other.date() for other in recent if _apart(one, other) <= SLACK}
        if len(days) >= MANY_DAYS:
            return f"at {one:%H:%M} on {len(days)} of the last {DAYS} days"
    return None


def _apart(one: datetime, other: datetime) -> timedelta:
    """By how much the times of two days differ."""
    apart = abs(_of_day(one) - _of_day(other))
    return min(apart, A_DAY - apart)


def _of_day(at: datetime) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


def _often(at: Sequence[datetime], now: datetime) -> str | None:
    times = sum(now - one <= A_DAY for one in at)
    return f"{times} times in the last day" if times >= MANY_TIMES else None


_CODES = {
    LOADED: "regular_loads",
    LOST: "regular_losses",
    RELOADED: "regular_reloads",
    RESTARTED: "regular_restarts",
    SHORTENING: "time_shortened",
    UNLOADING: "often_unloaded",
}
_CLOCK = "people do not keep such times: a cron script, a timer, or another keeper"
_LOOK = "see crontab -l, timers and other keepers on all that reach the server"
_MEANINGS = {
    LOADED: (f"{_CLOCK} loads it", f"{_LOOK}; it is kept here already, so that line can go"),
    LOST: (f"{_CLOCK} takes its place or unloads it", f"{_LOOK}; hours (active) and pause leave room on purpose"),
    RELOADED: (f"{_CLOCK} asks for other options", f"{_LOOK}; its options and those kept here should be the same"),
    RESTARTED: ("a timer or an update restarts Ollama, and every model is loaded anew", "see timers on its machine"),
    SHORTENING: (
        "a client or another keeper sends a keep_alive of its own, which ours then puts right again",
        "leave keep_alive out there, or keep the model by one of the two",
    ),
    UNLOADING: (
        f"{UNLOADER}; or somebody stops it by hand. It is left alone each time before it is loaded anew",
        "leave keep_alive out of what clients send (their setting may be called unload after use); to be left alone"
        " for longer: ollama-keeper pause",
    ),
}
