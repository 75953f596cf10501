"""Active hours as they are written: days, hours and a time zone into a `Window`, and back."""

import re
from collections.abc import Iterator
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone

from ollama_keeper.config.values import Wrong, shown
from ollama_keeper.core.calendar import DAY_MINUTES, Window

LOCAL = "local"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS_HINT = "write for example mon-fri, or sat,sun"
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)
_HOURS_HINT = "write for example '08:00-18:00', or '22:00-06:00' over midnight"


def days(value: object) -> frozenset[int]:
    """Days of the week, 0 for Monday: `mon-fri`, `sat,sun`, a list of such, or `all`."""
    items = value if isinstance(value, list | tuple) else str(value).split(",") if isinstance(value, str) else None
    if not items:
        raise Wrong(f"{shown(value)} names no days", _DAYS_HINT)
    return frozenset(day for item in items for day in _range(item))


def hours(value: object) -> tuple[int, int]:
    """Beginning and end in minutes of the day; an end at or before the beginning is on the next day."""
    match = _HOURS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Wrong(f"{shown(value)} are not hours", _HOURS_HINT)
    start, end = (int(hour) * 60 + int(minute) for hour, minute in (match.group(1, 2), match.group(3, 4)))
    if start >= DAY_MINUTES or end > DAY_MINUTES or int(match.group(2)) > 59 or int(match.group(4)) > 59:
        raise Wrong(f"{shown(value)} are not hours of a day", _HOURS_HINT)
    return start, end


def zone(value: object) -> tzinfo:
    """A time zone by its name, such as Europe/Berlin; `local` is that of this machine."""
    hint = "write a name such as Europe/Berlin or Asia/Shanghai, UTC, or local"
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{shown(value)} is not a time zone", hint)
    try:
        return get_localzone() if value.strip() == LOCAL else ZoneInfo(value.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong(f"{shown(value)} is not a time zone that this machine knows", hint) from None


def written(window: Window) -> dict[str, str]:
    """A window as an operator would write it."""
    inside = ",".join(name for number, name in enumerate(DAYS) if number in window.days)
    return {
        "days": "all" if len(window.days) == len(DAYS) else inside,
        "hours": f"{_clock(window.start)}-{_clock(window.end)}",
        "timezone": str(window.zone),
    }


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _range(item: object) -> Iterator[int]:
    text = item.strip().lower() if isinstance(item, str) else ""
    if text == "all":
        yield from range(len(DAYS))
        return
    first, dash, last = (part.strip()[:3] for part in text.partition("-"))
    if first not in DAYS or (dash and last not in DAYS):
        raise Wrong(f"{shown(item)} is not a day of the week", _DAYS_HINT)
    begin = DAYS.index(first)
    length = (DAYS.index(last) - begin) % len(DAYS) if dash else 0
    yield from ((begin + offset) % len(DAYS) for offset in range(length + 1))
