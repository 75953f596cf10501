"""Who is to be told what, and when: one lane a sink, decided by what the sink was told and what is true now.

Nothing is queued as text. A lane remembers what its sink has been told; what it owes is found anew each time, so that
a message tells the present, however long it was on its way, and nothing that fired or ended is ever left out.

1. Owed are: what fires and was not told; what ended and was not told, also where the beginning was not told either;
   and what still fires after `repeat_interval`. That a sink fails is told to the others.
2. All that is owed goes into one message, gathered for 10 s, at most one a minute.
3. A failed attempt is made again after 1 s, doubled to 5 min, with full jitter; a refusal and a rate limit after a
   minute at least, or as long as the service asks.
4. Given up after 24 h, and at once where the same can never succeed; what was given up counts as told, until it
   changes or is to be repeated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from ollama_keeper.core.alert_rules import REPEAT_S
from ollama_keeper.core.alerting import Book, Incident
from ollama_keeper.core.changes import Change, NotificationDelayed, NotificationFailed, NotificationSent
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.core.spread import phase

GATHER_S = 10.0
SPACING_S = 60.0
BACKOFF_FIRST_S, BACKOFF_MOST_S = 1.0, 300.0
GIVE_UP_S = 86_400.0
LONGEST_WAIT_S = 3_600.0
FOLD_REPEATS_S = 600.0  # a repeat takes along what would be repeated soon


class Kind(StrEnum):
    """What a message says of an incident."""

    FIRING = "firing"
    REPEAT = "repeat"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Item:
    """One incident in a message."""

    incident: Incident
    kind: Kind


@dataclass(frozen=True, slots=True)
class Told:
    """What a sink was last told of a fingerprint.

    Attributes:
        round: of the incident.
        over: that it has ended.
        at: when.
    """

    fingerprint: str
    round: int
    over: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Lane:
    """How one sink stands.

    Attributes:
        born: number of the last incident before it was there: what had ended by then is none of its business.
        owes: since when it owes something; None when it owes nothing.
        attempts: failed ones of the present message.
        retry: not before; `sent` when the last message arrived or was given up.
        delayed: the failure of the present message has been told.
    """

    sink: str
    born: int = 0
    told: tuple[Told, ...] = ()
    owes: Instant | None = None
    attempts: int = 0
    retry: Instant | None = None
    sent: Instant | None = None
    delayed: bool = False


@dataclass(frozen=True, slots=True)
class Manners:
    """How notifications are wanted."""

    repeat_s: float = REPEAT_S
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class Delivered:
    """A sink took a message; `detail` is what it answered."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A sink did not take a message.

    Attributes:
        detail: what it answered, such as its code; never a secret.
        retry_after_s: how long it asks us to wait.
        final: the same message can never succeed.
    """

    reason: Undelivered
    detail: str = ""
    retry_after_s: float | None = None
    final: bool = False


Outcome = Delivered | Refused


# --- what is owed -----------------------------------------------------------------------------------------------------


def owed(lane: Lane, book: Book, manners: Manners, now: Instant) -> tuple[Item, ...]:
    """(1) Everything that the sink does not know yet: what has ended first, then what fires, both in their order."""
    told = {one.fingerprint: one for one in lane.told}
    firing = [one for one in book.firing if not _of_itself(one, lane)]
    ended = [Item(one, Kind.RESOLVED) for one in book.over if _owes_end(one, told.get(one.fingerprint), lane, manners)]
    new = [Item(one, Kind.FIRING) for one in firing if _is_new(one, told.get(one.fingerprint))]
    known = [(one, told[one.fingerprint]) for one in firing if not _is_new(one, told.get(one.fingerprint))]
    late = {one.fingerprint: (now.wall - last.at).total_seconds() - manners.repeat_s for one, last in known}
    fold_s = min(FOLD_REPEATS_S, manners.repeat_s / 4) if any(late_s >= 0 for late_s in late.values()) else 0.0
    repeats = [Item(one, Kind.REPEAT) for one, _ in known if late[one.fingerprint] >= -fold_s]
    return (*ended, *new, *(repeats if fold_s else ()))


def _owes_end(incident: Incident, told: Told | None, lane: Lane, manners: Manners) -> bool:
    if not manners.send_resolved or _of_itself(incident, lane):
        return False
    if told is None:
        return incident.round > lane.born
    return told.round < incident.round or (told.round == incident.round and not told.over)


def _of_itself(incident: Incident, lane: Lane) -> bool:
    """Whether all that is wrong is that this very sink fails."""
    return bool(incident.details) and set(incident.details) == {(NotificationFailed.event, lane.sink)}


def _is_new(incident: Incident, told: Told | None) -> bool:
    return told is None or told.round < incident.round


# --- when ------------------------------------------------------------------------------------------------------------


def planned(lane: Lane, items: Sequence[Item], now: Instant) -> tuple[Lane, float | None]:
    """(2) (3) The lane, and in how many seconds its message is due; None where it owes nothing."""
    if not items:
        return replace(lane, owes=None, attempts=0, retry=None, delayed=False), None
    lane = replace(lane, owes=lane.owes or now)
    due = [(lane.owes or now).later(GATHER_S)]
    due += [lane.retry] if lane.retry else []
    due += [lane.sent.later(SPACING_S)] if lane.sent else []
    return lane, max(0.0, *(-now.since(moment) for moment in due))


def after(lane: Lane, items: Sequence[Item], outcome: Outcome, now: Instant) -> tuple[Lane, tuple[Change, ...]]:
    """The lane after an attempt, and what is told of it."""
    attempts, took_s = lane.attempts + 1, now.since(lane.owes or now)
    if isinstance(outcome, Delivered):
        sent = NotificationSent(sink=lane.sink, attempts=attempts, took_s=round(took_s, 1))
        return _done(lane, items, now), (sent,)
    if outcome.final or took_s >= GIVE_UP_S:
        return _done(lane, items, now), (_failed(lane, outcome, attempts, took_s),)
    wait_s = _wait_s(lane, outcome, attempts, now)
    delayed = NotificationDelayed(
        sink=lane.sink, attempts=attempts, retry_s=round(wait_s, 1), reason=outcome.reason, hint=outcome.detail or None
    )
    lane, told = replace(lane, attempts=attempts, retry=now.later(wait_s), delayed=True), lane.delayed
    return lane, () if told else (delayed,)


def _failed(lane: Lane, outcome: Refused, attempts: int, took_s: float) -> NotificationFailed:
    return NotificationFailed(
        sink=lane.sink,
        attempts=attempts,
        took_s=round(took_s, 1),
        reason=outcome.reason,
        hint=outcome.detail or None,
    )


def _done(lane: Lane, items: Sequence[Item], now: Instant) -> Lane:
    """(4) Everything of the message counts as told; of one fingerprint the last word holds."""
    fresh = {
        item.incident.fingerprint: Told(
            item.incident.fingerprint, item.incident.round, item.kind is Kind.RESOLVED, now.wall
        )
        for item in items
    }
    kept = [one for one in lane.told if one.fingerprint not in fresh]
    told = (*kept, *fresh.values())
    return replace(lane, told=told, owes=None, attempts=0, retry=None, sent=now, delayed=False)


def _wait_s(lane: Lane, outcome: Refused, attempts: int, now: Instant) -> float:
    """(3) Seconds to the next attempt."""
    most_s = min(BACKOFF_FIRST_S * 2.0 ** min(attempts - 1, 16), BACKOFF_MOST_S)
    least_s = SPACING_S if outcome.reason in SLOW else BACKOFF_FIRST_S
    asked_s = min(outcome.retry_after_s or 0.0, LONGEST_WAIT_S)
    return max(most_s * phase(lane.sink, attempts, now.mono), least_s, asked_s)


# --- what need not be remembered --------------------------------------------------------------------------------------


def pruned(book: Book, lanes: Iterable[Lane], manners: Manners) -> Book:
    """The book without what has ended and every sink knows."""
    told = [({one.fingerprint: one for one in lane.told}, lane) for lane in lanes]
    over = tuple(
        one for one in book.over if any(_owes_end(one, by.get(one.fingerprint), lane, manners) for by, lane in told)
    )
    return book if over == book.over else replace(book, over=over)


def trimmed(lane: Lane, book: Book) -> Lane:
    """The lane without what it was told of incidents that are forgotten."""
    known = {one.fingerprint for one in (*book.open, *book.over)}
    told = tuple(one for one in lane.told if one.fingerprint in known)
    return lane if told == lane.told else replace(lane, told=told)


SLOW = frozenset({Undelivered.REJECTED, Undelivered.RATE_LIMITED, Undelivered.AUTH})
"""Answers of a service that understood us: asking again soon would be rude, and may get us locked out."""
