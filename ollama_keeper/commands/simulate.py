"""`simulate`: plays an Ollama server."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ollama_keeper.commands.guess import shown
from ollama_keeper.commands.start import EXIT_CONFIG, EXIT_OK, EXIT_SOME_NOT, EXIT_USAGE, complain
from ollama_keeper.config.layer import Layer, Layers, path_text
from ollama_keeper.core.units import BadUnit, parse_size
from ollama_keeper.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from ollama_keeper.simulator.state import StoredModel

A_VERSION = re.compile(r"v?\d+\.\d+\.\d+([-+.][0-9A-Za-z.+-]+)?")


class Unplayable(Exception):
    """A flag says what cannot be played; the text names the flag, and what is accepted."""


def simulate(
    listen: str,
    catalogue: Path | None,
    *,
    version: str,
    max_loaded: int,
    memory: str | None,
    load_time: float | None,
) -> int:
    """Plays a server until stopped; see `ollama-keeper simulate --help`."""
    from ollama_keeper.simulator.catalogue import default_models
    from ollama_keeper.simulator.serve import serve
    from ollama_keeper.simulator.state import Settings
    from ollama_keeper.simulator.versions import Version

    try:
        vram = _memory(memory)
        _check_version(version)
        models = _catalogue(catalogue) if catalogue else default_models()
    except Unplayable as error:
        click.echo(f"ollama-keeper: {error}", err=True)
        return EXIT_USAGE
    except ConfigError as error:
        complain(error)
        return EXIT_CONFIG
    if load_time is not None:
        models = tuple(replace(model, load_s=load_time) for model in models)
    settings = Settings(version=Version(version), max_loaded_models=max_loaded, gpus=bool(vram), vram=vram)
    try:
        serve(listen, models, settings, announce=lambda address: _say(address, [model.name for model in models]))
    except ValueError:
        hint = "write for example 127.0.0.1:11999"
        click.echo(f"ollama-keeper: --listen: {shown(listen)} is not HOST:PORT; {hint}", err=True)
        return EXIT_USAGE
    except OSError as error:
        click.echo(f"ollama-keeper: --listen: {listen} cannot be listened on: {_why(error)}; choose another", err=True)
        return EXIT_SOME_NOT
    except KeyboardInterrupt:
        return EXIT_OK
    return EXIT_OK


def _catalogue(path: Path) -> "tuple[StoredModel, ...]":
    """The models of a models file.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    from ollama_keeper.config.loading import read_file
    from ollama_keeper.simulator.catalogue import BadCatalogue, read_models

    try:
        file = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError((Mistake(str(path), "", "does not exist", "write the path of a models file"),)) from None
    strange = [file.keys[key,].mistake("is not a key here", "write models:") for key in file.data if key != "models"]
    if mistakes := (*file.mistakes, *strange):
        raise ConfigError(mistakes)
    try:
        return read_models(file.data.get("models"))
    except BadCatalogue as bad:
        place = Layers(Layer(""), Layer(""), file).key_place(bad.place)
        raise ConfigError((replace(place, key=path_text(bad.place)).mistake(bad.what, bad.hint),)) from None


def _memory(written: str | None) -> int:
    """Bytes of `--memory`; none where it is not given."""
    if written is None:
        return 0
    try:
        return parse_size(written)
    except BadUnit:
        msg = f"--memory: {shown(written)} is not a size; write for example 24GiB or 24GB"
        raise Unplayable(msg) from None


def _check_version(written: str) -> None:
    if not A_VERSION.fullmatch(written):
        msg = f"--version: {shown(written)} is not a version; write for example 0.33.0 or 0.32.4-rc1"
        raise Unplayable(msg)


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _say(address: str, models: list[str]) -> None:
    click.echo(f"Playing Ollama at {address} with {', '.join(models)}")
    click.echo(f"Keep a model of it:  ollama-keeper run {models[0]} --ollama {address}")
