"""`explain`: why a model is as it is, what happened before, and what comes next; also while the daemon is down."""

import dataclasses
import json
import shutil
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.past import NoHistory, history, meant, nothing_of
from ollama_keeper.commands.start import EXIT_OK, EXIT_SOME_NOT, Unusable, interactive
from ollama_keeper.config import Config
from ollama_keeper.core.record import replace
from ollama_keeper.core.timeline import Availability, Span, counted, share_of, timeline
from ollama_keeper.core.units import show_duration
from ollama_keeper.report.phrases import REASONS, number
from ollama_keeper.report.plain import json_line, stamp
from ollama_keeper.store import Entry, Past
from ollama_keeper.web.asking import NoDaemon, status

LINES = 40
ALSO = ("server.", "keeper.started", "keeper.stopped", "clock.")


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one model on one server.

    Attributes:
        live: its row in `/status`; None while no daemon answers.
        seen: when the keeper last saw the server, as far as that was written.
        asked: whether there was an address to ask a daemon at.
    """

    server: str
    model: str
    now: datetime
    since: datetime
    spans: tuple[Span, ...]
    events: tuple[Entry, ...]
    live: Mapping[str, Any] | None
    seen: datetime | None
    month: Availability
    asked: bool = True


def explain(path: Path | None, model: str, *, since_s: float, as_json: bool) -> int:
    """Tells the story of a model; see `ollama-keeper explain --help`."""
    try:
        with history(path) as (config, past):
            stories = _stories(config, past, model, since_s)
            known = list(dict.fromkeys(name for _, name in past.known()))
    except Unusable as unusable:
        return unusable.code
    except NoHistory:
        return EXIT_SOME_NOT
    if not stories:
        return nothing_of(model, config, known)
    if as_json:
        click.echo(json.dumps([document(story) for story in stories], indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(_fitted(told(story)) for story in stories))
    return EXIT_OK


def _stories(config: Config, past: Past, name: str, since_s: float) -> list[Story]:
    now = SystemClock().now().wall.astimezone()
    known, live = past.known(), _live(config)
    names = set(meant(name, [model for _, model in known]))
    rows = {(row["server"], row["model"]): row for row in live or ()}
    since = max(now - timedelta(seconds=since_s), past.begun() or now)
    stories = [_story(past, key, rows.get(key), since, now) for key in known if key[1] in names]
    return stories if config.web.listen else [dataclasses.replace(story, asked=False) for story in stories]


def _story(past: Past, key: tuple[str, str], row: Mapping[str, Any] | None, since: datetime, now: datetime) -> Story:
    seen = past.seen().get(key[0])
    until = now if row is not None or seen is None else max(seen, since)
    events = tuple(one for one in past.events(since=since) if _belongs(one, *key))
    spans = past.spans(server=key[0], model=key[1], since=since, until=now)
    if row is not None and spans and spans[-1].state == row["state"]:
        spans[-1] = replace(spans[-1], end=now)  # it goes on, though that is not written yet
    month = past.availability(*key, now)
    return Story(*key, now, since, timeline(spans, since, until), events, row, seen, month)


def _belongs(entry: Entry, server: str, model: str) -> bool:
    if entry.model is not None:
        return (entry.server, entry.model) == (server, model)
    return entry.server in {None, server} and entry.event.startswith(ALSO)


def _live(config: Config) -> Sequence[Mapping[str, Any]] | None:
    """The models as the daemon has them now; None where none answers."""
    if config.web.listen is None:
        return None
    try:
        models: Sequence[Mapping[str, Any]] = status(config.web.listen)["models"]
    except NoDaemon:
        return None
    return models


# --- in words ---------------------------------------------------------------------------------------------------------


def told(story: Story) -> list[str]:
    """The lines: the answer first, then what happened, then the sums."""
    return [*_answer(story), "", *_events(story), "", *_sums(story)]


def _answer(story: Story) -> list[str]:
    who = f"{story.model} on {story.server}"
    if story.live is None:
        return _as_of(story, who)
    state, reason = story.live["state"], story.live["reason"]
    lines = [f"{who} is {_state(state, reason)}{_since(story.live.get('since'), story.now)}"]
    lost = next((one for one in reversed(story.events) if one.event == "model.lost"), None)
    if not story.live["resident"] and lost is not None:
        lines.append(f"It left at {_at(lost.ts, story.now)}: {_cause(lost)}.")
    return [*lines, _next(story.live)]


def _as_of(story: Story, who: str) -> list[str]:
    last = story.seen or (story.spans[-1].end if story.spans else story.now)
    ago = show_duration((story.now - last).total_seconds())
    down = "No ollama-keeper answers" if story.asked else "web.listen is off, so no ollama-keeper was asked"
    down = f"{down}; the last sign of one is from {_at(last, story.now)}, {ago} ago."
    known = [span for span in story.spans if span.begin < last]
    if not known:
        return [down, f"Nothing is known of {who} in this time."]
    was = known[-1]
    return [
        f"{who} was {_state(was.state, was.reason)}{_since(was.begin.isoformat(), story.now, last)}",
        down,
        "Nothing keeps it now; next: start ollama-keeper run." if story.asked else "What comes next is not known here.",
    ]


def _state(state: str, reason: str | None) -> str:
    name = state.replace("_", " ")
    return f"{name} ({REASONS.get(reason, reason)})" if reason else name


def _since(since: str | None, now: datetime, until: datetime | None = None) -> str:
    if since is None:
        return ""
    begin = datetime.fromisoformat(since)
    return f" since {_at(begin, now)} ({show_duration(max(((until or now) - begin).total_seconds(), 0))})"


_STEPS = {
    "warm": "it is warmed",
    "ping": "a ping",
    "repin": "its pin is restored",
    "probe": "a probe",
    "unload": "it is unloaded",
    "resume": "its pause ends",
    "pull": "it is pulled",
}


def _next(row: Mapping[str, Any]) -> str:
    step, in_s = row.get("next"), row.get("next_s")
    if step is None:
        ready = row["state"] in {"ready", "degraded"}
        return "Next: only looks." if ready else "Next: it waits; nothing is foreseen until something changes."
    when = "when its turn comes" if in_s is None else "now" if in_s <= 0 else f"in {show_duration(in_s)}"
    return f"Next: {_STEPS.get(step, step)} {when}."


def _cause(lost: Entry) -> str:
    cause, by = lost.fields.get("cause"), lost.fields.get("displaced_by")
    said = REASONS.get(str(cause), str(cause))
    return f"{said} ({by})" if by else said


def _events(story: Story) -> list[str]:
    shown = story.events[-LINES:]
    since = f"since {_at(story.since, story.now)}"
    if not shown:
        return [f"Nothing happened {since}."]
    lines = [f"What happened {since}:"]
    if len(story.events) > LINES:
        more = len(story.events) - LINES
        lines.append(f"  … {number(more, 'line')} before: ollama-keeper events --model {story.model}")
    return [*lines, *(f"  {_at(one.ts, story.now)}  {_brief(one, story)}" for one in shown)]


def _brief(one: Entry, story: Story) -> str:
    text = one.said.replace(f"{story.model} on {story.server}", "it", 1) if one.model else one.said
    repeated = one.fields.get("repeated")
    return f"{text} ({repeated} times more)" if repeated else text


def _sums(story: Story) -> list[str]:
    totals = [share_of(span) for span in story.spans]
    wanted, warm = sum(one.wanted_s for one in totals), sum(one.warm_s for one in totals)
    unseen = sum(
        span.seconds for span in story.spans if span.state == "unknown" and not counted("unknown", span.reason)[0]
    )
    lines = [f"Warm {show_duration(warm)} of {show_duration(wanted)} wanted{_percent(warm, wanted)}"]
    if unseen >= 1:
        lines[0] += f"; not seen: {show_duration(unseen)}"
    lines[0] += f"; cold {show_duration(max(wanted - warm, 0))}."
    losses = losses_by_cause(story.events)
    if losses:
        lines.append("Losses: " + ", ".join(f"{count} {cause}" for cause, count in losses.items()) + ".")
    month = story.month.total
    lines.append(
        f"In 30 days{_percent(month.warm_s, month.wanted_s)}: {number(len(story.month.days), 'day')} on record."
    )
    return lines


def losses_by_cause(events: Sequence[Entry]) -> dict[str, int]:
    """How often the model was lost, by cause; what the keeper gave back itself is no loss."""
    found: dict[str, int] = {}
    for one in events:
        if one.event == "model.lost" and one.fields.get("reason") != "released":
            cause = str(one.fields.get("cause"))
            found[cause] = found.get(cause, 0) + 1
    return found


def _percent(warm_s: float, wanted_s: float) -> str:
    return f" ({100 * warm_s / wanted_s:.1f} %)" if wanted_s > 0 else ""


def _at(moment: datetime, now: datetime) -> str:
    local = moment.astimezone(now.tzinfo)
    return local.strftime("%H:%M:%S" if local.date() == now.date() else "%m-%d %H:%M:%S")


def _fitted(lines: Sequence[str]) -> str:
    """Lines no wider than the terminal, continued below their text."""
    if not interactive():
        return "\n".join(lines)
    width = max(shutil.get_terminal_size().columns, 40)
    fitted: list[str] = []
    for line in lines:
        below = " " * (12 if line.startswith("  ") else 2)
        fitted += textwrap.wrap(line, width, subsequent_indent=below) or [""]
    return "\n".join(fitted)


# --- for programs -----------------------------------------------------------------------------------------------------


def document(story: Story) -> dict[str, Any]:
    """The JSON form."""
    totals = [share_of(span) for span in story.spans]
    return {
        "server": story.server,
        "model": story.model,
        "now": stamp(story.now),
        "daemon": story.live is not None,
        "last_seen": stamp(story.seen) if story.seen else None,
        "status": story.live,
        "spans": [_span(span) for span in story.spans],
        "events": [json.loads(json_line(_event(one))) for one in story.events],
        "wanted_s": round(sum(one.wanted_s for one in totals), 1),
        "warm_s": round(sum(one.warm_s for one in totals), 1),
        "losses": losses_by_cause(story.events),
        "availability_30d": story.month.total.share,
    }


def _span(span: Span) -> dict[str, Any]:
    how = {"state": span.state, "reason": span.reason, "resident": span.resident}
    return {**how, "begin": stamp(span.begin), "end": stamp(span.end)}


def _event(one: Entry) -> dict[str, Any]:
    head = {"ts": stamp(one.ts), "level": one.level, "event": one.event, "server": one.server, "model": one.model}
    return {key: value for key, value in head.items() if value} | dict(one.fields)
