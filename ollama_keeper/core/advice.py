"""What could be kept otherwise, from the hours in which models were used: pure functions of what was recorded."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from ollama_keeper.core.record import record
from ollama_keeper.core.units import show_size
from ollama_keeper.core.uses import GUEST, PIN

DAYS = 14
GUEST_DAYS = 7  # used on each of so many days in a row: it is no guest any more
LEASE_H = 2  # the lease that is advised, hours
SAVED = 0.5  # of the time, at least: less is not worth a cold start
COLD_A_DAY = 2.0  # cold starts that a lease may cost, on average


@record
class Hour:
    """One hour of one model: as `store.Use`, with the hour in the zone of whoever asks."""

    server: str
    model: str
    begin: datetime
    kind: str
    minutes: int
    size: int | None = None


@record
class Advice:
    """One piece of advice.

    Attributes:
        kind: `unused`, `guest_every_day` or `lease`.
        text: what was seen, and what could be done.
    """

    kind: str
    server: str
    model: str
    text: str


def advice(hours: Iterable[Hour], since: datetime, now: datetime) -> list[Advice]:
    """All advice that the hours of the last days give.

    Args:
        since: when the records begin.
    """
    found: list[Advice] = []
    grouped: dict[tuple[str, str], list[Hour]] = {}
    for hour in hours:
        grouped.setdefault((hour.server, hour.model), []).append(hour)
    for mine in grouped.values():
        ordered = sorted(mine, key=lambda hour: hour.begin)
        found += [one for rule in (unused, guest_every_day, lease) if (one := rule(ordered, since, now))]
    return found


def unused(hours: list[Hour], since: datetime, now: datetime) -> Advice | None:
    """A pin that nobody has used in 14 days, all of which are on record."""
    last, from_ = hours[-1], now - timedelta(days=DAYS)
    if last.kind != PIN or max(since, hours[0].begin) > from_ or any(h.minutes for h in hours if h.begin >= from_):
        return None
    text = f"pinned, but not used in {DAYS} days{_memory(hours)}: take it out of models, or give it a lease"
    return Advice("unused", last.server, last.model, text)


def guest_every_day(hours: list[Hour], _: datetime, now: datetime) -> Advice | None:
    """A model that is not kept, but that clients used on each of the last seven whole days."""
    last = hours[-1]
    used: set[date] = {hour.begin.date() for hour in hours if hour.minutes}
    if last.kind != GUEST or not all(now.date() - timedelta(days=back) in used for back in range(1, GUEST_DAYS + 1)):
        return None
    text = f"not kept, but used on each of the last {GUEST_DAYS} days: add it to models"
    return Advice("guest_every_day", last.server, last.model, text)


def lease(hours: list[Hour], since: datetime, now: datetime) -> Advice | None:
    """A pin that a lease of two hours would free for most of the time, at few cold starts."""
    last, from_ = hours[-1], now - timedelta(days=DAYS)
    used = sorted({h.begin for h in hours if h.minutes and h.begin >= from_})
    if last.kind != PIN or max(since, hours[0].begin) > from_ or not used:
        return None
    resident_h, starts = _with_lease(used)
    saved = 1 - resident_h / (DAYS * 24)
    if saved < SAVED or starts / DAYS > COLD_A_DAY:
        return None
    text = (
        f"used in {len(used)} hours of {DAYS} days: keep_alive: {LEASE_H}h with on_expire: release would free"
        f"{_memory(hours)} for {saved:.0%} of the time, at about {starts / DAYS:.1f} cold starts a day"
    )
    return Advice("lease", last.server, last.model, text)


def _with_lease(used: list[datetime]) -> tuple[int, int]:
    """Hours resident and cold starts, were the model given back `LEASE_H` hours after its last use."""
    held = {begin + timedelta(hours=ahead) for begin in used for ahead in range(LEASE_H + 1)}
    starts = sum(begin - timedelta(hours=1) not in held for begin in used)
    return len(held), starts


def _memory(hours: list[Hour]) -> str:
    size = next((hour.size for hour in reversed(hours) if hour.size), None)
    return f" {show_size(size)}" if size else ""
