"""What of alerts outlives a restart, as documents: incidents that fire or have ended, and what each sink was told.

Pending incidents are not kept: they are found again, and what was not looked at does not count. Each document is small,
and changes only where something was told.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from ollama_keeper.core.alerting import Book, Incident, opened
from ollama_keeper.core.conditions import Aspect, Subject
from ollama_keeper.core.delivery import LONGEST_WAIT_S, Lane, Told
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.reasons import Alert, Cause, Failure, Reason, StateReason

PREFIX = "alerts."
OPEN, OVER, LANE, TOLD = f"{PREFIX}open.", f"{PREFIX}over.", f"{PREFIX}sink.", f"{PREFIX}told."
PASSING = frozenset({"next", "next_s", "open_s", "failures", "state"})
"""Details that change from moment to moment."""

Document = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")


def documents(book: Book, lanes: Iterable[Lane]) -> dict[str, Document]:
    """All documents by their key."""
    kept = {f"{OPEN}{one.fingerprint}": _incident(one) for one in book.firing}
    kept |= {f"{OVER}{one.fingerprint}": _incident(one) for one in book.over}
    for lane in lanes:
        kept[f"{LANE}{lane.sink}"] = _lane(lane)
        for told in lane.told:
            part = kept.setdefault(f"{TOLD}{lane.sink}.{told.fingerprint[0]}", {"sink": lane.sink, "told": {}})
            part["told"][told.fingerprint] = [told.round, told.over, told.at.isoformat()]
    return kept


def recalled(kept: Mapping[str, Mapping[str, Any]], now: Instant) -> tuple[Book, tuple[Lane, ...]]:
    """The book and the lanes of documents; what makes no sense is left out."""
    still = _incidents(kept, OPEN, now)
    over = _incidents(kept, OVER, now)
    lanes = tuple(
        replace(lane, told=_told(kept, lane.sink))
        for key, document in kept.items()
        if key.startswith(LANE) and (lane := _understood(_read_lane, document, now)) is not None
    )
    rounds = [one.round for one in (*still, *over)] + [told.round for lane in lanes for told in lane.told]
    rounds += [lane.born for lane in lanes]
    return replace(opened(now), open=still, over=over, rounds=max(rounds, default=0)), lanes


def _incidents(kept: Mapping[str, Mapping[str, Any]], prefix: str, now: Instant) -> tuple[Incident, ...]:
    read = [_understood(_read_incident, one, now) for key, one in kept.items() if key.startswith(prefix)]
    return tuple(sorted((one for one in read if one is not None), key=lambda one: one.round))


def _told(kept: Mapping[str, Mapping[str, Any]], sink: str) -> tuple[Told, ...]:
    parts = [one for key, one in kept.items() if key.startswith(TOLD) and one.get("sink") == sink]
    read = (_understood(_read_told, part, sink) for part in parts)
    return tuple(told for part in read if part is not None for told in part)


def _understood(read: Callable[[Mapping[str, Any], T], R], document: Mapping[str, Any], given: T) -> R | None:
    try:
        return read(document, given)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError):
        return None


# --- one document -----------------------------------------------------------------------------------------------------


def _incident(incident: Incident) -> Document:
    subject = incident.subject
    return {
        "server": subject.server,
        "model": subject.model,
        "aspect": subject.aspect.value,
        "alert": incident.alert.value,
        "since": incident.since.isoformat(),
        "reason": incident.reason.value if incident.reason else None,
        "details": {name: value for name, value in incident.details if name not in PASSING},
        "times": incident.times,
        "fired": incident.fired.isoformat() if incident.fired else None,
        "round": incident.round,
        "ended": incident.ended.isoformat() if incident.ended else None,
        "how": incident.how,
    }


def _read_incident(document: Mapping[str, Any], now: Instant) -> Incident:
    return Incident(
        Subject(document["server"], document["model"], Aspect(document["aspect"])),
        Alert(document["alert"]),
        since=_wall(document["since"]),
        held=now,
        reason=_reason(document["reason"]),
        details=tuple(document["details"].items()),
        times=int(document["times"]),
        fired=_wall(document["fired"]),
        round=int(document["round"]),
        ended=_wall(document["ended"]) if document["ended"] else None,
        how=str(document["how"]),
    )


def _reason(text: str | None) -> StateReason:
    if text is None:
        return None
    known: dict[str, StateReason] = {one.value: one for one in (*Failure, *Cause, *Reason)}
    return known.get(text)


def _lane(lane: Lane) -> Document:
    def wall(moment: Instant | None) -> str | None:
        return None if moment is None else moment.wall.isoformat(timespec="seconds")

    return {
        "sink": lane.sink,
        "born": lane.born,
        "owes": wall(lane.owes),
        "attempts": lane.attempts,
        "retry": wall(lane.retry),
        "sent": wall(lane.sent),
        "delayed": lane.delayed,
    }


def _read_lane(document: Mapping[str, Any], now: Instant) -> Lane:
    return Lane(
        str(document["sink"]),
        born=int(document["born"]),
        owes=_moment(document["owes"], now),
        attempts=int(document["attempts"]),
        retry=_moment(document["retry"], now),
        sent=_moment(document["sent"], now),
        delayed=bool(document["delayed"]),
    )


def _read_told(document: Mapping[str, Any], _: str) -> tuple[Told, ...]:
    return tuple(
        Told(fingerprint, int(round_), bool(over), _wall(at))
        for fingerprint, (round_, over, at) in document["told"].items()
    )


def _wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _moment(text: str | None, now: Instant) -> Instant | None:
    """A wall time as a moment of this run; a clock that was set makes nobody wait for long."""
    if text is None:
        return None
    ahead_s = (_wall(text) - now.wall).total_seconds()
    return now.later(min(ahead_s, LONGEST_WAIT_S))
