"""The sockets that the surface listens on, bound before the daemon starts; what serves them takes long to import."""

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BACKLOG = 128
MODE = 0o600
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Control:
    """Where commands are taken.

    Attributes:
        path: a unix socket; where there are none, a file with port and token of a loopback listener.
        token: that one needs there; None for a unix socket, which only its own user can open.
    """

    bound: socket.socket
    path: Path
    token: str | None = None


def control(path: Path, *, unix: bool = hasattr(socket, "AF_UNIX")) -> Control:
    """Listens for commands at a path, in the manner of this platform.

    Raises:
        OSError: that cannot be done there, or another daemon listens on the unix socket.
    """
    return Control(control_socket(path), path) if unix else _loopback(path)


def listening(host: str, port: int) -> socket.socket:
    """A listening socket that sends small answers at once.

    Raises:
        OSError: the address is taken, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def control_socket(path: Path) -> socket.socket:
    """A listening unix socket that only this user can open; one that was left behind is taken away.

    Raises:
        OSError: it cannot be made there, or another daemon listens on it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_socket() and not _answered(path):
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(MODE)
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound


@contextmanager
def removed(control: Control) -> Iterator[None]:
    """Takes its file away at the end, unless that is another daemon's by now."""
    try:
        yield
    finally:
        if control.token is None or (written(control.path) or (0, ""))[1] == control.token:
            control.path.unlink(missing_ok=True)


def written(path: Path) -> tuple[int, str] | None:
    """Port and token in the file of a loopback listener; None where it holds none, or is no file."""
    try:
        document = json.loads(path.read_text(encoding="ascii"))
        return int(document["port"]), str(document["token"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _loopback(path: Path) -> Control:
    """A listener that only this machine reaches, and whose token only who may read the file finds; the last one holds.

    The file lies in a folder of the user, and is replaced whole, so that nobody reads half of it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    bound = listening(LOOPBACK, 0)
    token = secrets.token_urlsafe(32)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE), "w", encoding="ascii") as file:
            json.dump({"port": bound.getsockname()[1], "token": token}, file)
        new.replace(path)
    except OSError:
        bound.close()
        raise
    return Control(bound, path, token)


def _answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
