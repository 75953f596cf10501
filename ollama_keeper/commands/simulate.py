"""`simulate`: plays an Ollama server."""

from dataclasses import replace
from pathlib import Path

import click

from ollama_keeper.commands.start import EXIT_OK, EXIT_SOME_NOT, EXIT_USAGE
from ollama_keeper.core.units import BadUnit, parse_size


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
    from ollama_keeper.simulator.catalogue import BadCatalogue, default_models, load_catalogue
    from ollama_keeper.simulator.serve import serve
    from ollama_keeper.simulator.state import Settings
    from ollama_keeper.simulator.versions import Version

    try:
        models = load_catalogue(catalogue) if catalogue else default_models()
        vram = parse_size(memory) if memory else 0
    except (BadUnit, BadCatalogue) as error:
        click.echo(f"ollama-keeper: {error}", err=True)
        return EXIT_USAGE
    if load_time is not None:
        models = tuple(replace(model, load_s=load_time) for model in models)
    settings = Settings(version=Version(version), max_loaded_models=max_loaded, gpus=bool(vram), vram=vram)
    try:
        serve(listen, models, settings, announce=lambda address: _say(address, [model.name for model in models]))
    except ValueError as error:
        click.echo(f"ollama-keeper: --listen: {error}", err=True)
        return EXIT_USAGE
    except OSError as error:
        click.echo(
            f"ollama-keeper: cannot listen on {listen}: {error.strerror}; choose another with --listen", err=True
        )
        return EXIT_SOME_NOT
    except KeyboardInterrupt:
        return EXIT_OK
    return EXIT_OK


def _say(address: str, models: list[str]) -> None:
    click.echo(f"Playing Ollama at {address} with {', '.join(models)}")
    click.echo(f"Keep a model of it:  ollama-keeper run {models[0]} --ollama {address}")
