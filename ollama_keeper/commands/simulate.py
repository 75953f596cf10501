"""`simulate`: plays an Ollama server."""

import asyncio
from pathlib import Path
from typing import Any

import click

from ollama_keeper.commands.start import EXIT_CONFIG, EXIT_OK, EXIT_SOME_NOT
from ollama_keeper.core.units import BadUnit, parse_size


def simulate(listen: str, catalogue: Path | None, **settings: Any) -> int:
    """Plays a server until stopped; see `ollama-keeper simulate --help`."""
    from ollama_keeper.simulator.catalogue import BadCatalogue, read_catalogue
    from ollama_keeper.simulator.serve import serve

    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        click.echo(f"ollama-keeper: {listen!r} is no address; write HOST:PORT", err=True)
        return EXIT_CONFIG
    try:
        memory = parse_size(settings["memory"]) if settings.get("memory") else None
        models = read_catalogue(catalogue, load_s=settings.get("load_time"))
    except (BadUnit, BadCatalogue) as error:
        click.echo(f"ollama-keeper: {error}", err=True)
        return EXIT_CONFIG
    try:
        asyncio.run(serve(host or "127.0.0.1", int(port), models, version=settings["version"], max_loaded=settings["max_loaded"], memory=memory))
    except OSError as error:
        click.echo(f"ollama-keeper: cannot listen on {listen}: {error.strerror}; choose another with --listen", err=True)
        return EXIT_SOME_NOT
    except KeyboardInterrupt:
        return EXIT_OK
    return EXIT_OK
