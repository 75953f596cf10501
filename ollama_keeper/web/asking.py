"""Asks a running daemon over its unix socket, its loopback listener or its page, with the standard library alone."""

import json
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from ollama_keeper.errors import printable
from ollama_keeper.web.sockets import LOOPBACK, written

TIMEOUT_S = 10.0
QUESTION_S = 3.0  # a keeper that hangs is left aside, and Ollama asked
LARGEST_ANSWER = 16 * 2**20
NOT_OURS = "it is no ollama-keeper that answers"


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
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, command: str, body: dict[str, object]) -> dict[str, Any]:
    """The answer to a command.

    Raises:
        NoDaemon: nobody listens there, or it may not be opened.
        Said: the command was refused.
    """
    connection, headers = _reached(path)
    status, answer = _answered(connection, "POST", f"/{command}", json.dumps(body), headers)
    if status != 200:
        raise Said(printable(str(answer.get("error", f"HTTP {status}"))))
    return answer


def status(where: Path | str) -> dict[str, Any]:
    """The status that a daemon tells at its control socket, or at the address HOST:PORT that it listens on.

    Raises:
        NoDaemon: nobody listens there, it may not be opened, or it is no daemon of ours.
    """
    connection, headers = _reached(where) if isinstance(where, Path) else (_page(where), {})
    connection.timeout = QUESTION_S
    code, answer = _answered(connection, "GET", "/status", None, headers)
    if code != 200 or not isinstance(answer.get("models"), list) or not isinstance(answer.get("servers"), list):
        raise NoDaemon(NOT_OURS)
    return answer


def _answered(
    connection: HTTPConnection, method: str, path: str, body: str | None, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read(LARGEST_ANSWER))
    except ValueError as error:
        raise NoDaemon(NOT_OURS) from error
    except (OSError, HTTPException) as error:
        raise NoDaemon(getattr(error, "strerror", None) or str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise NoDaemon(NOT_OURS)
    return response.status, answer


def _page(listen: str) -> HTTPConnection:
    host, _, port = listen.rpartition(":")
    host = {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104 - where to ask
    return HTTPConnection(host, int(port), timeout=TIMEOUT_S)


def _is_file(path: Path) -> bool:
    """Whether it is a file; one in a folder that cannot be entered is a socket, and the connection tells why."""
    try:
        return path.is_file()
    except OSError:
        return False


def _reached(path: Path) -> tuple[HTTPConnection, dict[str, str]]:
    """A connection to the daemon, and what each request carries."""
    headers = {"Content-Type": "application/json", "X-Ollama-Keeper": "1"}
    found = written(path) if _is_file(path) else None
    if found is None:
        return _Unix(path), headers
    port, token = found
    return HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_S), {**headers, "Authorization": f"Bearer {token}"}
