"""What pydantic finds wrong, in our own words and at its place. What was written is shown only as `values` shows it."""

import difflib
from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from ollama_keeper.config.effective import SinkType
from ollama_keeper.config.layer import Layers, Path, path_text
from ollama_keeper.config.schema import LISTS, TABLES, Settings, keys_of
from ollama_keeper.config.values import Wrong
from ollama_keeper.errors import Mistake

_FEW = 8
_TABLES: dict[str, type[BaseModel]] = {**LISTS, **TABLES}
_LISTS = {
    "models": "write a list, models: [qwen3:8b]",
    "servers": "write a list below it, - url: http://HOST:11434",
    "active": "write a list below it, - hours: '08:00-18:00'",
    "sinks": "write a list below it, - name: team",
}
_ITEMS = {
    "models": "write a name, or a table that begins with name:",
    "servers": "write a table, - url: http://HOST:11434",
    "active": "write a table, - hours: '08:00-18:00'",
    "sinks": "write a table, - name: team",
}
_MISSING = {
    "name": "write the model's name, as ollama list does",
    "url": "write http://HOST:11434",
    "sinks.name": "write a name of your choice, which test-alert takes",
    "sinks.type": f"write {', '.join(get_args(SinkType))}",
}
_MEANT = {
    "model": "name",
    "id": "name",
    "host": "url",
    "address": "url",
    "ctx": "context_length",
    "context": "context_length",
    "context_size": "context_length",
    "ttl": "keep_alive",
    "lease": "keep_alive",
    "check_every": "interval",
    "poll_interval": "interval",
    "ping_interval": "ping_every",
    "ping": "ping_every",
    "schedule": "active",
    "active_hours": "active",
    "vram": "memory",
    "max_models": "models",
}
_ELSEWHERE = {
    "url": "write ollama: URL for one server, or a list of servers",
    "name": "names stand in the items of servers and models",
    "num_ctx": "write context_length, beside options",
    "keep_alive": "write it beside options",
    "timeout": "write load_timeout or look_timeout",
    "host": "write ollama: URL",
    "webhook": "write it as an item of sinks in alerts",
    "webhooks": "write them as items of sinks in alerts",
    "token": "write token_file: the path of a file that holds it",
    "<<": "merge keys are not taken; a key at the top level is the default of all",
}


def mistake(error: ErrorDetails, layers: Layers) -> Mistake:
    """The mistake behind one validation error."""
    path = tuple(error["loc"])
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        return layers.place(path).mistake(cause.what, cause.hint)
    match error["type"]:
        case "extra_forbidden":
            return layers.key_place(path).mistake(*_unknown_key(path))
        case "missing":
            place = layers.place(path)
            key = f"{path_text(path[:-1])}.{path[-1]}"
            hint = _MISSING[f"sinks.{path[-1]}" if "sinks" in path else str(path[-1])]
            return Mistake(place.source, key, "is missing", hint, place.line, place.column)
        case "list_type":
            tables = len(path) == 1 or path[-1] in {"active", "sinks"}
            hint = _LISTS[str(path[-1])] if tables else "write a list, [a, b]"
            return layers.place(path).mistake("is not a list", hint)
        case _:
            name = str(path[-2] if isinstance(path[-1], int) else path[-1])
            hint = _ITEMS.get(name, "write its keys below it, each indented")
            return layers.place(path).mistake("is not a table", hint)


def _unknown_key(path: Path) -> tuple[str, str]:
    """What is wrong with an unknown key, and what was meant."""
    key = str(path[-1])
    known = tuple(keys_of(_table(path[:-1])))
    first, dot, rest = key.partition(".")
    if dot and first in known:
        return "unknown key", f"write it as two, {first}: and below it {rest}:"
    plain = key.lower().replace("-", "_")
    near = difflib.get_close_matches(plain, known, n=1, cutoff=0.75)
    meant = [name for name in (_MEANT.get(plain), *near) if name in known]
    if meant:
        return "unknown key", f"did you mean {meant[0]}?"
    return "unknown key", _elsewhere(key, path) or _nearest(key, known)


def _elsewhere(key: str, path: Path) -> str:
    """Where a key belongs that stands in a wrong table."""
    if "sinks" in path and f"{key}_file" in LISTS["sinks"].model_fields:
        return f"write {key}_file: the path of a file that holds it"
    if key in _ELSEWHERE:
        return _ELSEWHERE[key]
    owner = next((name for name, kind in _TABLES.items() if key in keys_of(kind)), None)
    if owner:
        return f"it is a key of {owner}"
    return "it stands at the top level" if len(path) > 1 and key in Settings.model_fields else ""


def _nearest(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"known here: {', '.join(known)}" if len(known) <= _FEW else "config.example.yaml has every key"


def _table(path: Path) -> type[BaseModel]:
    """The table at a path."""
    names = [step for step in path if isinstance(step, str)]
    return _TABLES[names[-1]] if names else Settings
