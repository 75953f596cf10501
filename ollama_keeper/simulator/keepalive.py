"""keep_alive as Ollama reads it (OLLAMA.md 1)."""

import math
from collections.abc import Mapping

from ollama_keeper.core.units import BadUnit, parse_go_duration
from ollama_keeper.simulator.state import FIVE_MINUTES, FOREVER, SECOND
from ollama_keeper.simulator.versions import Version

OVERFLOWN = -(2**63)  # what amd64 makes of a float beyond int64: negative, so unloaded at once
_GO_TYPES = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}


class BadKeepAlive(ValueError):
    """Raised for a keep_alive that Ollama answers with 400 and this text."""


def parse_keep_alive(body: Mapping[str, object], version: Version) -> int | None:
    """Nanoseconds of the keep_alive of a body; None where it is absent or null.

    Raises:
        BadKeepAlive: in Ollama's words.
    """
    match body.get("keep_alive"):
        case None:
            return None
        case bool() | list() | dict() as value:
            msg = f"Unsupported type: '{_GO_TYPES[type(value)]}'"
            raise BadKeepAlive(msg)
        case int() | float() as number:
            return _from_number(number, version)
        case text:
            return _from_text(str(text))


def environment_keep_alive(text: str) -> int:
    """Nanoseconds of an OLLAMA_KEEP_ALIVE, which takes bare seconds too; what it cannot read is 5 minutes."""
    try:
        nanoseconds = parse_go_duration(text)
    except BadUnit:
        try:
            nanoseconds = int(text) * SECOND
        except ValueError:
            return FIVE_MINUTES
    return FOREVER if nanoseconds < 0 else nanoseconds


def means_unload(keep_alive: int | None, version: Version, *, chat: bool = False) -> bool:
    """Whether a request without a prompt and with this keep_alive unloads.

    Before 0.11.8, for chat before 0.12.4, anything under a second did (OLLAMA.md 2).
    """
    if keep_alive is None:
        return False
    exact = version.since(0, 12, 4) if chat else version.since(0, 11, 8)
    return keep_alive == 0 if exact else 0 <= keep_alive < SECOND


def _from_number(number: float, version: Version) -> int:
    if number < 0:
        return FOREVER
    if not version.fractions:
        return min(int(number) * SECOND, FOREVER)
    nanoseconds = number * 1e9
    if math.isinf(nanoseconds) or nanoseconds >= 2**63:
        return OVERFLOWN
    return int(nanoseconds)


def _from_text(text: str) -> int:
    try:
        nanoseconds = parse_go_duration(text)
    except BadUnit as bad:
        raise BadKeepAlive(str(bad)) from bad
    return FOREVER if nanoseconds < 0 else nanoseconds
