"""`usage`: when models were used, by day and hour, and what could be kept otherwise."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.past import NoHistory, history, meant, nothing_of
from ollama_keeper.commands.start import EXIT_OK, EXIT_SOME_NOT, Unusable, interactive
from ollama_keeper.config import Config
from ollama_keeper.core.advice import Advice, Hour, advice
from ollama_keeper.report.plain import stamp
from ollama_keeper.store import Past

BLOCKS, PLAIN = "·▁▂▃▄▅▆▇█", ".:-=+*oO#"
"""None, and eighths of an hour; plain in a pipe, and where the terminal has no UTF-8."""
RULER = "0     6     12    18    "


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was recorded: hours in the local zone, and since when there are records."""

    hours: tuple[Hour, ...]
    begun: datetime
    now: datetime
    days: int


def usage(path: Path | None, model: str | None, *, days: int, as_json: bool) -> int:
    """Shows when models were used; see `ollama-keeper usage --help`."""
    try:
        with history(path) as (config, past):
            recorded = _recorded(past, days)
            known = [name for _, name in past.known()]
    except Unusable as unusable:
        return unusable.code
    except NoHistory:
        return EXIT_SOME_NOT
    names = None if model is None else meant(model, [hour.model for hour in recorded.hours])
    hours = [hour for hour in recorded.hours if names is None or hour.model in names]
    if not hours:
        return _nothing(model, config, [*known, *(hour.model for hour in recorded.hours)])
    said = advice(hours, recorded.begun, recorded.now)
    if as_json:
        click.echo(json.dumps(document(recorded, hours, said), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_shown(recorded, hours, said, by_day=model is not None)))
    return EXIT_OK


def _nothing(model: str | None, config: Config, known: Sequence[str]) -> int:
    """Says that there is no use to show, and of which model there would be."""
    if model is not None and not meant(model, known):
        return nothing_of(model, config, known)
    click.echo(f"ollama-keeper: no use of {model or 'any model'} is recorded yet", err=True)
    return EXIT_SOME_NOT


def _recorded(past: Past, days: int) -> Recorded:
    now = SystemClock().now().wall.astimezone()
    uses = past.uses(since=now - timedelta(days=max(days, 15)))
    hours = tuple(Hour(u.server, u.model, u.hour.astimezone(), u.kind, u.minutes, u.size) for u in uses)
    return Recorded(hours, (past.begun() or now).astimezone(), now, days)


def _shown(recorded: Recorded, hours: Sequence[Hour], said: Sequence[Advice], *, by_day: bool) -> list[str]:
    lines = _by_day(recorded, hours) if by_day else _by_model(recorded, hours)
    if recorded.now - recorded.begun < timedelta(days=recorded.days):
        lines += ["", f"Records begin {recorded.begun:%Y-%m-%d %H:%M}; advice needs 14 days of them."]
    lines += [line for one in said for line in ("", f"{one.model} on {one.server}: {one.text}")]
    return lines


def _by_model(recorded: Recorded, hours: Sequence[Hour]) -> list[str]:
    """A line a model: how it is kept, on how many days it was used, when last, and at which hours of the day."""
    groups = _grouped(hours)
    width = max(5, *(len(model) for _, model in groups))
    lines = [f"{'MODEL'.ljust(width)}  KEPT   DAYS   LAST         {RULER}".rstrip()]
    for (_, model), mine in groups.items():
        used = [hour for hour in mine if hour.minutes and hour.begin.date() > _first(recorded)]
        days = f"{len({hour.begin.date() for hour in used})}/{recorded.days}"
        last = f"{used[-1].begin:%m-%d %H}h" if used else "-"
        clock = [max((h.minutes for h in used if h.begin.hour == at), default=0) for at in range(24)]
        lines.append(
            f"{model.ljust(width)}  {mine[-1].kind.ljust(5)}  {days.ljust(5)}  {last.ljust(11)}  {heat(clock)}"
        )
    return lines


def _by_day(recorded: Recorded, hours: Sequence[Hour]) -> list[str]:
    lines: list[str] = []
    for (server, model), mine in _grouped(hours).items():
        lines += ["", f"{model} on {server} ({mine[-1].kind})", f"            {RULER}  MINUTES"]
        for back in reversed(range(recorded.days)):
            day = recorded.now.date() - timedelta(days=back)
            if day >= recorded.begun.date():
                minutes = minutes_of(mine, day)
                lines.append(f"{day:%a %m-%d}   {heat(minutes)}  {sum(minutes):>7}")
    return lines[1:]


def minutes_of(hours: Iterable[Hour], day: date) -> list[int]:
    """The minutes of use of each hour of a day."""
    found = [0] * 24
    for hour in hours:
        if hour.begin.date() == day:
            found[hour.begin.hour] = min(found[hour.begin.hour] + hour.minutes, 60)
    return found


def heat(minutes: Sequence[int], *, blocks: str | None = None) -> str:
    """One sign an hour, the fuller the more minutes it was used."""
    signs = blocks or (BLOCKS if _knows_blocks() else PLAIN)
    return "".join(signs[0] if not used else signs[min(1 + used * 8 // 61, 8)] for used in minutes)


def _knows_blocks() -> bool:
    return interactive() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _grouped(hours: Iterable[Hour]) -> dict[tuple[str, str], list[Hour]]:
    groups: dict[tuple[str, str], list[Hour]] = {}
    for hour in hours:
        groups.setdefault((hour.server, hour.model), []).append(hour)
    return groups


def _first(recorded: Recorded) -> date:
    return recorded.now.date() - timedelta(days=recorded.days)


def document(recorded: Recorded, hours: Sequence[Hour], said: Sequence[Advice]) -> dict[str, Any]:
    """The JSON form."""
    rows = [
        {"server": h.server, "model": h.model, "hour": stamp(h.begin), "kept": h.kind, "minutes": h.minutes}
        for h in hours
        if h.minutes and h.begin.date() > _first(recorded)
    ]
    told = [{"kind": one.kind, "server": one.server, "model": one.model, "text": one.text} for one in said]
    return {"records_begin": stamp(recorded.begun), "days": recorded.days, "hours": rows, "advice": told}
