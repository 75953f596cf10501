"""`warm`: every model once, one at a time, in order of importance; by the daemon, where one keeps it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from ollama_keeper.commands.asked import with_kept
from ollama_keeper.commands.handed import UNWANTED, Handed, await_daemon, hand_over, without
from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.progress import Progress, progress, pulled_text, say_pulled
from ollama_keeper.commands.start import (
    EXIT_NOBODY,
    EXIT_OK,
    EXIT_SOME_NOT,
    Unusable,
)
from ollama_keeper.commands.status_table import silent_text
from ollama_keeper.config import Config
from ollama_keeper.core.changes import Change, ModelLost, PullFailed, PullProgress, PullStarted, WarmFailed, WarmStarted
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.pulls import to_be_pulled
from ollama_keeper.core.reasons import TRANSPORT_FAILURES, ServerState, State, Unpulled
from ollama_keeper.core.states import state_of
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.core.view import model_row
from ollama_keeper.report.held import held_text
from ollama_keeper.report.phrases import REASONS
from ollama_keeper.server import Server
from ollama_keeper.store import open_store

DONE = frozenset({State.READY, State.DEGRADED})
HOPELESS = frozenset({State.REFUSED, State.MISSING, State.CONTENDED, State.YIELDING, State.BACKING_OFF})
"""In these a model is not loaded by this call, and the words of the state say so."""
SETTINGS = frozenset({"keep_alive", "context_length"})
CUT = frozenset({*TRANSPORT_FAILURES, Unpulled.PULL_STALLED})


@dataclass
class Outcomes:
    """What has become of each model, by server and name."""

    told: dict[tuple[str, str], str] = field(default_factory=dict)
    good: set[tuple[str, str]] = field(default_factory=set)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    began: dict[tuple[str, str], float] = field(default_factory=dict)

    def take(self, change: Change) -> None:
        """Remembers the failures that the engine tells of."""
        if change.server is None or change.model is None:
            return
        key = change.server, change.model
        if isinstance(change, WarmStarted):
            self.began.setdefault(key, time.monotonic())
        elif isinstance(change, PullFailed) and change.reason in CUT:
            return  # it is asked for again, and goes on where it was
        elif isinstance(change, PullStarted | PullProgress):
            say_pulled(change)
        elif isinstance(change, WarmFailed | ModelLost | PullFailed):
            why = change.reason or change.cause
            self.failed[key] = (why.value if why else "lost") + (f": {change.hint}" if change.hint else "")


def warm(
    path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, wait_server_s: float, timeout_s: float
) -> int:
    """Loads each model once; see `ollama-keeper warm --help`."""
    try:
        config = with_kept(path, models, flags)
        handed = hand_over(config)
        if handed.keys and not flags.keys().isdisjoint(SETTINGS):
            click.echo("the running ollama-keeper loads what it keeps with its own settings", err=True)
        began = time.monotonic()
        await_daemon(config, handed, wait_server_s=wait_server_s, timeout_s=timeout_s)
        left = without(config, handed)
        if not left.servers:
            return _code(handed)
        code = asyncio.run(_warm(left, wait_server_s, max(timeout_s - (time.monotonic() - began), 0.0)))
    except Unusable as unusable:
        return unusable.code
    return code if not handed.keys else EXIT_OK if code == _code(handed) == EXIT_OK else EXIT_SOME_NOT


def _code(handed: Handed) -> int:
    """The exit code of what the daemon did."""
    if handed.silent and handed.silent == handed.keys.keys():
        return EXIT_NOBODY
    return EXIT_OK if handed.good == handed.keys.keys() else EXIT_SOME_NOT


async def _warm(config: Config, wait_server_s: float, timeout_s: float) -> int:
    outcomes = Outcomes()
    store = open_store(config.state_dir, report=outcomes.take)
    try:
        async with watching(config, store, say=outcomes.take, dry_run=False) as watch:
            with progress(watch.servers) as show:
                return await _until_all(watch, outcomes, show, wait_server_s=wait_server_s, timeout_s=timeout_s)
    finally:
        store.close(2.0)


async def _until_all(
    watch: Watch, outcomes: Outcomes, show: Progress, *, wait_server_s: float, timeout_s: float
) -> int:
    def settled() -> bool:
        for server in watch.servers:
            for model in server.memory.models:
                _settle(server, model, outcomes, show)
        show.refresh()
        return len(outcomes.told) == sum(len(server.memory.models) for server in watch.servers)

    def answered() -> bool:
        return settled() or all(server.memory.state is not ServerState.WAITING for server in watch.servers)

    in_time = await watch.until(answered, timeout_s=min(wait_server_s, timeout_s))
    if not in_time and watch.nobody_answered():
        _give_up(watch, outcomes, show)
        return EXIT_NOBODY
    in_time = await watch.until(settled, timeout_s=max(timeout_s - wait_server_s, 0.0) if not in_time else timeout_s)
    if not in_time:
        _give_up(watch, outcomes, show)
    if watch.nobody_answered():
        return EXIT_NOBODY
    return EXIT_OK if len(outcomes.good) == len(outcomes.told) else EXIT_SOME_NOT


def _settle(server: Server, model: ModelMemory, outcomes: Outcomes, show: Progress) -> None:
    """Tells the outcome of one model as soon as there is one."""
    key = server.memory.server, model.model
    if key in outcomes.told:
        return
    state, reason = state_of(model, server.memory, server.now())
    if state in DONE and model.pending is None:
        outcomes.good.add(key)
        _tell(key, ready_text(model, state), outcomes, show)
    elif state in UNWANTED:
        text = held_text(model_row(model, server.memory, server.now()), server.now().wall)
        _tell(key, f"{text}{', once ollama-keeper run runs' if state is State.PAUSED else ''}", outcomes, show)
    elif key in outcomes.failed:
        _tell(key, f"failed: {outcomes.failed[key]}", outcomes, show)
    elif state in HOPELESS and not to_be_pulled(model, server.memory, server.now()):
        hint = f"; ollama pull {model.model}" if state is State.MISSING else ""
        _tell(key, f"{state.value.replace('_', ' ')}{f': {REASONS[reason]}' if reason else ''}{hint}", outcomes, show)


def ready_text(model: ModelMemory, state: State) -> str:
    """How one model came to be resident: `loaded in 9.8s`, or `was resident`."""
    back, listed = model.returned, model.listed
    how = f"loaded in {show_duration(back.load_s)}" if back and back.load_s is not None else "was resident"
    size = f", {show_size(listed.size)}" if listed else ""
    return f"{state.value}: {how}{size}"


def _give_up(watch: Watch, outcomes: Outcomes, show: Progress) -> None:
    for server in watch.servers:
        for model in server.memory.models:
            key = server.memory.server, model.model
            if key not in outcomes.told:
                failure = server.memory.failure
                silent = server.memory.state is ServerState.WAITING
                late = f"not in time{f', {far}' if (far := pulled_text(model)) else ''}"
                why = silent_text(failure and failure.value) if silent else late
                _tell(key, why, outcomes, show)


def _tell(key: tuple[str, str], text: str, outcomes: Outcomes, show: Progress) -> None:
    outcomes.told[key] = text
    show.line(f"{key[0]}: {key[1]}: {text}")
