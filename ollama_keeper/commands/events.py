"""`events`: what happened, from the history; works without a daemon."""

import time
from datetime import timedelta
from pathlib import Path

import click

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.past import NoHistory, history, meant
from ollama_keeper.commands.start import EXIT_OK, EXIT_SOME_NOT, Unusable, interactive
from ollama_keeper.report.console import console_line
from ollama_keeper.report.plain import json_line, stamp
from ollama_keeper.store import Entry, Past

FOLLOW_EVERY_S = 1.0


def events(
    path: Path | None, *, since_s: float, model: str | None, server: str | None, as_json: bool, follow: bool
) -> int:
    """Shows what happened; see `ollama-keeper events --help`."""
    try:
        with history(path) as (_, past):
            return _show(past, since_s, model, server, as_json=as_json, follow=follow)
    except Unusable as unusable:
        return unusable.code
    except NoHistory:
        return EXIT_SOME_NOT
    except (KeyboardInterrupt, BrokenPipeError):  # how --follow ends
        return EXIT_OK


def _show(past: Past, since_s: float, model: str | None, server: str | None, *, as_json: bool, follow: bool) -> int:
    since, last = SystemClock().now().wall - timedelta(seconds=since_s), 0
    while True:
        models = None if model is None else [model, *meant(model, [name for _, name in past.known()])]
        for entry in past.events(since=since, server=server, models=models, after=last):
            click.echo(line(entry, as_json=as_json))
            last = entry.id
        if not follow:
            return EXIT_OK
        time.sleep(FOLLOW_EVERY_S)


def line(entry: Entry, *, as_json: bool) -> str:
    """The line of an event, as the log has it."""
    head = {"ts": stamp(entry.ts), "level": entry.level, "event": entry.event}
    if as_json:
        named = {"server": entry.server, "model": entry.model}
        return json_line(head | {key: value for key, value in named.items() if value} | dict(entry.fields))
    more = {key: entry.fields[key] for key in ("hint", "repeated") if key in entry.fields}
    return console_line({**head, "said": entry.said, **more}, colours=interactive())
