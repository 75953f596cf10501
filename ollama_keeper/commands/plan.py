"""`plan`: which models have a place, what they take, and what would be done in which order. It only looks."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ollama_keeper.commands.asked import with_kept
from ollama_keeper.commands.handed import WAITING, held
from ollama_keeper.commands.once import ANSWERS_WITHIN_S, Watch, watching
from ollama_keeper.commands.past import state_seen
from ollama_keeper.commands.plan_text import document, text
from ollama_keeper.commands.start import EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT, Unusable
from ollama_keeper.config import Config
from ollama_keeper.core.plan import Do, Plan
from ollama_keeper.core.plan import plan as planned
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.store import open_store


def plan(path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, as_json: bool) -> int:
    """Shows what would be done; see `ollama-keeper plan --help`."""
    try:
        return asyncio.run(_plan(with_kept(path, models, flags), as_json=as_json))
    except Unusable as unusable:
        return unusable.code


async def _plan(config: Config, *, as_json: bool) -> int:
    store = open_store(state_seen(config), report=lambda _: None, read_only=True)
    async with watching(config, store, say=lambda _: None, dry_run=True) as watch:
        await watch.until(watch.all_told, timeout_s=ANSWERS_WITHIN_S)
        now = watch.clock.now()
        plans = tuple(planned(server.memory, now) for server in watch.servers)
        if as_json:
            click.echo(json.dumps(document(plans), indent=2, ensure_ascii=False))
        else:
            click.echo("\n\n".join(text(one) for one in plans))
            _tell_what_waits(config)
        return _code(watch, plans)


def _tell_what_waits(config: Config) -> None:
    """A daemon has reasons to wait that no look shows."""
    waiting = held(config, WAITING)
    if waiting:
        click.echo("\nThe ollama-keeper that runs here is at it already:")
    for (server, model), why in waiting.items():
        click.echo(f"  {server}: {model}: {why}")


def _code(watch: Watch, plans: Sequence[Plan]) -> int:
    """Whether each required model is resident, or would come to be by what is planned."""
    if watch.nobody_answered():
        return EXIT_NOBODY
    return EXIT_OK if all(_comes(one) for one in plans) else EXIT_SOME_NOT


def _comes(one: Plan) -> bool:
    if one.memory.state is ServerState.WAITING:
        return False
    waits = {step.model for step in one.steps if step.do in {Do.WAIT, Do.NOTHING}}
    return not any(
        model.policy.required and not model.resident and model.policy.model in waits and model.state != State.OFF_HOURS
        for model in one.models
    )
