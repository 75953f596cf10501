"""What the commands about the past share: the history of this configuration, and the models that were meant."""

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ollama_keeper.commands.guess import guess, shown
from ollama_keeper.commands.start import EXIT_SOME_NOT, EXIT_USAGE, configuration
from ollama_keeper.config import Config
from ollama_keeper.config.places import state_dir, user_file
from ollama_keeper.core.names import is_name, parse_name
from ollama_keeper.errors import printable
from ollama_keeper.store import FILE, Past

SERVICE = Path("/var/lib/ollama-keeper")
UPDATE = "update ollama-keeper, or name another state_dir"
HINT = "start one: ollama-keeper run MODEL; of another user or file: the same with sudo, or its --config"
SUDO = "the same with sudo"


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
    file = _file(config)
    try:
        yield config, Past(file)
    except sqlite3.Error as error:  # and no OSError: that is of what is shown from it
        raise _unread(file, error) from error


def state_files(config: Config) -> tuple[Path, ...]:
    """Where a keeper may record, to be tried in turn; those of services, where nothing else was said.

    That of a user's service is beside the configuration before systemd 254; that of the system's is open to its
    own user and to root alone.
    """
    own = config.state_dir
    if own is None:
        return ()
    by_default = own == state_dir(os.environ)
    if not by_default or own == SERVICE:
        return (own / FILE,)
    return own / FILE, user_file(os.environ).parent / FILE, SERVICE / FILE


def state_seen(config: Config) -> Path | None:
    """The folder to look at for what a keeper recorded: the first that has a file, else that of this configuration."""
    try:
        return _first(state_files(config)).parent
    except (OSError, LookupError):
        return config.state_dir


def _file(config: Config) -> Path:
    files = state_files(config)
    if not files:
        raise _none("no history: state_dir is off", "name a directory in state_dir")
    try:
        return _first(files)
    except OSError as error:
        raise _unread(Path(error.filename), error) from error
    except LookupError:
        raise _none(f"no history: no ollama-keeper has recorded anything in {files[0].parent} yet", HINT) from None


def _first(files: Sequence[Path]) -> Path:
    """The first file that is there.

    Raises:
        OSError: whether it is there cannot be told.
        LookupError: none is.
    """
    for file in files:
        try:
            if stat.S_ISREG(file.stat().st_mode):
                return file
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise LookupError


def _unread(file: Path, error: sqlite3.Error | OSError) -> NoHistory:
    why = printable(getattr(error, "strerror", None) or str(error)).lower()
    if isinstance(error, sqlite3.NotSupportedError):
        return _none(f"the history in {file} cannot be read: {why}", UPDATE)
    if file.parent == SERVICE:
        return _none(f"the history of the system's service, {file}, cannot be read by this user: {why}", SUDO)
    return _none(f"the history in {file} cannot be read: {why}", "is it this user's?")


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
