"""`compose`: items into a letter of one language; what is alike is told once, with a list of names."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from string import Template

from ollama_keeper.core.alerting import Incident
from ollama_keeper.core.delivery import Item, Kind
from ollama_keeper.core.units import show_duration
from ollama_keeper.errors import printable
from ollama_keeper.report.notify import chinese
from ollama_keeper.report.notify.chinese import CHINESE
from ollama_keeper.report.notify.english import ENGLISH
from ollama_keeper.report.notify.language import Language, clock
from ollama_keeper.report.notify.letter import MARK, Letter

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}
ALONE = 3  # so many of a kind are told one by one
MARKS = {Kind.FIRING: "🔴", Kind.REPEAT: "🔴", Kind.RESOLVED: "🟢"}
SPANS = {"en": show_duration, "zh": chinese.span}


def compose(items: Sequence[Item], at: datetime, language: str, template: str | None = None) -> Letter:
    """What a message says of its items, what fires first."""
    words = LANGUAGES[language]
    ordered = tuple(sorted(items, key=lambda item: item.kind is Kind.RESOLVED))
    parts = tuple(_part(group, at, language) for group in _groups(ordered))
    alone = partial(_alone, at=at, language=language)
    letter = Letter(f"{MARK}: {_title(ordered, words)}", parts, ordered, at, more=words.more, alone=alone)
    return letter if template is None else _templated(letter, template, words)


def trial(at: datetime, language: str, template: str | None = None) -> Letter:
    """A letter about nothing, to see whether it arrives."""
    words = LANGUAGES[language]
    letter = Letter(f"{MARK}: {words.test[0]}", (words.test[1], clock(at)), (), at)
    return letter if template is None else _templated(letter, template, words)


def _alone(item: Item, *, at: datetime, language: str) -> tuple[str, str]:
    """Title and text of one incident, for receivers that take a message apart."""
    return _title([item], LANGUAGES[language]), _part([item], at, language)


def _title(items: Sequence[Item], words: Language) -> str:
    firing = [item.incident for item in items if item.kind is not Kind.RESOLVED]
    over = [item.incident for item in items if item.kind is Kind.RESOLVED]
    if len(items) == 1:
        return printable(words.what(firing[0]) if firing else words.over(over[0]))
    places = sorted({item.incident.subject.server for item in items})
    return printable(words.title(len(firing), len(over), places))


def _groups(items: Sequence[Item]) -> list[list[Item]]:
    """Items that are told in one paragraph: of one server, alert and kind, where there are many of them."""
    by: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        subject, incident = item.incident.subject, item.incident
        by.setdefault((subject.server, incident.alert.value, incident.how, item.kind.value), []).append(item)
    return [
        part
        for group in by.values()
        for part in ([group] if len(group) > ALONE and group[0].incident.subject.model else [[one] for one in group])
    ]


def _part(group: Sequence[Item], at: datetime, language: str) -> str:
    """One paragraph: what happened, since when, what the keeper does, what the reader can do."""
    words, item, oldest = LANGUAGES[language], group[0], min(group, key=lambda one: one.incident.since).incident
    incident, count = item.incident, len(group)
    resolved = item.kind is Kind.RESOLVED
    if count == 1:
        head = words.over(incident) if resolved else words.what(incident)
    else:
        head = words.many_over(incident, count) if resolved else words.many(incident, count)
    again = f" {words.again}" if item.kind is Kind.REPEAT else ""
    lines = [f"{MARKS[item.kind]} {printable(head)}{again}"]
    if count > 1:
        lines.append(printable(words.names([one.incident.subject.model for one in group])))
    if not resolved:
        lines += _rest(incident, oldest, at, language)
    return "\n".join(lines)


def _rest(incident: Incident, oldest: Incident, at: datetime, language: str) -> list[str]:
    words, lasted_s = LANGUAGES[language], max((at - oldest.since).total_seconds(), 0.0)
    open_, close = ("（", "）") if language == "zh" else (" (", ")")
    lines = [f"{words.since(oldest)}{open_}{SPANS[language](lasted_s)}{close}"]
    if incident.flapping:
        lines.append(words.flapping.replace("{count}", str(incident.times)))
    doing, advice = words.doing(incident), words.advice(incident)
    lines += [f"{words.labels[0]}{printable(doing)}"] if doing else []
    return [*lines, f"{words.labels[1]}{printable(advice)}"] if advice else lines


# --- templates --------------------------------------------------------------------------------------------------------


def _templated(letter: Letter, template: str, words: Language) -> Letter:
    """The operator's text; a `Template` reaches no attribute and calls nothing."""
    text = Template(template).safe_substitute(fields_of(letter, words))
    return replace(letter, templated=text)


def fields_of(letter: Letter, words: Language) -> dict[str, str]:
    """What a template may use (`TEMPLATE_FIELDS`)."""
    incidents = [item.incident for item in letter.items]
    oldest = min((incident.since for incident in incidents), default=letter.at)
    status = "firing" if letter.firing else "resolved" if letter.resolved else "test"
    listed = {
        "servers": [one.subject.server for one in incidents],
        "models": [one.subject.model for one in incidents],
        "alerts": [one.alert.value for one in incidents],
        "reasons": [one.reason.value for one in incidents if one.reason],
    }
    return {
        "title": letter.title,
        "text": "\n\n".join(letter.parts),
        "status": status,
        "firing": str(letter.firing),
        "resolved": str(letter.resolved),
        "since": clock(oldest),
        "time": clock(letter.at),
        **{name: printable(words.names(sorted({*values} - {""}))) for name, values in listed.items()},
    }
