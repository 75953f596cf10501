"""What every command begins with: the configuration, its mistakes, clients and the store."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ollama_keeper.config import Config, load
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.config.layer import COMMAND_LINE
from ollama_keeper.errors import ConfigError
from ollama_keeper.ollama.client import OllamaClient

EXIT_OK = 0
EXIT_SOME_NOT = 1
EXIT_NOBODY = 2
EXIT_USAGE = 64
EXIT_FAULT = 70
EXIT_CONFIG = 78


class Unusable(Exception):
    """The configuration can never work; its mistakes have been printed.

    Attributes:
        code: of the exit: 64 where all that is wrong stands on the command line, 78 where a file or variable is wrong.
    """

    def __init__(self, error: ConfigError) -> None:
        super().__init__(str(error))
        self.code = EXIT_USAGE if all(one.source == COMMAND_LINE for one in error.mistakes) else EXIT_CONFIG


def configuration(
    path: Path | None,
    models: Sequence[str],
    flags: Mapping[str, object],
    *,
    models_required: bool = True,
    sinks_required: bool = False,
) -> Config:
    """The configuration of this call.

    Args:
        sinks_required: whether this call sends alerts, so that each sink must have its URL.

    Raises:
        Unusable: it holds mistakes; all of them are on stderr.
    """
    try:
        required = {"models_required": models_required, "sinks_required": sinks_required}
        return load(path=path, models=models, flags=flags, environ=os.environ, **required)
    except ConfigError as error:
        complain(error)
        raise Unusable(error) from error


def clients(config: Config) -> dict[str, OllamaClient]:
    """A client for each server, by its name.

    Raises:
        Unusable: a token or certificate file cannot be read.
    """
    try:
        return {server.address.name: client(server) for server in config.servers}
    except ConfigError as error:
        complain(error)
        raise Unusable(error) from error


def client(server: ServerConfig) -> OllamaClient:
    """The client of one server."""
    return OllamaClient(server.address)


def complain(error: ConfigError) -> None:
    """Prints every mistake of a configuration, one a line."""
    for mistake in error.mistakes:
        click.echo(f"ollama-keeper: {mistake}", err=True)


def moving() -> bool:
    """Whether what is on stdout can be drawn over: on a terminal that is not a dumb one."""
    return interactive() and os.environ.get("TERM") not in {"dumb", "unknown"}


def interactive() -> bool:
    """Whether somebody watches stdout on a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()  # None: it was closed
