"""One source of settings, and where each of them stands in it.

Flags lie over variables, variables over the file. A layer is plain data, so that pydantic can read it, beside a map
from the path of a value to its place, so that a mistake can be told where it is.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ollama_keeper.errors import Mistake

COMMAND_LINE = "command line"
"""The source of what flags and arguments say."""

HEADERS = "headers"
"""The table whose values are secrets."""

_LONGEST_KEY = 60

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value or a key was written.

    Attributes:
        source: the file, `environment` or `command line`.
        key: how it is called there: `models[2].keep_alive`, `OLLAMA_KEEPER_INTERVAL`, `--interval`.
        line, column: counted from 1; None where the source has none.
    """

    source: str
    key: str
    line: int | None = None
    column: int | None = None

    def mistake(self, what: str, hint: str = "") -> Mistake:
        """A mistake at this place."""
        return Mistake(self.source, self.key, what, hint, self.line, self.column)


@dataclass(frozen=True, slots=True)
class Layer:
    """Settings of one source.

    Attributes:
        data: tables as dicts, lists as lists, below them text, numbers and booleans; never None.
        values: where each value stands, containers included; the empty path is the whole.
        keys: where each key stands.
        mistakes: what could be told while reading; the values concerned are left out of `data`.
    """

    source: str
    data: dict[str, object] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    def copy(self) -> "Layer":
        """A layer of its own, to take values out of."""
        return replace(self, data=deepcopy(self.data), values=dict(self.values))

    def remove(self, path: Path) -> bool:
        """Takes out what stands at a path, and its place; whether something stood there."""
        inside: object = self.data
        for step in path[:-1]:
            if isinstance(inside, dict):
                inside = inside.get(step)
            elif isinstance(inside, list) and isinstance(step, int) and step < len(inside):
                inside = inside[step]
        self.values.pop(path, None)
        return isinstance(inside, dict) and inside.pop(path[-1], None) is not None


@dataclass(frozen=True, slots=True)
class Layers:
    """All sources of one configuration."""

    flags: Layer
    variables: Layer
    file: Layer

    def __iter__(self) -> Iterator[Layer]:
        """The layers, the one that holds first."""
        return iter((self.flags, self.variables, self.file))

    def copy(self) -> "Layers":
        """Layers of their own, to take values out of."""
        return Layers(self.flags.copy(), self.variables.copy(), self.file.copy())

    def place(self, path: Path) -> Place:
        """Where the value of a path stands; where it stands nowhere, the nearest container that does."""
        for depth in range(len(path), 0, -1):
            for layer in self:
                if place := layer.values.get(path[:depth]):
                    return place
        return self.file.values.get((), Place(self.file.source, ""))

    def key_place(self, path: Path) -> Place:
        """Where the key of a path stands; the place of the value for the items of a list."""
        return next((layer.keys[path] for layer in self if path in layer.keys), self.place(path))


def path_text(path: Iterable[Step]) -> str:
    """A path as messages write it: `models[2].keep_alive`."""
    text, before = "", None
    for step in path:
        name = _key_text(first_word(step) if before == HEADERS else step) if isinstance(step, str) else f"[{step}]"
        text += f".{name}" if text and isinstance(step, str) else name
        before = step
    return text


def first_word(text: str) -> str:
    """What stands before the first space: of a header without its colon the rest is the value."""
    first, *rest = text.split(maxsplit=1) or (text,)
    return f"{first}…" if rest else text


def _key_text(key: str) -> str:
    """A key as messages write it; foreign text as what it is, and short."""
    return key if 0 < len(key) <= _LONGEST_KEY and key.isprintable() else f"{key[:_LONGEST_KEY]!r}"
