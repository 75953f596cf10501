"""Stands in for systemd's side of its notification socket."""

import socket
from pathlib import Path

from tests.kit.proc import wait_for


class Manager:
    """A notification socket, and all that was said on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def listen(self) -> list[dict[str, str]]:
        """All datagrams so far."""
        while True:
            try:
                data = self._socket.recv(4_096)
            except BlockingIOError:
                return self.heard
            self.heard.append(dict(line.split("=", 1) for line in data.decode().splitlines()))

    def hears(self, key: str, value: str | None = None, *, after: int = 0, limit_s: float = 20) -> None:
        """Waits until something was said."""
        wait_for(lambda: any(self._is(one, key, value) for one in self.listen()[after:]), limit_s=limit_s)

    def close(self) -> None:
        self._socket.close()

    @staticmethod
    def _is(said: dict[str, str], key: str, value: str | None) -> bool:
        return key in said and value in {None, said[key]}
