"""A YAML file as plain data, with the place of everything in it.

The nodes are built from the parser's events, so that nesting and aliases are ours to bound, and plain scalars are read
as YAML 1.2 means them. PyYAML's own reading (1.1) makes `off` False, `12:30` 750 and `010` 8; here they stay text, and
the key that gets them says what it takes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import yaml

from ollama_keeper.config.layer import Layer, Path, Place, path_text
from ollama_keeper.config.syntax import explained
from ollama_keeper.errors import ConfigError, Mistake

MAX_DEPTH = 16  # the deepest value of a good file is at 5
MAX_NODES = 200_000  # 1,000 models of 20 keys are 41,000; an alias counts as all that it stands for
MODELS = ("models",)  # a list of which every line is a comment yet, as `config init` begins one

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(0|[1-9]\d{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\d{1,17}\.\d{0,17}|\.\d{1,17})", re.ASCII)
_CORE = "tag:yaml.org,2002:"

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class _Node:
    """A scalar, a list or a table, and where it stands; line and column counted from 1."""

    line: int
    column: int
    scalar: Scalar = None
    items: "tuple[_Node, ...] | None" = None
    pairs: "tuple[tuple[_Node, _Node], ...] | None" = None

    @property
    def empty(self) -> bool:
        return self.scalar is None and self.items is None and self.pairs is None


class _Unusable(Exception):
    """YAML that is not taken: the reading ends."""

    def __init__(self, at: yaml.Event, what: str, hint: str) -> None:
        super().__init__(what)
        self.at, self.what, self.hint = _at(at), what, hint


def parse(text: str, source: str) -> Layer:
    """The settings of a file; duplicate keys, keys that are no text and empty values are among its mistakes.

    Args:
        text: the whole file, without control characters.
        source: how messages call the file.

    Raises:
        ConfigError: the file is no YAML, or no table: its first such place.
    """
    try:
        top = _document(yaml.parse(text, Loader=_LOADER))
    except _Unusable as error:
        place = Place(source, "", *error.at)
        raise ConfigError((place.mistake(error.what, error.hint),)) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError((explained(error, text, source),)) from None
    if top is None or top.empty:
        raise ConfigError((Mistake(source, "", "holds nothing", "list what to keep: models: [qwen3:8b]"),))
    if top.pairs is None:
        what = f"is {'text' if top.items is None else 'a list'}, not a table of keys"
        place = Place(source, "", top.line, top.column)
        raise ConfigError((place.mistake(what, "write models: and the list below it"),))
    return _Walk(source).layer(top)


def _document(events: Iterator[yaml.Event]) -> _Node | None:
    """The one document of a stream."""
    top, anchors = None, dict[str, _Node]()
    for event in events:
        if top and isinstance(event, yaml.DocumentStartEvent):
            raise _Unusable(event, "a second document begins", "keep one, without a line of ---")
        if isinstance(event, yaml.NodeEvent):
            top = _node(event, events, anchors, depth=0)
    return top


def _node(event: yaml.Event, events: Iterator[yaml.Event], anchors: dict[str, _Node], *, depth: int) -> _Node:
    """The node that begins with an event. An anchor holds once its node is complete, so none contains itself."""
    if depth > MAX_DEPTH:
        raise _Unusable(event, "is nested too deep", "no key needs more than five levels")
    if isinstance(event, yaml.AliasEvent):
        return _aliased(event, anchors)
    node = _Node(*_at(event))
    if isinstance(event, yaml.ScalarEvent):
        node = replace(node, scalar=_scalar(event))
    elif isinstance(event, yaml.SequenceStartEvent):
        _check_tag(event, "seq")
        node = replace(node, items=tuple(_inner(events, anchors, depth)))
    elif isinstance(event, yaml.MappingStartEvent):
        _check_tag(event, "map")
        inner = list(_inner(events, anchors, depth))
        node = replace(node, pairs=tuple(zip(inner[::2], inner[1::2], strict=True)))
    if isinstance(event, yaml.NodeEvent) and event.anchor:
        anchors[event.anchor] = node
    return node


def _inner(events: Iterator[yaml.Event], anchors: dict[str, _Node], depth: int) -> Iterator[_Node]:
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            return
        yield _node(event, events, anchors, depth=depth + 1)


def _aliased(event: yaml.AliasEvent, anchors: dict[str, _Node]) -> _Node:
    if event.anchor not in anchors:
        raise _Unusable(event, f"*{event.anchor} stands for nothing above it", "write the value out, or text in quotes")
    line, column = _at(event)
    return replace(anchors[event.anchor], line=line, column=column)


def _at(event: yaml.Event) -> tuple[int, int]:
    """Line and column of an event, counted from 1."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _scalar(event: yaml.ScalarEvent) -> Scalar:
    """The value of a scalar: quoted is text; plain is what YAML 1.2 says, without octal, exponents and infinities."""
    _check_tag(event, "str")
    text: str = event.value
    if event.tag or not event.implicit[0]:
        return text
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _check_tag(event: yaml.ScalarEvent | yaml.CollectionStartEvent, kind: str) -> None:
    if event.tag and event.tag not in {"!", _CORE + kind}:
        raise _Unusable(event, "a tag (!...) is not taken", "write the plain value")


@dataclass(slots=True)
class _Walk:
    """Turns nodes into data and places, and counts them: an alias is walked each time it is used."""

    source: str
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def layer(self, top: _Node) -> Layer:
        data = self._table(top, ())
        return Layer(self.source, data, self.values, self.keys, tuple(self.mistakes))

    def _value(self, node: _Node, path: Path) -> object:
        if len(self.values) >= MAX_NODES:
            what = "has more than 200,000 values, those that aliases stand for included"
            raise ConfigError((Mistake(self.source, "", what, "write it smaller"),))
        self.values[path] = self._place(node, path)
        if node.pairs is not None:
            return self._table(node, path)
        if node.items is not None:
            return [self._value(item, (*path, index)) for index, item in enumerate(node.items)]
        return node.scalar

    def _table(self, node: _Node, path: Path) -> dict[str, object]:
        self.values[path] = self._place(node, path)
        data: dict[str, object] = {}
        for key, value in node.pairs or ():
            if (name := self._key(key, path)) is not None:
                self._entry(data, name, value, (*path, name))
        return data

    def _entry(self, data: dict[str, object], name: str, value: _Node, path: Path) -> None:
        if value.empty and path == MODELS:
            data[name] = []
            self.values[path] = self._place(value, path)
        elif value.empty:
            what = "has no value"
            self.mistakes.append(self.keys[path].mistake(what, "write one, or take the line out for the default"))
        else:
            data[name] = self._value(value, path)

    def _key(self, key: _Node, path: Path) -> str | None:
        """The name of a key that may stand here; else None, and the mistake is noted."""
        if not isinstance(key.scalar, str):
            place = self._place(key, path)
            self.mistakes.append(place.mistake("a key must be text", "write it in quotes, if it is meant"))
            return None
        whole = (*path, key.scalar)
        place = self._place(key, whole)
        if first := self.keys.get(whole):
            self.mistakes.append(place.mistake(f"is given twice, first on line {first.line}", "keep one"))
            return None
        self.keys[whole] = place
        return key.scalar

    def _place(self, node: _Node, path: Path) -> Place:
        return Place(self.source, path_text(path), node.line, node.column)
