"""What systemd is told over its notification socket: ready, alive, reloading, stopping, and how the models are."""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime

from ollama_keeper.core.changes import Change, ConfigLoaded, ConfigRejected, KeeperStopping
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.states import state_of

SOCKET = "NOTIFY_SOCKET"
USUAL = "ready"


class Systemd:
    """Speaks the protocol of sd_notify(3); what cannot be sent is lost, for nobody waits for an answer.

    Args:
        address: path of the socket; one that begins with `@` is abstract.
    """

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._status = ""
        self._ready = False

    def ready(self) -> None:
        """The configuration is good, the port is bound, the schedule runs, and a first look was tried."""
        self._ready = True
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is read anew; `ready` follows, whether it is good or not."""
        if self._ready:
            self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def alive(self, status: str) -> None:
        """The loop turns: feeds systemd's watchdog, and shows in `systemctl status` how the models are."""
        told = () if status == self._status else (f"STATUS={status}",)
        self._status = status
        self._send("WATCHDOG=1", *told)

    def take(self, change: Change, at: datetime) -> None:  # noqa: ARG002 - a consumer is given the time
        """A change: the end of a reload, and the beginning of the end."""
        if isinstance(change, KeeperStopping):
            self._send("STOPPING=1", f"STATUS=stopping: {change.signal}")
        elif self._ready and isinstance(change, ConfigLoaded | ConfigRejected):
            self.ready()

    def _send(self, *lines: str) -> None:
        with suppress(OSError):
            self._socket.sendto("\n".join(lines).encode(), self._address)


def notifier(environ: Mapping[str, str] = os.environ) -> Systemd | None:
    """The notifier of this process; None where systemd did not ask for one, or there are no unix sockets."""
    address = environ.get(SOCKET, "")
    return Systemd(address) if address[:1] in {"/", "@"} and hasattr(socket, "AF_UNIX") else None


def status_text(memories: Iterable[ServerMemory], now: Instant) -> str:
    """Models by state: `2 ready, 1 loading`; those that are well first, then by number."""
    states = Counter(state_of(model, memory, now)[0].value for memory in memories for model in memory.models)
    ordered = sorted(states.items(), key=lambda item: (item[0] != USUAL, -item[1], item[0]))
    return ", ".join(f"{number} {state}" for state, number in ordered) or "no models"
