"""`status`: what is resident, straight from the servers."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.start import EXIT_CONFIG, EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT, Unusable, configuration
from ollama_keeper.config import Config
from ollama_keeper.core.facts import Listed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.ownership import pinned
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.states import resident, state_of
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.server import Server
from ollama_keeper.store import open_store

ANSWER_WITHIN_S = 5.0
GUEST = "guest"


@dataclass(frozen=True, slots=True)
class Row:
    """One model on one server, as it is told.

    Attributes:
        until: RFC 3339 of the expiry, `forever`, or None when not resident.
        remaining_s: None for a pin, and when not resident.
        state: of a wanted model; `guest` for a resident model that is not wanted.
    """

    server: str
    model: str
    state: str
    reason: str | None
    resident: bool
    required: bool
    until: str | None = None
    remaining_s: float | None = None
    context_length: int | None = None
    gpu_fraction: float | None = None
    size_bytes: int | None = None
    vram_bytes: int | None = None


def status(path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, as_json: bool) -> int:
    """Shows the models; see `ollama-keeper status --help`."""
    try:
        config = configuration(path, models, flags, models_required=False)
        return asyncio.run(_status(config, as_json=as_json))
    except Unusable:
        return EXIT_CONFIG


async def _status(config: Config, *, as_json: bool) -> int:
    store = open_store(config.state_dir, report=lambda _: None, read_only=True)
    async with watching(config, store, say=lambda _: None, dry_run=True) as watch:
        await watch.until(lambda: all(_asked(server) for server in watch.servers), timeout_s=ANSWER_WITHIN_S)
        rows = [row for server in watch.servers for row in rows_of(server.memory, watch.clock.now())]
        click.echo(_json(watch, rows) if as_json else _table(watch, rows))
        return _code(watch, rows)


def rows_of(memory: ServerMemory, now: Instant) -> list[Row]:
    """The wanted models of a server in the order of their ranks, then its guests."""
    wanted = [_wanted(model, memory, now) for model in memory.models]
    guests = [
        Row(
            memory.server,
            guest.listed.text,
            GUEST,
            None,
            resident=True,
            required=False,
            **_listed(guest.listed, memory, now),
        )
        for guest in memory.guests()
    ]
    return [*wanted, *guests]


def _wanted(model: ModelMemory, memory: ServerMemory, now: Instant) -> Row:
    state, reason = state_of(model, memory, now)
    if state is State.QUEUED:  # nobody loads it from here: it is absent, and no more is known without a daemon
        state, reason = State.COLD, None
    seen = _listed(model.listed, memory, now) if model.listed else {}
    return Row(
        memory.server,
        model.model,
        state.value,
        reason.value if reason else None,
        resident=resident(model),
        required=model.policy.required,
        **seen,
    )


def _listed(listed: Listed, memory: ServerMemory, now: Instant) -> dict[str, Any]:
    left_s = memory.remaining_s(listed, now)
    return {
        "until": "forever" if pinned(left_s) else listed.expires_at.isoformat(timespec="seconds"),
        "remaining_s": None if pinned(left_s) else round(left_s, 1),
        "context_length": listed.context_length,
        "gpu_fraction": None if listed.gpu_fraction is None else round(listed.gpu_fraction, 3),
        "size_bytes": listed.size,
        "vram_bytes": listed.size_vram,
    }


def _asked(server: Server) -> bool:
    """Whether a server has told all it knows, or will tell nothing."""
    memory = server.memory
    if memory.state is ServerState.WAITING:
        return memory.failures > 0
    return memory.tagged is not None and not server.asking


def _code(watch: Watch, rows: Sequence[Row]) -> int:
    if watch.nobody_answered():
        return EXIT_NOBODY
    good = {State.READY.value, State.DEGRADED.value}
    return EXIT_SOME_NOT if any(row.required and row.state not in good for row in rows) else EXIT_OK


def _json(watch: Watch, rows: Sequence[Row]) -> str:
    servers = [
        {
            "name": server.memory.server,
            "state": server.memory.state.value,
            "version": server.memory.version,
            "reason": server.memory.failure.value if server.memory.failure else None,
        }
        for server in watch.servers
    ]
    return json.dumps(
        {"version": 1, "servers": servers, "models": [asdict(row) for row in rows]}, indent=2, ensure_ascii=False
    )


def _table(watch: Watch, rows: Sequence[Row]) -> str:
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


def _cells(row: Row) -> tuple[str, ...]:
    state = f"{row.state} ({row.reason})" if row.reason else row.state
    return (row.server, row.model, state, _until(row), _known(row.context_length), _gpu(row), _size(row))


def _until(row: Row) -> str:
    if row.remaining_s is None:
        return row.until or "-"
    return show_duration(row.remaining_s) if row.remaining_s > 0 else "stopping"


def _known(value: object) -> str:
    return "-" if value is None else str(value)


def _gpu(row: Row) -> str:
    return "-" if row.gpu_fraction is None else f"{row.gpu_fraction:.0%}"


def _size(row: Row) -> str:
    return "-" if row.size_bytes is None else show_size(row.size_bytes)
