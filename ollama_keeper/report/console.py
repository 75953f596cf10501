"""A log line for eyes: when, how grave, which event, and what happened in a sentence; below it, what can be done."""

from collections.abc import Mapping
from datetime import datetime

from ollama_keeper.core.changes import Change
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.report.words import sentence

RESET, DIM = "\x1b[0m", "\x1b[2m"
COLOURS = {"debug": DIM, "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}
MARKS = {"debug": "·", "warning": "!", "error": "✗"}
EVENT_WIDTH = 16
INDENT = " " * 19  # below the event
NAMED_ELSEWHERE = frozenset({"ts", "level", "event", "said", "hint", "logger"})


def said(change: Change) -> dict[str, object]:
    """What a line for eyes needs of a change: the sentence, and the hint."""
    return {"said": sentence(change), **({"hint": change.hint} if change.hint else {})}


def console_line(event: Mapping[str, object], *, colours: bool) -> str:
    """The line, with its hint on a second one; control characters of foreign text are shown, not obeyed."""
    level = str(event.get("level", "info"))
    name, text = _name(event), _text(event)
    time = _painted(_local_time(str(event["ts"])), DIM, colours=colours)
    head = _painted(f"{MARKS.get(level, ' ')} {name.ljust(EVENT_WIDTH)}", COLOURS.get(level, ""), colours=colours)
    line = f"{time} {head}  {text}".rstrip()
    if not event.get("hint"):
        return line
    return f"{line}\n{INDENT}{_painted('→ ' + _safe(str(event['hint'])), DIM, colours=colours)}"


def _name(event: Mapping[str, object]) -> str:
    """The event; of a library's line, whose event is a whole sentence, the library's name."""
    return _safe(str(event.get("logger") or event.get("event", "")))


def _text(event: Mapping[str, object]) -> str:
    begin = [event["said"]] if "said" in event else [event["event"]] if "logger" in event else []
    rest = [f"{_label(key)} {_shown(key, value)}" for key, value in event.items() if key not in NAMED_ELSEWHERE]
    return "  ".join([*(_safe(str(part)) for part in begin), *rest])


def _local_time(ts: str) -> str:
    return datetime.fromisoformat(ts).astimezone().strftime("%m-%d %H:%M:%S")


def _label(key: str) -> str:
    return key.removesuffix("_bytes").removesuffix("_s").replace("_", " ")


def _shown(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and key.endswith(("_s", "_bytes")):
        return show_size(value) if key.endswith("_bytes") else show_duration(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{_safe(str(name))} {_safe(str(item))}" for name, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(_safe(str(item)) for item in value) or "none"
    return _safe(str(value))


def _safe(text: str) -> str:
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _painted(text: str, colour: str, *, colours: bool) -> str:
    return f"{colour}{text}{RESET}" if colours and colour else text
