"""What a language must be able to say of an incident; `english` and `chinese` do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ollama_keeper.core.alerting import Incident

Say = Callable[[Incident], str]
Told = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Language:
    """Sentences of one language, each without its full stop where it is a line of its own.

    Attributes:
        what: what happened, short enough for a title: who, and what is wrong.
        doing: what the keeper does about it; empty where it does nothing.
        advice: what the reader can do; empty where nothing is to be said.
        over: what has ended, and how.
        many: what is wrong with so many models of a server, for a list of names.
        many_over: the same of what has ended.
        since: since when, and for how long.
        title: of several incidents: how many fire, how many have ended, and where.
        names: a list of names, cut after the first.
        labels: words before doing and advice.
        more: the note that some are not shown, with {count} in it.
        again: beside a repeat.
        flapping: beside a model that comes and goes, with {count} in it.
    """

    what: Say
    doing: Say
    advice: Say
    over: Say
    many: Callable[[Incident, int], str]
    many_over: Callable[[Incident, int], str]
    since: Say
    title: Callable[[int, int, Sequence[str]], str]
    names: Callable[[Sequence[str]], str]
    labels: tuple[str, str]
    more: str
    again: str
    flapping: str
    test: tuple[str, str]


def told(incident: Incident) -> Told:
    """The details by their names."""
    return dict(incident.details)


def number_of(told: Told, name: str) -> float | None:
    """A detail that is a number; None where it is not there."""
    value = told.get(name)
    return float(value) if isinstance(value, int | float) else None


def clock(at: datetime) -> str:
    """Date and time where the keeper runs, with the offset of its zone: `2026-11-25 12:04:10 UTC+08:00`."""
    local = at.astimezone()
    offset = f"{local:%z}"
    zone = "UTC" if not local.utcoffset() else f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{local:%Y-%m-%d %H:%M:%S} {zone}"


FIRST_NAMES = 10
