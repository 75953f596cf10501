"""`run --dry-run`: what would be sent, and why."""

import asyncio
import json

import click

from ollama_keeper.commands.once import ANSWERS_WITHIN_S, watching
from ollama_keeper.commands.start import EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT
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


def say_what_would_be_sent(config: Config) -> int:
    """Looks at each server and prints a line for each model; the exit tells whether all servers answered."""
    return asyncio.run(_say(config, open_store(config.state_dir, report=_say_waiting, read_only=True)))


async def _say(config: Config, store: Store) -> int:
    async with watching(config, store, say=_say_waiting, dry_run=True) as watch:
        await watch.until(watch.all_told, timeout_s=ANSWERS_WITHIN_S)
        up = [server for server in watch.servers if server.memory.state is ServerState.UP]
        for server in up:
            for model in server.memory.models:
                click.echo(line(model, server.memory, watch.clock.now()))
    if len(up) == len(watch.servers):
        return EXIT_OK
    return EXIT_SOME_NOT if up else EXIT_NOBODY


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


def _say_waiting(change: Change) -> None:
    if isinstance(change, ServerWaiting):
        click.echo(f"{change.server}: waiting for the server: {change.reason}", err=True)
