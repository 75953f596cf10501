"""`status`: what is resident, straight from the servers."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.start import (
    EXIT_CONFIG,
    EXIT_NOBODY,
    EXIT_OK,
    EXIT_SOME_NOT,
    Unusable,
    configuration,
    interactive,
)
from ollama_keeper.config import Config
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.core.view import GUEST, READYZ, ModelRow, Status, document, snapshot
from ollama_keeper.store import open_store

ANSWER_WITHIN_S = 5.0
EVERY_S = 1.0


def status(
    path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, as_json: bool, again: bool = False
) -> int:
    """Shows the models; see `ollama-keeper status --help`."""
    try:
        config = configuration(path, models, flags, models_required=False)
        return asyncio.run(_again(config, as_json=as_json) if again else _status(config, as_json=as_json))
    except Unusable:
        return EXIT_CONFIG
    except KeyboardInterrupt:  # how --watch ends
        return EXIT_OK


async def _again(config: Config, *, as_json: bool) -> int:
    """Shows the models until it is interrupted: on a terminal in place, in a pipe whenever something has changed."""
    store = open_store(config.state_dir, report=lambda _: None, read_only=True)
    async with watching(config, store, say=lambda _: None, dry_run=True) as watch:
        with _screen() as show:
            while True:
                await watch.until(lambda: False, timeout_s=EVERY_S)
                shown = seen_once(snapshot((server.memory for server in watch.servers), watch.clock.now()))
                if as_json:
                    show(json.dumps(document(shown), ensure_ascii=False), _timeless(shown))
                else:
                    show(table := _table(watch, shown.models), table)


@contextmanager
def _screen() -> Iterator[Callable[[str, object], None]]:
    """Where a text is shown that replaces the one before it; in a pipe only where what it stands for has changed."""
    if interactive():
        from rich.live import Live
        from rich.text import Text

        with Live(auto_refresh=False) as live:
            yield lambda text, _: live.update(Text(text), refresh=True)
        return
    before: list[object] = [None]

    def show(text: str, what: object) -> None:
        if what != before[0]:
            before[0] = what
            click.echo(text)

    yield show


async def _status(config: Config, *, as_json: bool) -> int:
    store = open_store(config.state_dir, report=lambda _: None, read_only=True)
    async with watching(config, store, say=lambda _: None, dry_run=True) as watch:
        await watch.until(watch.all_told, timeout_s=ANSWER_WITHIN_S)
        shown = seen_once(snapshot((server.memory for server in watch.servers), watch.clock.now()))
        text = json.dumps(document(shown), indent=2, ensure_ascii=False)
        click.echo(text if as_json else _table(watch, shown.models))
        return _code(watch, shown.models)


def seen_once(status: Status) -> Status:
    """The same as seen by one look: who looks once loads nothing, foresees nothing, and does not know since when."""
    servers = tuple(replace(row, since=None) for row in status.servers)
    return replace(status, servers=servers, models=tuple(_seen_once(row) for row in status.models))


def _timeless(status: Status) -> Status:
    """The same without the moments of its looks."""
    return replace(status, at="", servers=tuple(replace(row, looked=None) for row in status.servers))


def _seen_once(row: ModelRow) -> ModelRow:
    row = replace(row, since=None, next=None, next_s=None)
    return replace(row, state=State.COLD.value, reason=None) if row.state == State.QUEUED.value else row


def _code(watch: Watch, rows: Sequence[ModelRow]) -> int:
    if watch.nobody_answered():
        return EXIT_NOBODY
    unready = (row.required and READYZ[State(row.state)] is False for row in rows if row.state != GUEST)
    return EXIT_SOME_NOT if any(unready) else EXIT_OK


def _table(watch: Watch, rows: Sequence[ModelRow]) -> str:
    """A table for people: columns as wide as needed, silent servers named below."""
    lines = []
    if rows:
        several = len(watch.servers) > 1
        cells = [_HEAD, *(_cells(row) for row in rows)]
        cells = [line if several else line[1:] for line in cells]
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
        ]
    for server in watch.servers:
        memory = server.memory
        if memory.state is ServerState.WAITING:
            why = memory.failure.value if memory.failure else "silent"
            lines.append(f"{memory.server}: no answer ({why}); is Ollama running there?")
        elif not any(row.server == memory.server for row in rows):
            lines.append(f"{memory.server}: Ollama {memory.version}, nothing resident")
    return "\n".join(lines)


_HEAD = ("SERVER", "MODEL", "STATE", "UNTIL", "CONTEXT", "GPU", "SIZE")


def _cells(row: ModelRow) -> tuple[str, ...]:
    state = f"{row.state} ({row.reason})" if row.reason else row.state
    return (row.server, row.model, state, _until(row), _known(row.context_length), _gpu(row), _size(row))


def _until(row: ModelRow) -> str:
    if row.remaining_s is None:
        return row.until or "-"
    return show_duration(row.remaining_s) if row.remaining_s > 0 else "stopping"


def _known(value: object) -> str:
    return "-" if value is None else str(value)


def _gpu(row: ModelRow) -> str:
    return "-" if row.gpu_fraction is None else f"{row.gpu_fraction:.0%}"


def _size(row: ModelRow) -> str:
    return "-" if row.size_bytes is None else show_size(row.size_bytes)
