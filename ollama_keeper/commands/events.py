"""`events`: what happened, from the history; works without a daemon."""

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.guess import guess, shown
from ollama_keeper.commands.past import NoHistory, history, kept_by, meant, nothing_of
from ollama_keeper.commands.start import EXIT_OK, EXIT_SOME_NOT, EXIT_USAGE, Unusable, interactive
from ollama_keeper.config import Config
from ollama_keeper.core.units import show_duration
from ollama_keeper.report.console import console_line
from ollama_keeper.report.output import wants_colours
from ollama_keeper.report.plain import json_line, stamp
from ollama_keeper.store import Entry, Past

FOLLOW_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shown: how far back, of whom, as what, and whether it goes on."""

    since_s: float
    model: str | None
    server: str | None
    as_json: bool
    follow: bool


def events(
    path: Path | None, *, since_s: float, model: str | None, server: str | None, as_json: bool, follow: bool
) -> int:
    """Shows what happened; see `ollama-keeper events --help`."""
    wanted = Wanted(since_s, model, server, as_json=as_json, follow=follow)
    try:
        with history(path) as (config, past):
            return _unknown(config, past, wanted) or _show(past, wanted)
    except Unusable as unusable:
        return unusable.code
    except NoHistory:
        return EXIT_SOME_NOT
    except KeyboardInterrupt:  # how --follow ends
        return EXIT_OK


def _unknown(config: Config, past: Past, wanted: Wanted) -> int:
    """Says which name means nothing here; 0 where all do."""
    known = past.known()
    models = [name for _, name in known]
    waits_for = kept_by(config) if wanted.follow else []
    if wanted.model is not None and not meant(wanted.model, [*models, *waits_for]):
        return nothing_of(wanted.model, config, models)
    servers = [server.address.name for server in config.servers] + [name for name, _ in known] + list(past.seen())
    if wanted.server is not None and wanted.server not in servers:
        hint = guess(wanted.server, servers)
        click.echo(f"ollama-keeper: --server: no server is named {shown(wanted.server)}\nTry: {hint}", err=True)
        return EXIT_USAGE
    return EXIT_OK


def _show(past: Past, wanted: Wanted) -> int:
    since, last = SystemClock().now().wall - timedelta(seconds=wanted.since_s), 0
    while True:
        models = None if wanted.model is None else meant(wanted.model, [name for _, name in past.known()])
        for entry in past.events(since=since, server=wanted.server, models=models, after=last):
            click.echo(line(entry, as_json=wanted.as_json))
            last = entry.id
        if not wanted.follow:
            return _over(last, wanted)
        time.sleep(FOLLOW_EVERY_S)


def _over(last: int, wanted: Wanted) -> int:
    """Says that there was nothing, where there was nothing."""
    if not last:
        of = "".join(f" of {name}" for name in (wanted.model, wanted.server) if name)
        click.echo(f"ollama-keeper: nothing{of} in the last {show_duration(wanted.since_s)}; see --since", err=True)
    return EXIT_OK


def line(entry: Entry, *, as_json: bool) -> str:
    """The line of an event, as the log has it."""
    head = {"ts": stamp(entry.ts), "level": entry.level, "event": entry.event}
    if as_json:
        named = {"server": entry.server, "model": entry.model}
        return json_line(head | {key: value for key, value in named.items() if value} | dict(entry.fields))
    more = {key: entry.fields[key] for key in ("hint", "repeated") if key in entry.fields}
    return console_line({**head, "said": entry.said, **more}, colours=interactive() and wants_colours())
