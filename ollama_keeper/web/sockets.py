"""The sockets that the surface listens on, bound before the daemon starts; what serves them takes long to import."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BACKLOG = 128
MODE = 0o600


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
def removed(path: Path) -> Iterator[None]:
    """Takes the socket's file away at the end."""
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
