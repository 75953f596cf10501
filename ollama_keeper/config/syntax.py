"""Bytes that are no text and text that is no YAML, told so that a person finds the place and knows what to do."""

import re

import yaml

from ollama_keeper.config.places import MAX_BYTES
from ollama_keeper.errors import ConfigError, Mistake

_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_QUOTE_IT = "put the value in quotes"
_INDENT = "indent the keys of one table alike, with spaces"
_OPENED = ("a simple key", "a quoted scalar", "a flow")  # told where it begins, not where its end was missed
_PROBLEMS = (
    (
        "mapping values are not allowed",
        "a ': ' stands where no key can be",
        f"{_INDENT}, and put text with ': ' in quotes",
    ),
    ("could not find expected ':'", "a line has no ':' after its key", "write key: value"),
    ("while scanning a quoted scalar", "a quote is opened and never closed", "close it"),
    ("unexpected end of stream", "a quote is opened and never closed", "close it"),
    ("did not find expected ',' or", "a bracket is not closed, or a comma is missing", "write [a, b] or {a: 1, b: 2}"),
    ("expected ',' or", "a bracket is not closed, or a comma is missing", "write [a, b] or {a: 1, b: 2}"),
    ("unknown escape character", "a backslash in double quotes means something else", "use single quotes"),
    ("did not find expected key", "the indent fits no table above", _INDENT),
    ("did not find expected '-' indicator", "the indent fits no list above", "indent the items of one list alike"),
    ("<block end>", "the indent fits nothing above", _INDENT),
)


def decoded(data: bytes, source: str) -> str:
    """The text of a file: UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it is larger than 1 MiB, in another encoding, or no text at all.
    """
    if len(data) > MAX_BYTES:
        raise _refused(Mistake(source, "", "is larger than 1 MiB", "is it the configuration file?"))
    if data.startswith(_UTF16):
        raise _refused(Mistake(source, "", "is written in UTF-16", "save it as UTF-8"))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        raise _refused(_binary(data, source) or _at(before, source, "is not UTF-8 text", "save it as UTF-8")) from None
    if control := _CONTROL.search(text):
        what = f"holds the control character U+{ord(control.group()):04X}"
        raise _refused(_binary(data, source) or _at(text[: control.start()], source, what, "take it out"))
    return text


def explained(error: yaml.MarkedYAMLError, text: str, source: str) -> Mistake:
    """What a syntax error of the YAML parser means to the person who wrote the file."""
    opened = error.context_mark if any(part in str(error.context) for part in _OPENED) else None
    mark = opened or error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text.split("\n")
    what, hint = _meaning(error, lines[min(line, len(lines) - 1)], column)
    return Mistake(source, "", what, hint, line + 1, column + 1)


def _meaning(error: yaml.MarkedYAMLError, line: str, column: int) -> tuple[str, str]:
    problem = " ".join(str(part) for part in (error.context, error.problem) if part)
    at = line[column : column + 1]
    if "\t" in (at, line[: len(line) - len(line.lstrip())][-1:]):
        return "a tab stands where only spaces may", "indent with spaces"
    if "cannot start any token" in problem:
        return f"{at!r} cannot begin a value", _QUOTE_IT
    for part, what, hint in _PROBLEMS:
        if part in problem:
            return what, hint
    return f"is not YAML: {error.problem or error.context}", "see config.example.yaml"


def _binary(data: bytes, source: str) -> Mistake | None:
    if b"\0" not in data:
        return None
    return Mistake(source, "", "is not a text file", "is it the configuration file?")


def _at(before: str, source: str, what: str, hint: str) -> Mistake:
    line = before.count("\n")
    return Mistake(source, "", what, hint, line + 1, len(before) - before.rfind("\n"))


def _refused(mistake: Mistake) -> ConfigError:
    return ConfigError((mistake,))
