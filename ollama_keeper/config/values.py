"""What a value may be: one function a kind, from what stands in the file to what the program uses.

Each raises `Wrong` with what is wrong and what to write instead; the place is added by who knows it.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit, urlunsplit

from ollama_keeper.core.names import BadName, parse_name
from ollama_keeper.core.units import BadUnit, parse_duration

FOREVER = frozenset({"forever", "infinite", "infinity", "inf", "never", "always"})
YES_NO = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
CENTURY_S = 100 * 365.25 * 86_400.0
LEAST_CONTEXT = 256
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_SECRET_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

Value = TypeVar("Value")


class Wrong(ValueError):
    """A value that cannot be used: what is wrong, and what to write."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def duration(value: object) -> float:
    """Seconds of a duration with a unit."""
    if isinstance(value, bool) or value is None:
        raise Wrong(f"{shown(value)} is not a duration", "write for example 90s, 5m or 1h30m")
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise Wrong(f"{shown(value)} has no unit", f"write {value}s for seconds, or {value}m for minutes")
    try:
        return parse_duration(_text(value, "a duration"))
    except BadUnit as error:
        raise Wrong(f"{shown(value)} is not a duration", "write for example 90s, 5m or 1h30m") from error


def at_least(least_s: float, what: str) -> Callable[[object], float]:
    """A duration of at least `least_s` seconds; `what` is how that is written."""

    def checked(value: object) -> float:
        seconds = duration(value)
        if seconds < least_s:
            raise Wrong(f"{shown(value)} is too short", f"write {what} or more")
        return seconds

    return checked


def or_off(inner: Callable[[object], float]) -> Callable[[object], float | None]:
    """The same, or `off`, which is None."""

    def checked(value: object) -> float | None:
        return None if value is False or value == "off" else inner(value)

    return checked


def keep_alive(value: object) -> float | None:
    """Seconds of a lease; None for -1, which pins. Only here a number without a unit is seconds."""
    if value in {-1, "-1"} and not isinstance(value, bool):
        return None
    seconds = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else _lease(value)
    if seconds == 0:
        raise Wrong("0 would unload the model after each request", "write -1 to pin, or a lease such as 30m")
    if seconds < 0:
        raise Wrong(f"{shown(value)} is negative", "write -1 to pin, or a lease such as 30m")
    return None if seconds >= CENTURY_S else seconds


def _lease(value: object) -> float:
    hint = "write -1 to pin, or '30m'"
    if isinstance(value, str) and value.strip().lower() in FOREVER:
        raise Wrong(f"{value!r} is not a duration", hint)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        raise Wrong(f"{value!r} has no unit", f"write {value} without quotes for seconds, or '{value}m'")
    try:
        return parse_duration(_text(value, "a duration"))
    except BadUnit as error:
        if isinstance(value, str) and value.strip().startswith("-"):
            return -1.0
        raise Wrong(f"{shown(value)} is not a duration", hint) from error


def context_length(value: object) -> int | str:
    """Tokens, `server` or `adopt`."""
    if value in {"server", "adopt"}:
        return str(value)
    number = _whole(value, "write a number of tokens such as 8192, 'server' or 'adopt'")
    if number < LEAST_CONTEXT:
        raise Wrong(f"{number} is too small", f"write {LEAST_CONTEXT} or more")
    return number


def fraction(value: object) -> float | None:
    """0.0 to 1.0; None for `auto`."""
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Wrong(f"{shown(value)} is no share", "write a number from 0.0 to 1.0, or auto")
    return float(value)


def whole(value: object) -> int:
    """A whole number."""
    return _whole(value, "write a whole number")


def flag(value: object) -> bool:
    """true or false, also as yes, no, on, off."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in YES_NO:
        return YES_NO[value.lower()]
    raise Wrong(f"{shown(value)} is neither true nor false", "write true or false")


def choice(*allowed: str) -> Callable[[object], str]:
    """One word of a list."""

    def checked(value: object) -> str:
        word = {False: "off", True: "on"}.get(value, value) if isinstance(value, bool) else value
        if word not in allowed:
            raise Wrong(f"{shown(value)} is not known here", f"write {' or '.join(allowed)}")
        return str(word)

    return checked


def model_name(value: object) -> str:
    """A name that Ollama takes, as written."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise Wrong(f"{value} is a number", "put the model's name in quotes")
    text = _text(value, "a model's name").strip()
    try:
        parse_name(text)
    except BadName as error:
        raise Wrong(f"{text!r} is not a model's name", "write it as ollama list shows it, such as qwen3:8b") from error
    return text


def server_name(value: object) -> str:
    """Letters, digits, `._-`."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value, "a name")
    if not _NAME.fullmatch(text):
        raise Wrong(f"{text!r} is no name for a server", "use letters, digits, '.', '_' and '-'")
    return text


def path(value: object) -> Path:
    """A path; `~` is the home directory."""
    return Path(_text(value, "a path")).expanduser()


def path_or_off(value: object) -> Path | None:
    """A path, or None for `off`."""
    return None if value is False or value == "off" else path(value)


def headers(value: object) -> tuple[tuple[str, str], ...]:
    """Names and values of HTTP headers; values are never shown."""
    if not isinstance(value, dict):
        raise Wrong("headers is not a map", "write names and values below it")
    for name, text in value.items():
        if not _SECRET_HEADER.fullmatch(name):
            raise Wrong(f"{name!r} is no header's name", "use letters, digits and '-'")
        if isinstance(text, bool | dict | list) or text is None or not str(text).isprintable():
            raise Wrong(f"the value of {name} is not text", "write it in quotes, on one line")
    return tuple((name, str(text)) for name, text in value.items())


def url(value: object) -> str:
    """`http(s)://host:port`, without a trailing slash; 0.0.0.0 and :: become the loopback address."""
    text = _text(value, "a URL").strip()
    if text.startswith(("dns+http://", "dns+https://")):
        raise Wrong("discovery by DNS is not in this version", "name each server by its own URL")
    parts = _split(text)
    if "@" in parts.netloc:
        raise Wrong(
            "a URL with a user name or password", "leave them out; a token goes into a file named by token_file"
        )
    if parts.query or parts.fragment:
        raise Wrong(f"{text!r} has a query", "write http://HOST:PORT")
    return urlunsplit((parts.scheme, connectable(parts.netloc), parts.path.rstrip("/"), "", ""))


def proxy(value: object) -> str:
    """URL of a proxy; never shown, for it may hold a password."""
    text = _text(value, "a URL").strip()
    if not text.startswith(("http://", "https://")):
        raise Wrong("proxy is no http URL", "write http://HOST:PORT")
    return text


def connectable(netloc: str) -> str:
    """An address one can connect to: a server that listens on all addresses is asked on the loopback one."""
    for any_address, loopback in (("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")):  # noqa: S104 - compared, not bound
        if netloc == any_address or netloc.startswith(any_address + ":"):
            return loopback + netloc[len(any_address) :]
    return netloc


def shown(value: object) -> str:
    """A value as a message may show it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        good = False
    if not good:
        raise Wrong(f"{text!r} is no URL", "write http://HOST:PORT, such as http://127.0.0.1:11434")
    return parts


def _whole(value: object, hint: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d{1,18}", value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"{shown(value)} is not a whole number", hint)
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{shown(value)} is not {what}", "write it as text")
    return value
