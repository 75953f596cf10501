"""Asks a running daemon over its unix socket, with the standard library alone."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

TIMEOUT_S = 10.0


class NoDaemon(Exception):
    """Nobody answers on the socket."""


class Said(Exception):
    """The daemon did not take the command; the text says why."""


class _Unix(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Opens the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def ask(path: Path, command: str, body: dict[str, object]) -> dict[str, Any]:
    """The answer to a command.

    Raises:
        NoDaemon: nobody listens there, or it may not be opened.
        Said: the command was refused.
    """
    connection = _Unix(path)
    try:
        connection.request("POST", f"/{command}", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, HTTPException, ValueError) as error:
        raise NoDaemon(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if response.status != 200:
        raise Said(answer.get("error", f"HTTP {response.status}"))
    found: dict[str, Any] = answer
    return found
