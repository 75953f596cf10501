"""`OLLAMA_KEEPER_*` and `OLLAMA_HOST` (OLLAMA.md 8)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_keeper.config.values import connectable
from ollama_keeper.config.yaml import Path_, plain

PREFIX = "OLLAMA_KEEPER_"
NO_KEYS = frozenset(
    {"OLLAMA_KEEPER_CONFIG", "OLLAMA_KEEPER_LIVE_URL", "OLLAMA_KEEPER_LIVE_MODELS", "OLLAMA_KEEPER_COMPLETE"}
)
DEFAULT_PORT = "11434"
LARGEST_PORT = 65_535


@dataclass(slots=True)
class Environment:
    """The keys that variables set, and which variable set each."""

    values: dict[str, Any] = field(default_factory=dict)
    variables: dict[Path_, str] = field(default_factory=dict)


def read_environment(environ: Mapping[str, str]) -> Environment:
    """The keys of all `OLLAMA_KEEPER_*` variables; `__` leads into a map. Empty variables count as not set."""
    found = Environment()
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX) or variable in NO_KEYS or not text.strip():
            continue
        path = tuple(variable[len(PREFIX) :].lower().split("__"))
        place = found.values
        for part in path[:-1]:
            place = place.setdefault(part, {}) if isinstance(place.get(part, {}), dict) else {}
        place[path[-1]] = plain(text.strip())
        found.variables[path] = variable
    return found


def ollama_host(text: str | None) -> str | None:
    """The URL that `OLLAMA_HOST` means to Ollama's own clients; None where it is not set.

    No scheme: http and port 11434; `http://` alone: 80; `https://`: 443; a bad port: the default one. What a server
    listens on (0.0.0.0, ::) is asked on the loopback address (OLLAMA.md 8).
    """
    trimmed = (text or "").strip().strip("\"'").strip()
    if not trimmed:
        return None
    scheme, found, rest = trimmed.partition("://")
    if not found:
        scheme, rest = "http", trimmed
        port = DEFAULT_PORT
        if trimmed == "ollama.com":
            scheme, port = "https", "443"
    else:
        port = {"http": "80", "https": "443"}.get(scheme, DEFAULT_PORT)
    address, slash, path = rest.partition("/")
    host, given = _host_and_port(address)
    if given is not None and given.isdigit() and int(given) <= LARGEST_PORT:
        port = given
    host = f"[{host}]" if ":" in host else host or "127.0.0.1"
    return f"{scheme}://{connectable(f'{host}:{port}')}{(slash + path).rstrip('/')}"


def _host_and_port(address: str) -> tuple[str, str | None]:
    """Host without brackets, and port; a bare IPv6 address has no port."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host, rest[1:] if rest.startswith(":") else None
    if address.count(":") == 1:
        host, _, port = address.partition(":")
        return host, port
    return address, None
