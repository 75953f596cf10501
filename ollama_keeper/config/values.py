"""What a value may be: one function a kind, from what was written to what the program uses.

Each raises `Wrong` with what is wrong and what to write; who knows the place adds it. Variables and flags are text, so
numbers and booleans are taken as text too. Values that may hold a secret are never shown.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from string import Template

from ollama_keeper.config.layer import first_word
from ollama_keeper.core.alert_rules import TEMPLATE_FIELDS
from ollama_keeper.core.names import BadName, parse_name
from ollama_keeper.core.policy import ContextRule
from ollama_keeper.core.reasons import Alert
from ollama_keeper.core.units import BadUnit, config_duration, parse_duration, parse_size

LEAST_CONTEXT = 256
MOST_CONTEXT = 2**31 - 1
LONGEST_LEASE_S = 20 * 365 * 86_400.0  # what Ollama lists as further ahead is a pin (CONTRACT 2.3)
LONGEST_S = 366 * 86_400.0

_SHOWN = 60
_LEASE_HINT = "write -1 to pin, or '30m'"
_DURATION_HINT = "write for example 90s, 5m or 1h30m"
_NUMBER = re.compile(r"[-+]?\d{1,17}(\.\d{0,17})?", re.ASCII)
_WHOLE = re.compile(r"[-+]?(0|[1-9]\d{0,16})", re.ASCII)
_THOUSANDS = re.compile(r"(\d{1,6})\s*[kK]", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3})\s*%", re.ASCII)
_TERM = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([^\W\d_]+)")
_SERVER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LISTEN_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_SECRET = re.compile(r"[A-Za-z0-9+=_~-]{20,}")  # robots and Ollama's proxies give out 32 signs and more
_SECRET_DIGITS = 4
_WORDS = {
    1: ("s", "sec", "secs", "second", "seconds", "秒", "秒钟", "秒鐘"),
    60: ("m", "min", "mins", "minute", "minutes", "分", "分钟", "分鐘"),
    3_600: ("h", "hr", "hrs", "hour", "hours", "小时", "小時", "时", "時間"),
    86_400: ("d", "day", "days", "天", "日"),
}
_SECONDS = {word: seconds for seconds, words in _WORDS.items() for word in words}
_BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Wrong(ValueError):
    """A value that cannot be used: what is wrong with it, and what to write."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def shown(value: object) -> str:
    """A value as a message may show it: short, printable, of tables and lists only what they are."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def duration(least_s: float = 0.0) -> Callable[[object], float]:
    """A duration with a unit, in seconds, of at least `least_s` and at most a year."""

    def check(value: object) -> float:
        seconds = _seconds(value, _DURATION_HINT)
        if seconds < least_s:
            raise Wrong(f"{shown(value)} is too short", f"write {config_duration(least_s)} or more")
        if seconds > LONGEST_S:
            raise Wrong(f"{shown(value)} is longer than a year", "write less")
        return seconds

    return check


def duration_or_off(least_s: float) -> Callable[[object], float | None]:
    """The same, or `off`, which is None. `false` is what other YAML tools make of `off`."""
    inner = duration(least_s)
    return lambda value: None if is_off(value) else inner(value)


def duration_or_auto(value: object) -> float | None:
    """A duration with a unit, or `auto`, which is None."""
    return None if isinstance(value, str) and value.strip() == "auto" else duration()(value)


def listen_or_off(value: object) -> str | None:
    """HOST:PORT to listen on, or `off`, which is None."""
    if is_off(value):
        return None
    text = value.strip() if isinstance(value, str) else ""
    host, colon, port = text.rpartition(":")
    good = colon and port.isascii() and port.isdigit() and int(port) <= 65_535 and _LISTEN_HOST.fullmatch(host)
    if not good:
        raise Wrong(f"{shown(value)} is not an address to listen on", "write HOST:PORT such as 127.0.0.1:11480, or off")
    return text


def hosts(value: object) -> list[str]:
    """Names of hosts: a list, or by comma or space."""
    items = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) and _LISTEN_HOST.fullmatch(item) for item in items):
        raise Wrong(f"{shown(value)} is not a list of host names", "write [keeper.example.org]")
    return items


def size(value: object) -> int:
    """A size with a unit, in bytes."""
    hint = "write for example 22GiB or 22GB"
    try:
        found = parse_size(value.strip()) if isinstance(value, str) else 0
    except BadUnit:
        found = 0
    if found <= 0:
        raise Wrong(f"{shown(value)} is not a size", hint)
    return found


def is_off(value: object) -> bool:
    """Whether the value is the word `off`."""
    return value is False or (isinstance(value, str) and value.strip().lower() in {"off", "false"})


def keep_alive(value: object) -> float:
    """Seconds of a lease, or -1.0, which pins. Only here a number without a unit is taken, as seconds."""
    number = _number(value)
    if number == -1:
        return -1.0
    seconds = number if number is not None else _seconds(value, _LEASE_HINT)
    if seconds == 0:
        raise Wrong(f"{shown(value)} would unload the model after each request", _LEASE_HINT)
    if seconds < 0:
        raise Wrong(f"{shown(value)} is negative, which Ollama takes as for ever", _LEASE_HINT)
    if seconds > LONGEST_LEASE_S:
        raise Wrong(f"{shown(value)} is more than 20 years", _LEASE_HINT)
    return seconds


def context_length(value: object) -> int | ContextRule:
    """A number of tokens, `server` or `adopt`."""
    if isinstance(value, str) and value.strip() in set(ContextRule):
        return ContextRule(value.strip())
    if isinstance(value, str) and (match := _THOUSANDS.fullmatch(value.strip())):
        raise Wrong(f"{shown(value)} is not a whole number", f"write {int(match.group(1)) * 1024}")
    tokens = whole(value, hint="write a number of tokens such as 8192, or server, or adopt")
    if not LEAST_CONTEXT <= tokens <= MOST_CONTEXT:
        raise Wrong(f"{shown(value)} is out of range", f"write {LEAST_CONTEXT} or more, or server, or adopt")
    return tokens


def fraction(value: object) -> float | None:
    """A share from 0.0 to 1.0; None for `auto`."""
    if isinstance(value, str) and value.strip() == "auto":
        return None
    hint = "write a share from 0.0 to 1.0, or auto"
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())) and int(match.group(1)) <= 100:
        raise Wrong(f"{shown(value)} is not a share", f"write {int(match.group(1)) / 100:g}")
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise Wrong(f"{shown(value)} is not a share", hint)
    return number


def whole(value: object, *, hint: str = "write a whole number") -> int:
    """A whole number."""
    number = _number(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if number is not None and isinstance(value, int):
        return value
    meant = f"write {number:.0f}" if number is not None and number.is_integer() else hint
    raise Wrong(f"{shown(value)} is not a whole number", meant)


def whole_from(least: int) -> Callable[[object], int]:
    """A whole number of at least `least`."""

    def check(value: object) -> int:
        number = whole(value)
        if number < least:
            raise Wrong(f"{shown(value)} is too small", f"write {least} or more")
        return number

    return check


def boolean(value: object) -> bool:
    """`true` or `false`; `yes`, `no`, `on` and `off` mean the same."""
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, str):
        word = _BOOLS.get(word)
    if not isinstance(word, bool):
        raise Wrong(f"{shown(value)} is neither true nor false", "write true or false")
    return word


def one_of(*words: str) -> Callable[[object], str]:
    """One word of a closed list."""

    def check(value: object) -> str:
        if isinstance(value, str) and value.strip() in words:
            return value.strip()
        raise Wrong(f"{shown(value)} is not one of the choices", f"write {', '.join(words[:-1])} or {words[-1]}")

    return check


def model_name(value: object) -> str:
    """The name of a model that Ollama takes, as written."""
    if not isinstance(value, str):
        hint = "write it in quotes" if isinstance(value, int | float) else "write it as ollama list does: qwen3:8b"
        raise Wrong(f"{shown(value)} is not a model name", hint)
    try:
        parse_name(value.strip())
    except BadName:
        raise Wrong(f"{shown(value)} is not a model name", "write it as ollama list does: qwen3:8b") from None
    return value.strip()


def server_name(value: object) -> str:
    """The name of a server: letters, digits, `._-`."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _SERVER_NAME.fullmatch(text):
        raise Wrong(f"{shown(value)} is not a server name", "write letters, digits, '.', '_' and '-'")
    return text


def site_name(value: object) -> str:
    """What a model calls one of its servers: a name, or the host and port of one that has none."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise Wrong(f"{shown(value)} is not a server name", "write the name of one of the servers")
    return str(value).strip()


def sink_name(value: object) -> str:
    """The name of a sink: letters, digits, `._-`."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _SERVER_NAME.fullmatch(text):
        raise Wrong(f"{shown(value)} is not the name of a sink", "write letters, digits, '.', '_' and '-'")
    return text


def alert_durations(value: object) -> float | dict[str, float | None]:
    """How long before an alert is told: one duration for all, or a table of alerts; `off` there is None."""
    if not isinstance(value, Mapping):
        return duration()(value)
    told: dict[str, float | None] = {}
    for name, text in value.items():
        if name not in set(Alert):
            near = difflib.get_close_matches(str(name), list(Alert), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(Alert)}"
            raise Wrong(f"{shown(name)} is no alert", hint)
        try:
            told[str(name)] = None if is_off(text) else duration()(text)
        except Wrong as wrong:
            raise Wrong(f"of {name}: {wrong.what}", wrong.hint) from None
    return told


def template(value: object) -> str:
    """The text of a message with `$name` or `${name}` in it; `$$` is a dollar."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{shown(value)} is not the text of a message", "write text with $title and $text in it")
    for match in Template.pattern.finditer(value):
        name = match.group("named") or match.group("braced")
        line = value.count("\n", 0, match.start()) + 1
        if match.group("invalid") is not None:
            raise Wrong(f"a lone $ in line {line} of it", "write $$ for a dollar, or $title")
        if name and name not in TEMPLATE_FIELDS:
            near = difflib.get_close_matches(name, TEMPLATE_FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean ${near[0]}?" if near else f"known are {', '.join(TEMPLATE_FIELDS)}"
            raise Wrong(f"${name} in line {line} of it means nothing", hint)
    return value


def path(value: object) -> str:
    """A path, as written."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{shown(value)} is not a path", "write the path of a file, in quotes if it looks like a number")
    return value.strip()


def secret_file(value: object) -> str:
    """The path of a file with a secret in it; nothing is shown of what looks like that secret itself."""
    text = path(value)
    hint = "write it, alone, into a file, and the path of that file here"
    if "://" in text:
        raise Wrong("is a URL, and not the path of a file with it", hint)
    if _SECRET.fullmatch(text) and sum(map(str.isdigit, text)) >= _SECRET_DIGITS:
        raise Wrong("looks like a secret, and not like the path of a file with it", f"{hint} (./NAME where it is one)")
    return text


def path_or_off(value: object) -> str | None:
    """A path as written, or `off`, which is None."""
    return None if is_off(value) else path(value)


def headers(value: object) -> dict[str, str]:
    """HTTP headers by their name; their values may be secrets."""
    if not isinstance(value, Mapping):
        raise Wrong("is not a table", "write one line a header below it, NAME: VALUE")
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            told = shown(first_word(name) if isinstance(name, str) else name)
            raise Wrong(f"{told} is not the name of a header", "write NAME: VALUE, with letters, digits and '-'")
        good = isinstance(text, str | int | float) and not isinstance(text, bool)
        if not good or not str(text).isprintable() or not str(text).isascii():
            raise Wrong(f"the value of {name} is not plain text of one line", "write it in quotes")
    return {str(name): str(text).strip() for name, text in value.items()}


def _seconds(value: object, hint: str) -> float:
    """Seconds of a duration with a unit; the hint is for text of which not even the meaning is clear."""
    number = _number(value)
    if number is not None:
        unit = f"write {number:g}s" if number >= 0 else hint
        raise Wrong(f"{shown(value)} {'has no unit' if number >= 0 else 'is negative'}", unit)
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a duration", hint)
    try:
        return parse_duration(value.strip())
    except BadUnit:
        meant = _meant(value)
        negative = value.strip().startswith("-") and _meant(value.strip()[1:])
        raise Wrong(
            f"{shown(value)} {'is negative' if negative else 'is not a duration'}", f"write {meant}" if meant else hint
        ) from None


def _meant(text: str) -> str | None:
    """What words such as `5 min`, `1 day` or `30分钟` mean as a duration of ours."""
    terms = _TERM.findall(text)
    if not terms or _TERM.sub("", text).strip() or any(word.lower() not in _SECONDS for _, word in terms):
        return None
    return config_duration(sum(float(number) * _SECONDS[word.lower()] for number, word in terms))


def _number(value: object) -> float | None:
    """A number, also written as text; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else None
    return float(value)
