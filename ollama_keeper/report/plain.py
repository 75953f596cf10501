"""Values as a line shows them, and the line as JSON."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum

_UNSAFE = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON allows in a string and a terminal may obey, or UTF-8 cannot express."""


def plain(value: object) -> object:
    """A value in the types of JSON: enums by value, instants as RFC 3339, floats with 3 decimals at most."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | int) else str(value)


def stamp(at: datetime) -> str:
    """RFC 3339, UTC, milliseconds, `Z`."""
    try:
        at = at.astimezone(UTC)
    except OverflowError:  # the first or the last hours of the calendar
        at = at.replace(tzinfo=UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_line(event: Mapping[str, object]) -> str:
    """An event of plain values as one line of JSON, as UTF-8 can express it and with no control character."""
    return _UNSAFE.sub(lambda char: f"\\u{ord(char[0]):04x}", json.dumps(event, ensure_ascii=False))
