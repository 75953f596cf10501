"""What `check` finds in the state file: that it is of this version, and what happens like clockwork."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta

from ollama_keeper.commands.losses import corrected
from ollama_keeper.commands.past import state_seen
from ollama_keeper.config import Config
from ollama_keeper.core.advice import Hour
from ollama_keeper.core.finding import Finding, Severity
from ollama_keeper.core.habits import DAYS, LOADED, LOST, RELOADED, RESTARTED, SHORTENING, UNLOADING, Happened, habits
from ollama_keeper.core.reasons import By, Cause
from ollama_keeper.store import FILE, SCHEMA, Entry, Past, newer, schema_of

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
        happened = [one for entry in corrected(past.events(since=since)) for one in _happened(entry, servers, now)]
    except (sqlite3.Error, OSError):
        return []
    zone = now.tzinfo
    hours = [Hour(u.server, u.model, u.hour.astimezone(zone), u.kind, u.minutes, u.size) for u in uses]
    return habits((hour for hour in hours if hour.server in servers), happened, now)


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
