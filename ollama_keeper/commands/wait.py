"""`wait`: blocks until every model is resident, and loads nothing."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from ollama_keeper.commands.asked import with_kept
from ollama_keeper.commands.handed import UNWANTED, Key, held
from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.progress import Progress, Usual, progress
from ollama_keeper.commands.start import (
    EXIT_NOBODY,
    EXIT_OK,
    EXIT_SOME_NOT,
    Unusable,
)
from ollama_keeper.commands.status_table import silent_text
from ollama_keeper.commands.warm import ready_text
from ollama_keeper.config import Config
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.reasons import State
from ollama_keeper.core.states import state_of
from ollama_keeper.core.view import model_row
from ollama_keeper.report.held import held_text
from ollama_keeper.report.phrases import REASONS
from ollama_keeper.server import Server
from ollama_keeper.store import open_store

READY = frozenset({State.READY, State.DEGRADED})


def wait(path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, timeout_s: float) -> int:
    """Waits for each model; see `ollama-keeper wait --help`."""
    try:
        config = with_kept(path, models, flags)
        for (server, model), why in held(config).items():
            click.echo(f"{server}: {model}: {why}", err=True)
        return asyncio.run(_wait(config, timeout_s))
    except Unusable as unusable:
        return unusable.code


async def _wait(config: Config, timeout_s: float) -> int:
    store = open_store(None, report=lambda _: None)
    async with watching(config, store, say=lambda _: None, dry_run=True) as watch:
        with progress(watch.servers, usual=_usual(config)) as show:
            told: set[tuple[str, str]] = set()
            await watch.until(lambda: _all_told(watch, told, show), timeout_s=timeout_s)
            return _code(watch, show, held(config))


def _usual(config: Config) -> Usual:
    """How long loads took a keeper on this machine; nothing else of what it keeps is of use here."""
    store = open_store(config.state_dir, report=lambda _: None, read_only=True)
    kept = ((server.address.name, one) for server in config.servers for one in store.read(server.address.name))
    known = {(name, one.model): one.document.get("shortest_load_s") for name, one in kept}
    return {key: seconds for key, seconds in known.items() if isinstance(seconds, int | float)}


def _all_told(watch: Watch, told: set[tuple[str, str]], show: Progress) -> bool:
    """Tells of models as they become ready; true once nothing is left to wait for."""
    for server, model in _models(watch):
        key = server.memory.server, model.model
        state, _ = state_of(model, server.memory, server.now())
        if state in READY and key not in told:
            told.add(key)
            show.line(f"{key[0]}: {key[1]}: {ready_text(model, state)}")
    show.refresh()
    return all(_settled(server, model) for server, model in _models(watch))


def _settled(server: Server, model: ModelMemory) -> bool:
    state, _ = state_of(model, server.memory, server.now())
    return state in READY or state is State.REFUSED


def _code(watch: Watch, show: Progress, held: Mapping[Key, str]) -> int:
    if watch.nobody_answered():
        for server in watch.servers:
            failure = server.memory.failure
            show.line(f"{server.memory.server}: {silent_text(failure and failure.value)}")
        return EXIT_NOBODY
    code = EXIT_OK
    for server, model in _models(watch):
        if state_of(model, server.memory, server.now())[0] not in READY:
            code = EXIT_SOME_NOT
            key = server.memory.server, model.model
            show.line(f"{key[0]}: {key[1]}: {_why(model, server, held.get(key))}")
    return code


def _why(model: ModelMemory, server: Server, held: str | None) -> str:
    """Why a model is not resident in the end, and what ends that; `held` as the daemon says it."""
    state, reason = state_of(model, server.memory, server.now())
    if state is State.REFUSED and reason is not None:
        return f"refused ({REASONS[reason]})"
    if held is None and state in UNWANTED:
        held = held_text(model_row(model, server.memory, server.now()), server.now().wall)
    if held is None and state is State.MISSING:
        held = f"not pulled: ollama pull {model.model}"
    return f"not resident in time; {held}" if held else "not resident in time"


def _models(watch: Watch) -> Iterator[tuple[Server, ModelMemory]]:
    for server in watch.servers:
        for model in server.memory.models:
            yield server, model
