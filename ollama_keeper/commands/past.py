"""What the commands about the past share: the history of this configuration, and the models that were meant."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ollama_keeper.commands.start import configuration
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
        if not there:
            raise _none(f"no history: {file} is not there", HINT)
        yield config, Past(file)
    except (sqlite3.Error, OSError) as error:
        why = printable(getattr(error, "strerror", None) or str(error))
        hint = "is it this user's? ollama-keeper run brings a file of an older version up to date"
        raise _none(f"the history in {file} cannot be read: {why}", hint) from error


HINT = "has ollama-keeper run run here? with another state_dir or user, name its --config"


def _none(what: str, hint: str) -> NoHistory:
    click.echo(f"ollama-keeper: {what}\nTry: {hint}", err=True)
    return NoHistory(what)


def meant(name: str, known: Sequence[str]) -> list[str]:
    """The recorded names that mean the same model as `name`."""
    if not is_name(name):
        return [one for one in known if one == name]
    wanted = parse_name(name)
    return [one for one in dict.fromkeys(known) if one == name or (is_name(one) and parse_name(one) == wanted)]
