"""`pause`, `resume` and `reload`: commands to the daemon of this machine, over its control socket."""

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ollama_keeper.commands.asked import asked, means, sockets
from ollama_keeper.commands.guess import guess, shown
from ollama_keeper.commands.start import EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT, EXIT_USAGE, Unusable, configuration
from ollama_keeper.config import Config
from ollama_keeper.core.reasons import State
from ollama_keeper.core.units import show_duration
from ollama_keeper.core.view import GUEST
from ollama_keeper.web.asking import NoDaemon, Said, ask


def pause(
    path: Path | None, models: Sequence[str], *, for_s: float | None, unload: bool, note: str | None, everything: bool
) -> int:
    """Leaves models alone; see `ollama-keeper pause --help`."""
    if not says_which("pause", models, everything=everything):
        return EXIT_USAGE
    body: dict[str, object] = {"models": list(models), "by": me(), "for_s": for_s, "note": note, "unload": unload}
    until = f"for {show_duration(for_s)}" if for_s else "until ollama-keeper resume"
    code = _command(path, "pause", body, f"paused {until}")
    if unload and code != EXIT_NOBODY:
        _tell_what_stays(path, models)
    return code


def resume(path: Path | None, models: Sequence[str], *, everything: bool) -> int:
    """Keeps models again; see `ollama-keeper resume --help`."""
    if not says_which("resume", models, everything=everything or not models):
        return EXIT_USAGE
    return _command(path, "resume", {"models": list(models), "by": me()}, "kept again")


def reload(path: Path | None) -> int:
    """Has the configuration read anew; see `ollama-keeper reload --help`."""
    return _command(path, "reload", {}, "asked to read its configuration anew; its log tells what came of it")


def says_which(command: str, models: Sequence[str], *, everything: bool) -> bool:
    """Whether it is clear which models are meant; tells what is to be written where it is not."""
    if bool(models) is not everything:
        return True
    wrong = "--all means every model" if models else "MODEL is missing"
    click.echo(f"ollama-keeper: {wrong}; name the models to {command}, or write --all", err=True)
    return False


def _command(path: Path | None, command: str, body: dict[str, object], done: str) -> int:
    try:
        config = configuration(path, (), {}, models_required=False)
    except Unusable as unusable:
        return unusable.code
    try:
        answer = ordered(config, command, body)
    except NoDaemon as error:
        click.echo(f"ollama-keeper: {error}\nTry: {hint_of(config)}", err=True)
        return EXIT_NOBODY
    except Said as error:
        click.echo(f"ollama-keeper: {command} was refused: {error}", err=True)
        return EXIT_SOME_NOT
    tell_unknown(config, answer.get("unknown", []))
    return _told(answer.get("models"), answer.get("unknown", []), done)


def ordered(config: Config, command: str, body: dict[str, object]) -> dict[str, Any]:
    """The answer of the daemon of this machine to a command.

    Raises:
        NoDaemon: none takes it; the text says where none does, and why.
        Said: it was refused.
    """
    why: list[str] = []
    for path in sockets(config):
        try:
            return ask(path, command, body)
        except NoDaemon as error:
            why.append(f"no daemon at {path}: {error}")
    raise NoDaemon(why[0] if why else "web.socket is off, so no command can be given")


def hint_of(config: Config) -> str:
    """What can be done where no daemon takes a command."""
    answer = asked(config)
    if answer is None:
        return "start one: ollama-keeper run MODEL; of another user or file: the same with sudo, or its --config"
    return f"one answers at {answer.where}; where it is another user's: the same as that user, or with sudo"


def tell_unknown(config: Config, names: Sequence[str]) -> None:
    """Says which names mean nothing to the daemon, and what was probably meant."""
    answer = asked(config) if names else None
    kept = [row.model for row in answer.status.models if row.state != GUEST] if answer else []
    for name in names:
        hint = guess(name, kept) or "ollama-keeper status names what is"
        click.echo(f"ollama-keeper: {shown(name)} is not kept here; {hint}", err=True)


def _tell_what_stays(path: Path | None, models: Sequence[str]) -> None:
    """Which paused models keep their memory all the same, and what would free it."""
    answer = asked(configuration(path, (), {}, models_required=False))
    for row in answer.status.models if answer else ():
        named = not models or any(means(name, row.model) for name in models)
        if row.state == State.PAUSED and named and row.resident and not row.owed:
            why = "its load is not ours, or it is kept under another name"
            click.echo(f"{row.model}: stays in memory, for {why}; to free it: ollama stop {row.model}", err=True)


def _told(models: list[str] | None, unknown: list[str], done: str) -> int:
    if models is None:
        click.echo(done)
    for model in models or []:
        click.echo(f"{model}: {done}")
    return (EXIT_SOME_NOT if models else EXIT_USAGE) if unknown else EXIT_OK


def me() -> str:
    """Who gives the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
