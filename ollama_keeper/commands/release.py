"""`release`: gives every pin of ours back, before an uninstall or to leave a server as it was found."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ollama_keeper.commands.control import asked_daemon
from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.start import EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT, EXIT_USAGE, Unusable, configuration
from ollama_keeper.config import Config
from ollama_keeper.core.facts import Paused
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.names import is_name, parse_name
from ollama_keeper.core.ownership import Claim, claim, pinned
from ollama_keeper.core.reasons import ServerState
from ollama_keeper.core.units import show_duration
from ollama_keeper.server import Server
from ollama_keeper.store import open_store

NOTE = "released"
TIMEOUT_S = 150.0  # a busy model is asked once a minute whether it is idle: twice, then it is left
CHECK_EVERY_S = 1.0


def release(path: Path | None, models: Sequence[str], *, everything: bool, unload: bool) -> int:
    """Gives models back; see `ollama-keeper release --help`."""
    if not models and not everything:
        click.echo("ollama-keeper: MODEL is missing; name the models to release, or write --all", err=True)
        return EXIT_USAGE
    try:
        config = configuration(path, (), {})
    except Unusable as unusable:
        return unusable.code
    unknown = [name for name in models if not any(_means(name, model) for model in _configured(config))]
    for name in unknown:
        click.echo(f"ollama-keeper: {name} is not in the configuration", err=True)
    chosen = tuple(model for model in _configured(config) if not models or any(_means(n, model) for n in models))
    by_daemon = asked_daemon(config, "pause", {"models": list(chosen), "by": NOTE, "note": NOTE, "unload": unload})
    if by_daemon:
        click.echo("by the daemon, which leaves them alone from now on: ollama-keeper resume keeps them again")
    code = asyncio.run(_released(config, chosen, unload=unload, by_daemon=by_daemon))
    return code or (EXIT_SOME_NOT if unknown else EXIT_OK)


async def _released(config: Config, chosen: tuple[str, ...], *, unload: bool, by_daemon: bool) -> int:
    """Watches until all are given back; without a daemon it is we who do it, and nothing is remembered of it."""
    store = open_store(config.state_dir, report=lambda _: None, read_only=True)
    async with watching(config, store, say=lambda _: None, dry_run=by_daemon) as watch:
        for server in watch.servers if not by_daemon else ():
            server.learn(Paused(chosen, None, NOTE, NOTE, unload))
        await watch.until(lambda: _over(watch, chosen, by_daemon=by_daemon), timeout_s=TIMEOUT_S)
        if watch.nobody_answered():
            click.echo("ollama-keeper: no server answered", err=True)
            return EXIT_NOBODY
        told = [_outcome(model, server, unload=unload) for server, model in _all(watch, chosen)]
    for text, _ in told:
        click.echo(text)
    return EXIT_OK if all(good for _, good in told) else EXIT_SOME_NOT


def _over(watch: Watch, chosen: tuple[str, ...], *, by_daemon: bool) -> bool:
    for server, model in _all(watch, chosen):
        if not by_daemon:
            server.start_check(model.model)
    seen = all(server.memory.state is not ServerState.WAITING for server in watch.servers)
    return seen and all(_free(model, server) for server, model in _all(watch, chosen))


def _free(model: ModelMemory, server: Server) -> bool:
    """Whether nothing of ours is left to give back, and a look has shown it."""
    memory, now = server.memory, server.now()
    if model.listed is None:
        return memory.good is not None
    still_listed_pinned = model.given_back and pinned(memory.remaining_s(model.listed, now))
    return claim(model, memory, now) is not Claim.OURS and not still_listed_pinned


def _outcome(model: ModelMemory, server: Server, *, unload: bool) -> tuple[str, bool]:
    memory, place = server.memory, f"{server.memory.server}: {model.model}"
    if memory.good is None:
        return f"{place}: unknown: the server does not answer", False
    if model.listed is None:
        return f"{place}: not in memory", True
    left_s = memory.remaining_s(model.listed, server.now())
    if claim(model, memory, server.now()) is Claim.OURS:
        return f"{place}: still in use, so left alone; try again, or: ollama stop {model.model}", False
    if not pinned(left_s):
        ends = f"no pin; Ollama drops it in {show_duration(max(left_s, 0.0))}, if nobody uses it"
        return f"{place}: {ends}{f'; at once: ollama stop {model.model}' if unload else ''}", True
    return f"{place}: pinned, but not by us as far as is known; to drop it: ollama stop {model.model}", True


def _all(watch: Watch, chosen: tuple[str, ...]) -> Iterator[tuple[Server, ModelMemory]]:
    for server in watch.servers:
        for model in server.memory.known:
            if model.model in chosen or server.memory.is_leaving(model):
                yield server, model


def _configured(config: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys(policy.model for server in config.servers for policy in server.policies))


def _means(name: str, model: str) -> bool:
    return is_name(name) and parse_name(name) == parse_name(model)
