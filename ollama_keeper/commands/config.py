"""`config show`, `config schema`, `config init`."""

import asyncio
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ollama_keeper.commands.start import (
    EXIT_NOBODY,
    EXIT_OK,
    EXIT_SOME_NOT,
    Unusable,
    client,
    configuration,
)
from ollama_keeper.commands.status_table import silent_text
from ollama_keeper.config import Server
from ollama_keeper.config.places import system_file, user_file
from ollama_keeper.config.show import Found, initial, json_schema
from ollama_keeper.config.show import show as shown
from ollama_keeper.errors import OllamaError, Unreachable

STDOUT = Path("-")


def show(path: Path | None, models: Sequence[str], flags: Mapping[str, object]) -> int:
    """Prints the configuration in effect."""
    try:
        config = configuration(path, models, flags, models_required=False)
    except Unusable as unusable:
        return unusable.code
    click.echo(shown(config), nl=False)
    return EXIT_OK


def schema() -> int:
    """Prints the JSON schema of the file."""
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return EXIT_OK


def init(output: Path | None, url: str | None, *, force: bool) -> int:
    """Writes a commented file from what the server has."""
    try:
        flags = {"ollama": url} if url else {}
        (server,) = configuration(None, (), flags, models_required=False).servers[:1]
        found, text = asyncio.run(_initial(server))
    except Unusable as unusable:
        return unusable.code
    except OllamaError as error:
        told = f"{error.server}: {silent_text(error.reason)}" if isinstance(error, Unreachable) else str(error)
        click.echo(f"ollama-keeper: {told}\nTry: start Ollama (ollama serve), or name it with --ollama URL", err=True)
        return EXIT_NOBODY
    todo = "look it through" if any(model.resident for model in found) else "choose its models"
    return _write(output or user_file(os.environ), text, todo, force=force)


async def _initial(server: Server) -> tuple[list[Found], str]:
    asked = client(server)
    try:
        version, look, tags = await asked.version(), await asked.look(), await asked.tags()
        resident = {entry.name for entry in look.models}
        found = [Found(str(entry.name), resident=entry.name in resident, remote=entry.remote) for entry in tags.models]
    finally:
        await asked.aclose()
    return found, initial(url=server.address.url, version=version, found=found)


def _write(path: Path, text: str, todo: str, *, force: bool) -> int:
    if path == STDOUT:
        click.echo(text, nl=False)
        return EXIT_OK
    try:
        if path.is_dir():
            click.echo(f"ollama-keeper: {path} is a folder; name the file in it with -o, such as config.yaml", err=True)
            return EXIT_SOME_NOT
        if path.exists() and not force:
            hint = "write over it with --force, or print with -o -"
            click.echo(f"ollama-keeper: {path} is there already; {hint}", err=True)
            return EXIT_SOME_NOT
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        click.echo(
            f"ollama-keeper: {path} cannot be written: {error.strerror}; choose another place with -o FILE", err=True
        )
        return EXIT_SOME_NOT
    usual = {user_file(os.environ).absolute(), system_file(os.environ)}
    named = "" if path.absolute() in usual else f" --config {shlex.quote(str(path))}"
    click.echo(f"{path} written; {todo}, then: ollama-keeper run{named}")
    return EXIT_OK
