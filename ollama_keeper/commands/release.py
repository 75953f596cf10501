"""`release`: gives every pin of ours back, before an uninstall or to leave a server as it was found.

The daemon does it where one runs: it knows its models, also those that no file names, and would pin them again.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from ollama_keeper.commands.asked import asked, means
from ollama_keeper.commands.control import hint_of, me, ordered, says_which, tell_unknown
from ollama_keeper.commands.giving_back import Chosen, outcome, watched
from ollama_keeper.commands.guess import guess, shown
from ollama_keeper.commands.once import Watch, watching
from ollama_keeper.commands.past import state_seen
from ollama_keeper.commands.start import EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT, EXIT_USAGE, Unusable, configuration
from ollama_keeper.config import Config
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.facts import Paused
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.reasons import ServerState
from ollama_keeper.core.release import owed
from ollama_keeper.core.view import GUEST, model_row, server_row
from ollama_keeper.server import Server
from ollama_keeper.store import open_store
from ollama_keeper.web.asking import NoDaemon, Said

NOTE = "to be released"
TIMEOUT_S = 150.0  # a busy model is asked once a minute whether it is idle: twice, then it is left


def release(path: Path | None, models: Sequence[str], *, everything: bool, unload: bool) -> int:
    """Gives models back; see `ollama-keeper release --help`."""
    if not says_which("release", models, everything=everything):
        return EXIT_USAGE
    try:
        config = configuration(path, (), {}, models_required=False)
        body: dict[str, object] = {"models": list(models), "by": me(), "note": NOTE, "unload": unload}
        answer = ordered(config, "pause", body)
    except Unusable as unusable:
        return unusable.code
    except Said as error:
        click.echo(f"ollama-keeper: the daemon refused it: {error}", err=True)
        return EXIT_SOME_NOT
    except NoDaemon as nobody:
        return _without(config, models, nobody, unload=unload)
    return _by_daemon(config, Chosen(answer["models"], unload=unload), answer["unknown"])


def _by_daemon(config: Config, chosen: Chosen, unknown: Sequence[str]) -> int:
    tell_unknown(config, unknown)
    if not chosen.models:
        return EXIT_USAGE if unknown else EXIT_SOME_NOT
    click.echo("by the daemon, which leaves them alone from now on; to have them kept again: ollama-keeper resume")
    told = watched(config, chosen, timeout_s=TIMEOUT_S)
    if told is None:
        click.echo("ollama-keeper: the daemon ended before all was given back", err=True)
        return EXIT_SOME_NOT
    return _told(told, complete=not unknown)


# --- without a daemon -------------------------------------------------------------------------------------------------


def _without(config: Config, models: Sequence[str], nobody: NoDaemon, *, unload: bool) -> int:
    """By ourselves: what the configuration names, else what was remembered of loads."""
    if (answer := asked(config)) is not None and any(row.state != GUEST for row in answer.status.models):
        click.echo(f"ollama-keeper: {nobody}; without it they would be pinned again\nTry: {hint_of(config)}", err=True)
        return EXIT_SOME_NOT
    if not _configured(config):
        config = replace(config, servers=tuple(_remembered(config)))
    unknown = [name for name in models if not any(means(name, model) for model in _configured(config))]
    for name in unknown:
        said = "is neither in the configuration, nor known as loaded by us"
        hint = guess(name, _configured(config))
        click.echo(f"ollama-keeper: {shown(name)} {said}{f'; {hint}' if hint else ''}", err=True)
    names = tuple(model for model in _configured(config) if not models or any(means(n, model) for n in models))
    if not names and models:
        return EXIT_USAGE
    if not names:
        hint = "where its daemon ran as another user, or with another file, the same with sudo or --config"
        click.echo(f"ollama-keeper: nothing is known here that could be given back\nTry: {hint}", err=True)
        return EXIT_SOME_NOT
    return asyncio.run(_released(config, Chosen(names, unload=unload), complete=not unknown))


def _remembered(config: Config) -> Iterator[ServerConfig]:
    """The servers on which something is known as our load, each with these models: what no file names."""
    store = open_store(state_seen(config), report=lambda _: None, read_only=True)
    for name in store.servers():
        kept = store.read(name)
        models = [one.model for one in kept if one.model and one.document.get("record")]
        urls = {str(one.document["url"]) for one in kept if one.document.get("url")}
        if models and len(urls) == 1:
            (server,) = configuration(None, models, {"ollama": urls.pop()}).servers
            yield replace(server, address=replace(server.address, name=name))


async def _released(config: Config, chosen: Chosen, *, complete: bool) -> int:
    """Watches until all are given back; it is we who do it, and nothing is remembered of it."""
    store = open_store(state_seen(config), report=lambda _: None, read_only=True)
    async with watching(config, store, say=lambda _: None, dry_run=False) as watch:
        for server in watch.servers:
            server.learn(Paused(tuple(chosen.models), None, me(), NOTE, chosen.unload))
        await watch.until(lambda: _over(watch, chosen), timeout_s=TIMEOUT_S)
        if watch.nobody_answered():
            click.echo("ollama-keeper: no server answered", err=True)
            return EXIT_NOBODY
        rows = [
            (model_row(model, server.memory, server.now()), server_row(server.memory))
            for server, model in _all(watch, chosen)
        ]
        return _told([outcome(row, of, unload=chosen.unload, by_daemon=False) for row, of in rows], complete=complete)


def _over(watch: Watch, chosen: Chosen) -> bool:
    for server, model in _all(watch, chosen):
        server.start_check(model.model)
    seen = all(server.memory.state is not ServerState.WAITING for server in watch.servers)
    return seen and all(_free(model, server) for server, model in _all(watch, chosen))


def _free(model: ModelMemory, server: Server) -> bool:
    """Whether nothing of ours is left to give back, and a look has shown it."""
    return server.memory.good is not None and not owed(model, server.memory, server.now())


def _all(watch: Watch, chosen: Chosen) -> Iterator[tuple[Server, ModelMemory]]:
    for server in watch.servers:
        for model in server.memory.known:
            if model.model in chosen.models or server.memory.is_leaving(model):
                yield server, model


def _configured(config: Config) -> tuple[str, ...]:
    return tuple(dict.fromkeys(policy.model for server in config.servers for policy in server.policies))


def _told(told: Sequence[tuple[str, bool]], *, complete: bool) -> int:
    for text, _ in told:
        click.echo(text)
    return EXIT_OK if complete and all(good for _, good in told) else EXIT_SOME_NOT
