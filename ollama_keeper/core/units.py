"""Durations and sizes as people and Go write them.

One grammar for both sides of the wire: what the configuration takes as a duration, Ollama takes as `keep_alive`
(OLLAMA.md 1: Go durations). Numbers are seconds and bytes; nanoseconds where Go's exactness matters.
"""

import re

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
MAX_GO_NS = 2**63 - 1
MAX_BYTES = 2**63 - 1
MOST_DIGITS = len(str(MAX_GO_NS))
BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

_TERM = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")
_SHOWN = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


class BadUnit(ValueError):
    """Raised for text that is no duration or no size; the message is Go's own for durations."""


def parse_go_duration(text: str) -> int:
    """Nanoseconds of a Go duration such as `1h30m`, `-1.5h`, `300ms` or `0`.

    Raises:
        BadUnit: with the words of Go's `time.ParseDuration`, which Ollama passes on in a 400 (OLLAMA.md 1).
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text[1:] if text.startswith("+") else text)
    if rest == "0":
        return 0
    if not rest:
        raise _bad_duration(text)
    exact = at = 0
    while at < len(rest):
        term = _TERM.match(rest, at)
        if term is None:
            raise _bad_duration(text)
        number, unit = term.groups()
        if not unit:
            msg = f'time: missing unit in duration "{text}"'
            raise BadUnit(msg)
        if unit not in NANOSECONDS:
            msg = f'time: unknown unit "{unit}" in duration "{text}"'
            raise BadUnit(msg)
        if len(number.partition(".")[0].lstrip("0")) > MOST_DIGITS:
            raise _bad_duration(text)
        exact += _scaled(number, NANOSECONDS[unit])
        at = term.end()
    if exact > MAX_GO_NS:
        raise _bad_duration(text)
    return sign * exact


def parse_duration(text: str) -> float:
    """Seconds of a duration of the configuration: a Go duration that is not negative.

    Raises:
        BadUnit: `text` is no duration.
    """
    nanoseconds = parse_go_duration(text.strip())
    if nanoseconds < 0:
        msg = f"{text!r} is negative"
        raise BadUnit(msg)
    return nanoseconds / 1e9


def parse_size(text: str) -> int:
    """Bytes of `22GiB` (powers of 1024) or `22GB` (powers of 1000).

    Raises:
        BadUnit: `text` is no size.
    """
    match = _SIZE.fullmatch(text)
    units = {unit.lower(): factor for unit, factor in BYTES.items()}
    if match is None or match.group(2).lower() not in units:
        msg = f"{text!r} is not a size"
        raise BadUnit(msg)
    found = float(match.group(1)) * units[match.group(2).lower()]
    if found > MAX_BYTES:
        msg = f"{text!r} is larger than any memory"
        raise BadUnit(msg)
    return int(found)


def show_duration(seconds: float) -> str:
    """A duration for people, of at most two units: `1h 30m`, `45s`, `0.4s`."""
    if seconds < 0:
        return f"-{show_duration(-seconds)}"
    if seconds < 10 and round(seconds, 1) != round(seconds):
        return f"{seconds:.1f}s"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in _SHOWN:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size}{unit}")
            left %= size
    return " ".join(parts) or "0s"


def config_duration(seconds: float) -> str:
    """A duration as the configuration writes it, exact: `1h30m`, `15s`, `0.5s`."""
    if seconds != int(seconds):
        return f"{seconds:g}s"
    left, parts = int(seconds), ""
    for size, unit in _SHOWN[1:]:
        if left >= size:
            parts += f"{left // size}{unit}"
            left %= size
    return parts or "0s"


def show_size(size: float) -> str:
    """Bytes for people, in powers of 1024: `5.2 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def config_size(size: int) -> str:
    """A size as a configuration has it, in the largest unit that leaves it whole: `22GiB`."""
    units = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
    unit, name = next(((unit, name) for unit, name in units if size % unit == 0), (1, "B"))
    return f"{size // unit}{name}"


def _scaled(number: str, factor: int) -> int:
    whole, _, fraction = number.partition(".")
    whole, fraction = whole.lstrip("0"), fraction[:MOST_DIGITS]  # Python makes no number of thousands of digits
    return int(whole or "0") * factor + int(fraction or "0") * factor // int("1" + "0" * len(fraction))


def _bad_duration(text: str) -> BadUnit:
    return BadUnit(f'time: invalid duration "{text}"')
