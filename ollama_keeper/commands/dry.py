"""`run --dry-run`: what would be sent, and why."""

import asyncio
import json

import click

from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.start import EXIT_OK
from ollama_keeper.config import Config
from ollama_keeper.core.changes import Change, ServerWaiting
from ollama_keeper.core.facts import LoadRequest
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.plan import Do, Step, step_of
from ollama_keeper.core.reasons import ServerState
from ollama_keeper.core.states import state_of
from ollama_keeper.ollama.wire import load_body
from ollama_keeper.report.phrases import REASONS, why
from ollama_keeper.store import Store, open_store

FOR_EVER_S = 10 * 365 * 86_400.0


def say_what_would_be_sent(config: Config) -> int:
    """Looks at each server, as long as it takes, and prints a line for each model."""
    return asyncio.run(_say(config, open_store(config.state_dir, report=_say_waiting, read_only=True)))


async def _say(config: Config, store: Store) -> int:
    async with watching(config, store, say=_say_waiting, dry_run=True) as watch:
        await watch.until(lambda: _known(watch), timeout_s=FOR_EVER_S)
        for server in watch.servers:
            for model in server.memory.models:
                click.echo(line(model, server.memory, watch.clock.now()))
    return EXIT_OK


def line(model: ModelMemory, memory: ServerMemory, now: Instant) -> str:
    """One model: what it would be sent first, or why nothing."""
    about = f"{memory.server}: {model.model}: "
    step = step_of(model, memory, now)
    if step.do is Do.WARM and step.request is not None:
        return f"{about}would load it: {_request(step.request)}"
    if step.do is Do.PULL:
        return f"{about}would pull it: POST /api/pull {json.dumps({'model': model.model}, ensure_ascii=False)}"
    if step.do is Do.WAIT:
        return f"{about}nothing now: {_because(step)}"
    if step.request is not None:
        return f"{about}would send, because {_because(step)}: {_request(step.request)}"
    state, reason = state_of(model, memory, now)
    told = f"{about}{state.value.replace('_', ' ')}{f' ({why(reason)})' if reason else ''}: nothing to send"
    return told if reason is not None and reason.value == step.because else f"{told}, because {_because(step)}"


def _because(step: Step) -> str:
    return REASONS.get(step.because, step.because)


def _request(request: LoadRequest) -> str:
    path, body = load_body(request)
    return f"POST {path} {json.dumps(body, ensure_ascii=False)}"


def _known(watch: Watch) -> bool:
    """Whether all that a decision needs has been learnt of each server."""
    return watch.all_told() and all(server.memory.state is ServerState.UP for server in watch.servers)


def _say_waiting(change: Change) -> None:
    if isinstance(change, ServerWaiting):
        click.echo(f"{change.server}: waiting for the server: {change.reason}", err=True)
