"""`explain`: why a model is as it is, what happened before, and what comes next; also while the daemon is down."""

import dataclasses
import json
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any

import click

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.asked import asked, can_be_asked
from ollama_keeper.commands.losses import LOST, corrected
from ollama_keeper.commands.past import NoHistory, history, meant, nothing_of
from ollama_keeper.commands.start import EXIT_OK, EXIT_SOME_NOT, Unusable, interactive
from ollama_keeper.config import Config
from ollama_keeper.core.reasons import Reason, State
from ollama_keeper.core.record import replace
from ollama_keeper.core.timeline import Availability, Span, availability, counted, share_of, timeline
from ollama_keeper.core.units import show_duration
from ollama_keeper.core.view import GUEST, ModelRow
from ollama_keeper.report.held import held_text
from ollama_keeper.report.phrases import REASONS, number
from ollama_keeper.report.plain import json_line, stamp
from ollama_keeper.store import DAYS, Entry, Past

LINES = 40
ALSO = ("server.", "keeper.started", "keeper.stopped", "clock.")


class Asked(Enum):
    """What came of asking a daemon: it answers, none does, or there is no place to ask at."""

    ANSWERS = auto()
    SILENT = auto()
    NOBODY = auto()


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one model on one server.

    Attributes:
        live: its row in `/status`; None while no daemon answers that has it.
        seen: when the keeper last saw the server, as far as that was written.
        asked: what came of asking a daemon.
    """

    server: str
    model: str
    now: datetime
    since: datetime
    spans: tuple[Span, ...]
    events: tuple[Entry, ...]
    live: ModelRow | None
    seen: datetime | None
    month: Availability
    asked: Asked = Asked.ANSWERS


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
    known, answer = past.known(), asked(config)
    names = set(meant(name, [model for _, model in known]))
    rows = {(row.server, row.model): row for row in answer.status.models} if answer else {}
    since = max(now - timedelta(seconds=since_s), past.begun() or now)
    stories = [_story(past, key, rows.get(key), since, now) for key in known if key[1] in names]
    asked_of = Asked.ANSWERS if answer else Asked.SILENT if can_be_asked(config) else Asked.NOBODY
    return [dataclasses.replace(story, asked=asked_of) for story in stories]


def _story(past: Past, key: tuple[str, str], row: ModelRow | None, since: datetime, now: datetime) -> Story:
    seen = past.seen().get(key[0])
    until = now if row is not None or seen is None else max(seen, since)
    events = tuple(one for one in past.events(since=since) if _belongs(one, *key))
    spans = past.spans(server=key[0], model=key[1], since=min(since, now - timedelta(days=DAYS)), until=now)
    if row is not None and spans and spans[-1].state == row.state:
        spans[-1] = replace(spans[-1], end=now)  # it goes on, though that is not written yet
    month = availability(spans, now, days=DAYS)
    return Story(*key, now, since, timeline(spans, since, until), events, row, seen, month)


def _belongs(entry: Entry, server: str, model: str) -> bool:
    if entry.model is not None:
        return (entry.server, entry.model) == (server, model)
    return entry.server in {None, server} and entry.event.startswith(ALSO)


# --- in words ---------------------------------------------------------------------------------------------------------


def told(story: Story) -> list[str]:
    """The lines: the answer first, then what happened, then the sums."""
    return [*_answer(story), "", *_events(story), "", *_sums(story)]


def _answer(story: Story) -> list[str]:
    who = f"{story.model} on {story.server}"
    if story.live is None:
        return _as_of(story, who)
    row = story.live
    lines = [f"{who} is {_state(row.state, row.reason)}{_since(row.since, story.now)}"]
    if row.state == State.PAUSED:
        held = held_text(row, story.now)
        lines.append(f"{held[0].upper()}{held[1:]}.")
    lost = next((one for one in reversed(corrected(story.events)) if one.event == LOST), None)
    if not row.resident and lost is not None:
        lines.append(f"It left at {_at(lost.ts, story.now)}: {_cause(lost)}.")
    return [*lines, _next(row)]


def _as_of(story: Story, who: str) -> list[str]:
    last = story.seen or (story.spans[-1].end if story.spans else story.now)
    ago = show_duration((story.now - last).total_seconds())
    down = f"{_DOWN[story.asked]} is from {_at(last, story.now)}, {ago} ago."
    known = [span for span in story.spans if span.begin < last]
    if not known:
        return [down, f"Nothing is known of {who} in this time."]
    was = known[-1]
    return [
        f"{who} was {_state(was.state, was.reason)}{_since(was.begin.isoformat(), story.now, last)}",
        down,
        _REMEDY[story.asked],
    ]


_DOWN = {
    Asked.ANSWERS: "The ollama-keeper that runs here does not keep it; the last sign of one that did",
    Asked.SILENT: "No ollama-keeper answers; the last sign of one",
    Asked.NOBODY: "web.socket and web.listen are off, so no ollama-keeper was asked; the last sign of one",
}
_REMEDY = {
    Asked.ANSWERS: "Nothing keeps it now; next: name it in models, or to ollama-keeper run.",
    Asked.SILENT: "Nothing keeps it now; next: start ollama-keeper run.",
    Asked.NOBODY: "What comes next is not known here.",
}


def _state(state: str, reason: str | None) -> str:
    name = "resident, but not kept here" if state == GUEST else state.replace("_", " ")
    return f"{name} ({REASONS.get(reason, reason)})" if reason and state != State.PAUSED else name


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


_RESTS: dict[str, str] = {
    State.READY: "only looks.",
    State.DEGRADED: "only looks.",
    State.LOADING: "the load that is under way ends.",
    State.REFUSED: "nothing, until its configuration changes.",
    State.COLD: "it waits; nothing is foreseen until something changes.",
}
_WAITS: dict[str, str] = {
    Reason.OBSERVED_ONLY: "only looks, as contention: observe says, until a client loads it.",
    Reason.SERVER_DOWN: "the server is asked again each 30s at the latest; what is absent is loaded once it answers.",
    Reason.FIRST_LOOK: "the first answer of the server.",
    Reason.SCHEDULER_HUNG: "nothing is loaded until Ollama's scheduler moves: unload any model, or restart Ollama.",
}


def _next(row: ModelRow) -> str:
    step, in_s = row.next, row.next_s
    if row.state == GUEST:
        return _REMEDY[Asked.ANSWERS]
    if step is None and row.state == State.PAUSED:
        return "Next: it is left alone until it is resumed."
    if step is None and row.left_alone:
        return (
            "Next: only looks. Two requests of ours loaded it anew within a day, so it is neither pinged nor pinned"
            " again until its configuration changes."
        )
    if step is None:
        return f"Next: {_WAITS.get(row.reason or '') or _RESTS.get(row.state, _RESTS[State.COLD])}"
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
        f"In 30 days: {_warm(month.warm_s, month.wanted_s)} ({number(len(story.month.days), 'day')} on record)."
    )
    return lines


def _warm(warm_s: float, wanted_s: float) -> str:
    return f"warm {100 * warm_s / wanted_s:.1f} % of the time it was wanted" if wanted_s > 0 else "never wanted"


def losses_by_cause(events: Sequence[Entry]) -> dict[str, int]:
    """How often the model was lost, by what the cause turned out to be; what the keeper gave back itself is no loss."""
    found: dict[str, int] = {}
    for one in corrected(events):
        if one.event == LOST and one.fields.get("reason") != "released":
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
        "status": dataclasses.asdict(story.live) if story.live else None,
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
