"""What `check` finds in the state file: that it is of this version, and what happens like clockwork."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from ollama_keeper.commands.losses import corrected
from ollama_keeper.commands.past import state_seen
from ollama_keeper.config import Config
from ollama_keeper.core.advice import Hour
from ollama_keeper.core.finding import Finding, Severity
from ollama_keeper.core.habits import DAYS, LOADED, LOST, RELOADED, RESTARTED, SHORTENING, UNLOADING, Happened, habits
from ollama_keeper.core.reasons import By, Cause
from ollama_keeper.report.phrases import REASONS
from ollama_keeper.store import FILE, SCHEMA, Entry, Past, newer, schema_of

A_DAY = timedelta(days=1)
BY_OTHERS = {Cause.DISPLACED, Cause.UNLOADED}


def of_state(config: Config) -> Iterator[Finding]:
    """That another version wrote the file; nothing where there is none, or it cannot be read."""
    folder = state_seen(config)
    path = folder / FILE if folder else None
    version = schema_of(path) if path else None
    if version and version > SCHEMA:
        yield Finding(
            Severity.WARNING,
            "state_newer",
            f"{path}: {newer(version)}",
            "it is left alone: what was loaded, learned and paused is not known, and nothing is recorded",
            "update ollama-keeper, or name another state_dir",
        )
    elif version and version < SCHEMA:
        yield Finding(
            Severity.NOTE,
            "state_older",
            f"{path}: an older ollama-keeper wrote it (schema {version}, this one's is {SCHEMA})",
            "commands that look at the past know only what it holds",
            "nothing; ollama-keeper run brings it up to date, and keeps what is in it",
        )


def of_history(config: Config, now: datetime) -> list[Finding]:
    """What the history of the servers of a configuration tells; nothing where there is none, or it cannot be read.

    Args:
        now: in the zone in which times of the day are told.
    """
    folder = state_seen(config)
    if folder is None:
        return []
    past, since = Past(folder / FILE), now - timedelta(days=DAYS)
    servers = {server.address.name: {policy.model for policy in server.policies} for server in config.servers}
    try:
        uses = past.uses(since=since)
        events = corrected(past.events(since=since))
    except (sqlite3.Error, OSError):
        return []
    happened = [one for entry in events for one in _happened(entry, servers, now)]
    zone = now.tzinfo
    hours = [Hour(u.server, u.model, u.hour.astimezone(zone), u.kind, u.minutes, u.size) for u in uses]
    found = habits((hour for hour in hours if hour.server in servers), happened, now)
    return [*found, *not_loading(events, servers, now)]


def not_loading(events: Iterable[Entry], servers: dict[str, set[str]], now: datetime) -> Iterator[Finding]:
    """The wanted models whose loads have failed within a day, and that were not resident since; events oldest first."""
    failed: dict[tuple[str, str], list[Entry]] = {}
    for one in events:
        if one.server is None or one.model is None or one.model not in servers.get(one.server, ()):
            continue
        if one.event == "warm.failed" and now - one.ts <= A_DAY:
            failed.setdefault((one.server, one.model), []).append(one)
        elif one.event in {"model.ready", "model.degraded"}:
            failed.pop((one.server, one.model), None)
    for (server, model), entries in failed.items():
        last = entries[-1].fields
        yield Finding(
            Severity.WARNING,
            "not_loading",
            f"its last load failed: {REASONS.get(str(last.get('reason')), 'unknown why')}; {len(entries)} in a row",
            "it is tried again less and less often",
            str(last.get("hint") or f"see ollama-keeper explain {model}, and the log of Ollama"),
            server,
            model,
        )


def _happened(entry: Entry, servers: dict[str, set[str]], now: datetime) -> Iterator[Happened]:
    """What others did, as an event tells it; nothing where it was us."""
    if entry.server not in servers:
        return
    fields = entry.fields
    match entry.event:
        case "model.ready" if fields.get("by") == By.CLIENT:
            what = LOADED
        case "model.reloaded" if fields.get("by") == By.CLIENT:
            what = RELOADED
        case "model.lost" if fields.get("cause") in BY_OTHERS and entry.level == "warning":
            if fields.get("displaced_by") in servers[entry.server]:
                return
            what = LOST
            if fields["cause"] == Cause.UNLOADED:
                yield Happened(entry.server, entry.model, UNLOADING, entry.ts.astimezone(now.tzinfo))
        case "model.repinned":
            what = SHORTENING
        case "server.restarted":
            what = RESTARTED
        case _:
            return
    yield Happened(entry.server, entry.model, what, entry.ts.astimezone(now.tzinfo))
