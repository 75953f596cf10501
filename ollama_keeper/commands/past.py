"""What the commands about the past share: the history of this configuration, and the models that were meant."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ollama_keeper.commands.guess import guess, shown
from ollama_keeper.commands.start import EXIT_SOME_NOT, EXIT_USAGE, configuration
from ollama_keeper.config import Config
from ollama_keeper.core.names import is_name, parse_name
from ollama_keeper.errors import printable
from ollama_keeper.store import FILE, Past


class NoHistory(Exception):
    """There is nothing to tell from; why, and what can be done, is on stderr."""


@contextmanager
def history(path: Path | None) -> Iterator[tuple[Config, Past]]:
    """The configuration, and what was recorded under it.

    Raises:
        Unusable: the configuration can never work.
        NoHistory: no history is there, or it cannot be read.
    """
    config = configuration(path, (), {}, models_required=False)
    if config.state_dir is None:
        raise _none("no history: state_dir is off", "name a directory in state_dir")
    file = config.state_dir / FILE
    try:
        there = file.is_file()
    except OSError as error:
        raise _unread(file, error) from error
    if not there:
        raise _none(f"no history: {file} is not there", HINT)
    try:
        yield config, Past(file)
    except sqlite3.Error as error:  # and no OSError: that is of what is shown from it
        raise _unread(file, error) from error


UPDATE = "update ollama-keeper, or name another state_dir"
HINT = "has ollama-keeper run run here? with another state_dir or user, name its --config"


def _unread(file: Path, error: sqlite3.Error | OSError) -> NoHistory:
    why = printable(getattr(error, "strerror", None) or str(error))
    hint = UPDATE if isinstance(error, sqlite3.NotSupportedError) else "is it this user's?"
    return _none(f"the history in {file} cannot be read: {why}", hint)


def _none(what: str, hint: str) -> NoHistory:
    click.echo(f"ollama-keeper: {what}\nTry: {hint}", err=True)
    return NoHistory(what)


def nothing_of(name: str, config: Config, known: Sequence[str]) -> int:
    """Says that nothing is recorded of a model: of one that is kept not yet, of any other what was meant.

    Args:
        known: the models of which something is recorded.

    Returns:
        The exit code: 1 where the name means something, 64 where it does not.
    """
    kept = kept_by(config)
    if meant(name, kept):
        click.echo(f"ollama-keeper: nothing is recorded of {name} yet\nTry: is ollama-keeper run running?", err=True)
        return EXIT_SOME_NOT
    hint = guess(name, [*kept, *known])
    more = f"\nTry: {hint}" if hint else "; nothing is recorded yet"
    click.echo(f"ollama-keeper: {shown(name)} is not kept here, and nothing is recorded of it{more}", err=True)
    return EXIT_USAGE


def kept_by(config: Config) -> list[str]:
    """The models that a configuration names."""
    return [policy.model for server in config.servers for policy in server.policies]


def meant(name: str, known: Sequence[str]) -> list[str]:
    """The recorded names that mean the same model as `name`."""
    if not is_name(name):
        return [one for one in known if one == name]
    wanted = parse_name(name)
    return [one for one in dict.fromkeys(known) if one == name or (is_name(one) and parse_name(one) == wanted)]
