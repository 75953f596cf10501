"""`healthcheck`: whether the daemon's loop turns, asked of its `/livez` with the standard library alone.

A container asks each ten seconds, so nothing is imported that is not needed: not even click, which `__main__` passes by
for this command, or an HTTP library. Less than 0.1 s of CPU.
"""

import os
import socket
import sys

DEFAULT = "127.0.0.1:11480"
VARIABLE = "OLLAMA_KEEPER_WEB__LISTEN"
TIMEOUT_S = 2.5
ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - listened on, not asked

EXIT_LIVE, EXIT_NOT = 0, 1


def healthcheck(url: str | None) -> int:
    """Asks, prints one line, and gives 0 or 1."""
    asked = (url or os.environ.get(VARIABLE) or DEFAULT).removeprefix("http://").rstrip("/")
    try:
        answer = _answer(asked)
    except (OSError, ValueError) as error:
        return _not_live(asked, str(error) or type(error).__name__)
    if not answer.startswith(b"HTTP/1.1 200 "):
        return _not_live(asked, answer[:40].decode("ascii", "replace") or "no answer")
    sys.stdout.write("live\n")
    return EXIT_LIVE


def _answer(address: str) -> bytes:
    """The beginning of what `/livez` answers."""
    host, _, port = address.rpartition(":")
    host = ANY.get(host.strip("[]"), host.strip("[]"))
    named = f"[{host}]" if ":" in host else host
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(f"GET /livez HTTP/1.1\r\nHost: {named}:{port}\r\nConnection: close\r\n\r\n".encode("ascii"))
        return connection.recv(64)


def _not_live(asked: str, why: str) -> int:
    sys.stderr.write(f"ollama-keeper: not live: {asked}: {why}\n")
    return EXIT_NOT
