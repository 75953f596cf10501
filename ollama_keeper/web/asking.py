"""Asks a running daemon over its unix socket, or its loopback listener, with the standard library alone."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from ollama_keeper.web.sockets import LOOPBACK, written

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
    connection, headers = _reached(path)
    try:
        connection.request("POST", f"/{command}", json.dumps(body), headers)
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


def status(listen: str) -> dict[str, Any]:
    """The status that a daemon shows on the address HOST:PORT.

    Raises:
        NoDaemon: nobody listens there, or it is no daemon of ours.
    """
    host, _, port = listen.rpartition(":")
    host = {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104 - where to ask
    connection = HTTPConnection(host, int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/status")
        answer = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError) as error:
        raise NoDaemon(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if not isinstance(answer, dict) or "models" not in answer:
        msg = "it is no ollama-keeper that answers"
        raise NoDaemon(msg)
    return answer


def _reached(path: Path) -> tuple[HTTPConnection, dict[str, str]]:
    """A connection to the daemon, and what each request carries."""
    headers = {"Content-Type": "application/json", "X-Ollama-Keeper": "1"}
    found = written(path) if path.is_file() else None
    if found is None:
        return _Unix(path), headers
    port, token = found
    return HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_S), {**headers, "Authorization": f"Bearer {token}"}
