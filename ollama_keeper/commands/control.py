"""`pause`, `resume` and `reload`: commands to the daemon of this machine, over its control socket."""

import getpass
from collections.abc import Sequence
from pathlib import Path

import click

from ollama_keeper.commands.start import EXIT_NOBODY, EXIT_OK, EXIT_SOME_NOT, EXIT_USAGE, Unusable, configuration
from ollama_keeper.config import Config
from ollama_keeper.core.units import show_duration
from ollama_keeper.web.asking import NoDaemon, Said, ask


def pause(
    path: Path | None, models: Sequence[str], *, for_s: float | None, unload: bool, note: str | None, everything: bool
) -> int:
    """Leaves models alone; see `ollama-keeper pause --help`."""
    if not models and not everything:
        click.echo("ollama-keeper: MODEL is missing; name the models to pause, or write --all", err=True)
        return EXIT_USAGE
    body: dict[str, object] = {"models": list(models), "by": _me(), "for_s": for_s, "note": note, "unload": unload}
    until = f"for {show_duration(for_s)}" if for_s else "until ollama-keeper resume"
    return _command(path, "pause", body, f"paused {until}")


def resume(path: Path | None, models: Sequence[str]) -> int:
    """Keeps models again; see `ollama-keeper resume --help`."""
    return _command(path, "resume", {"models": list(models), "by": _me()}, "kept again")


def reload(path: Path | None) -> int:
    """Has the configuration read anew; see `ollama-keeper reload --help`."""
    return _command(path, "reload", {}, "asked to read its configuration anew; its log tells what came of it")


def _command(path: Path | None, command: str, body: dict[str, object], done: str) -> int:
    try:
        control = configuration(path, (), {}, models_required=False).web.socket
    except Unusable as unusable:
        return unusable.code
    if control is None:
        click.echo("ollama-keeper: web.socket is off, so no command can be given", err=True)
        return EXIT_NOBODY
    try:
        answer = ask(control, command, body)
    except NoDaemon as error:
        hint = "is ollama-keeper run running, as this user, with the same configuration? (web.socket)"
        click.echo(f"ollama-keeper: no daemon at {control}: {error}\nTry: {hint}", err=True)
        return EXIT_NOBODY
    except Said as error:
        click.echo(f"ollama-keeper: {command} was refused: {error}", err=True)
        return EXIT_SOME_NOT
    return _told(answer.get("models"), answer.get("unknown", []), done)


def asked_daemon(config: Config, command: str, body: dict[str, object]) -> bool:
    """Whether a daemon of this machine took a command; False where none listens."""
    if config.web.socket is None:
        return False
    try:
        ask(config.web.socket, command, body)
    except NoDaemon:
        return False
    return True


def _told(models: list[str] | None, unknown: list[str], done: str) -> int:
    if models is None:
        click.echo(done)
    for model in models or []:
        click.echo(f"{model}: {done}")
    for name in unknown:
        click.echo(f"ollama-keeper: {name} is not kept here; ollama-keeper status names what is", err=True)
    return EXIT_SOME_NOT if unknown else EXIT_OK


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
