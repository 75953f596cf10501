"""Validation errors into mistakes with a place, what is wrong and what to write."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import ErrorDetails

from ollama_keeper.config.environment import PREFIX, Environment
from ollama_keeper.config.schema import LATER, LogKeys, ModelEntry, Options, ServerEntry, Settings
from ollama_keeper.config.values import Wrong
from ollama_keeper.config.yaml import Document, Path_, dotted
from ollama_keeper.errors import Mistake

COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Origins:
    """Who said what: the file, the environment, the command line; to find the place of a mistake.

    Attributes:
        renumbered: where models were named on the command line, the item of the file that each is; None for none.
    """

    document: Document
    environment: Environment
    flags: Mapping[Path_, str] = field(default_factory=dict)
    renumbered: Mapping[int, int | None] | None = None

    def mistake(self, path: Path_, what: str, hint: str = "", *, at_key: bool = False) -> Mistake:
        """A mistake at the place where the value, or the key, of a path was written."""
        if path in self.flags:
            return Mistake(self.flags[path], dotted(path), what, hint)
        if (variable := self.environment.variables.get(path)) is not None:
            return Mistake(variable, dotted(path), what, hint)
        if self.renumbered is not None and path[0] == "models" and len(path) > 1 and isinstance(path[1], int):
            index = self.renumbered.get(path[1])
            if index is None or path[2:] == ("name",):
                return Mistake(COMMAND_LINE, dotted(path), what, hint)
            path = ("models", index, *path[2:])
        place = self._place(path, at_key=at_key)
        source = self.document.source or COMMAND_LINE
        return Mistake(source, dotted(path), what, hint, *(place or (None, None)))

    def _place(self, path: Path_, *, at_key: bool) -> tuple[int, int] | None:
        places = self.document.keys if at_key else self.document.places
        while path and path not in places:
            path, places = path[:-1], self.document.places
        return places.get(path)


def mistake_of(error: ErrorDetails, origins: Origins) -> Mistake:
    """The mistake that a validation error tells of; its input is never shown but by our own words."""
    path = tuple(error["loc"])
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, Wrong):
        return origins.mistake(path, cause.what, cause.hint)
    if error["type"] == "extra_forbidden":
        return unknown_key(path, origins)
    if error["type"] == "missing":
        return origins.mistake(path, f"{path[-1]} is missing", f"write {path[-1]}: …")
    if error["type"] in {"model_type", "model_attributes_type", "dict_type"}:
        return origins.mistake(path, "is not a map", "write keys and values below it")
    return origins.mistake(path, "cannot be used", str(error["msg"]).lower())


def unknown_key(path: Path_, origins: Origins) -> Mistake:
    """An unknown key, with the nearest known one of its place."""
    key = str(path[-1])
    if path[0] in LATER and len(path) == 1 or key in LATER:
        return origins.mistake(path, "not in this version of ollama-keeper", "leave it out", at_key=True)
    known = known_keys(path)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if path in origins.environment.variables:
        variable = PREFIX + "__".join((*map(str, path[:-1]), near[0])).upper() if near else ""
        hint = f"did you mean {variable}?" if near else "see: ollama-keeper config schema"
        return origins.mistake(path, "no such key", hint)
    hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
    return origins.mistake(path, "unknown key", hint, at_key=True)


def known_keys(path: Path_) -> Sequence[str]:
    """The keys that may stand where the last part of `path` stands."""
    parents: dict[Any, Any] = {"models": ModelEntry, "servers": ServerEntry, "log": LogKeys, "options": Options}
    named = [part for part in path[:-1] if isinstance(part, str)]
    model = parents.get(named[-1], Settings) if named else Settings
    return tuple(model.model_fields)
