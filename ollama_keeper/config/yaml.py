"""YAML into plain values, and where each of them stands.

Scalars are read more plainly than YAML 1.1 does: `off`, `12:30` and `1e3` stay text, numbers are decimal. Duplicate keys,
keys that are not text, and lists at the top are mistakes, told with line and column.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ollama_keeper.errors import Mistake

Path_ = tuple[str | int, ...]
Place = tuple[int, int]

LARGEST_FILE = 2**20
MOST_VALUES = 100_000
DEEPEST = 20

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)")
_PLAIN = {"": None, "~": None, "null": None, "Null": None, "true": True, "True": True, "false": False, "False": False}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadFile(Exception):
    """A file that is no YAML mapping; `mistakes` say why."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


@dataclass(slots=True)
class Document:
    """A mapping, and where its values and keys stand, lines and columns counted from 1."""

    source: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Path_, Place] = field(default_factory=dict)
    keys: dict[Path_, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    count: int = 0


def read_file(path: Path) -> Document:
    """The mapping in a file.

    Raises:
        BadFile: it cannot be read, is no YAML, or no mapping.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise BadFile(
            Mistake(str(path), "", why, "check the path given by --config or OLLAMA_KEEPER_CONFIG")
        ) from error
    if len(raw) > LARGEST_FILE:
        raise BadFile(Mistake(str(path), "", "larger than 1 MiB", "this is hardly a configuration of ollama-keeper"))
    return read_text(_decoded(raw, str(path)), str(path))


def read_text(text: str, source: str) -> Document:
    """The mapping in a text.

    Raises:
        BadFile: it is no YAML, or no mapping.
    """
    document = Document(source)
    try:
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise BadFile(_syntax(error, text, source)) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise BadFile(_unreadable(error, text, source)) from error
    if node is None:
        raise BadFile(Mistake(source, "", "the file is empty", "write at least: models: [qwen3:8b]"))
    if not isinstance(node, yaml.MappingNode):
        what = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        hint = "begin with a key, such as models:"
        raise BadFile(Mistake(source, "", f"{what} where keys and values are expected", hint, *_at(node)))
    document.values = _mapping(node, (), document)
    if document.mistakes:
        raise BadFile(*document.mistakes)
    return document


def plain(text: str) -> object:
    """What an unquoted scalar means: null, true, false, a decimal number, else the text itself."""
    if text in _PLAIN:
        return _PLAIN[text]
    if _INT.fullmatch(text) and len(text) < 20:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _decoded(raw: bytes, source: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadFile(Mistake(source, "", "the file is UTF-16", "save it as UTF-8"))
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise BadFile(Mistake(source, "", "not UTF-8 text", "save the file as UTF-8", line, column)) from error


def _value(node: yaml.Node, path: Path_, document: Document) -> Any:
    document.count += 1
    if document.count > MOST_VALUES or len(path) > DEEPEST:
        raise BadFile(
            Mistake(document.source, "", "nested too deeply or too large", "leave out anchors and aliases", *_at(node))
        )
    document.places[path] = _at(node)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), document) for index, item in enumerate(node.value)]
    return plain(node.value) if getattr(node, "style", None) is None else node.value


def _mapping(node: yaml.MappingNode, path: Path_, document: Document) -> dict[str, Any]:
    document.places.setdefault(path, _at(node))
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        where = _at(key_node)
        if not isinstance(key, str) or key == "<<":
            document.mistakes.append(Mistake(document.source, dotted(path), "a key that is not plain text", "", *where))
            continue
        if key in values:
            first = document.keys[(*path, key)][0]
            what = f"the key is there twice, first in line {first}"
            document.mistakes.append(Mistake(document.source, dotted((*path, key)), what, "keep one of them", *where))
            continue
        document.keys[(*path, key)] = where
        values[key] = _value(value_node, (*path, key), document)
    return values


def dotted(path: Path_) -> str:
    """A path as messages write it: `models[2].keep_alive`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _at(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: yaml.MarkedYAMLError, text: str, source: str) -> Mistake:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    problem = error.problem or "not YAML"
    lines = text.splitlines()
    if line is not None and line <= len(lines) and "\t" in lines[line - 1][:column]:
        return Mistake(source, "", "a tab", "indent with spaces", line, column)
    return Mistake(source, "", f"not YAML: {problem}", "check indentation, colons and quotes near it", line, column)


def _unreadable(error: Exception, text: str, source: str) -> Mistake:
    position = getattr(error, "position", None)
    if isinstance(position, int):
        line = text.count("\n", 0, position) + 1
        return Mistake(source, "", "not text: it holds control characters", "is this the right file?", line, 1)
    return Mistake(source, "", "not YAML", "is this the right file?")
