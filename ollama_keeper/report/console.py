"""A log line for eyes: time, mark, what happened to which model, then the rest, in units that people read."""

from collections.abc import Mapping
from datetime import datetime

from ollama_keeper.core.units import show_duration, show_size

RESET, DIM, BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}
EVENT_WIDTH = 16
LEFT_OUT = frozenset({"ts", "level", "event", "model", "server", "state", "hint", "run_id"})


def render(event: Mapping[str, object], *, colours: bool) -> str:
    """The line; control characters of foreign text are shown, not obeyed."""
    paint = _painted if colours else _unpainted
    level = str(event.get("level", "info"))
    name = str(event.get("event", ""))
    parts = [paint(_local_time(str(event.get("ts", ""))), DIM), paint(name.ljust(EVENT_WIDTH), COLOURS.get(level, ""))]
    who = [_safe(str(event[key])) for key in ("model", "server") if key in event]
    if who:
        parts.append(paint(who[0], BOLD) + (f" on {who[1]}" if len(who) > 1 else ""))
    parts.extend(f"{_label(key)} {_shown(key, value)}" for key, value in event.items() if key not in LEFT_OUT)
    line = "  ".join(parts)
    return f"{line}\n{' ' * 10}{paint('→ ' + _safe(str(event['hint'])), DIM)}" if event.get("hint") else line


def _local_time(ts: str) -> str:
    try:
        return datetime.fromisoformat(ts).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return ts


def _label(key: str) -> str:
    for suffix in ("_s", "_bytes"):
        if key.endswith(suffix):
            key = key[: -len(suffix)]
    return key.replace("_", " ")


def _shown(key: str, value: object) -> str:
    if key.endswith("_s") and isinstance(value, int | float):
        return show_duration(value)
    if key.endswith("_bytes") and isinstance(value, int):
        return show_size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{number} {name}" for name, number in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_safe(str(item)) for item in value)
    return _safe(str(value))


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _painted(text: str, colour: str) -> str:
    return f"{colour}{text}{RESET}"


def _unpainted(text: str, _: str) -> str:
    return text
