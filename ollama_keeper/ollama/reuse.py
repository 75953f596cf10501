"""The connection kept open between questions, and whether the server closed it meanwhile: the sign of a restart.

httpx connects anew without a word, so the socket of the last exchange is looked at before the next one.
"""

from math import inf
from typing import Any, Protocol

SLACK_S = 1.0  # looks are not evenly spaced


class Stream(Protocol):
    """What an HTTP answer came over: httpcore's network stream."""

    def get_extra_info(self, info: str) -> Any:
        """What is known of it, by name."""


class KeptConnection:
    """What became of the connection of the last question. Instants are seconds of a monotonic clock.

    A proxy closes what is idle for a while, and Ollama never does (OLLAMA.md 10). So a closed connection is a sign, but
    where one was closed after so short an idle before, and none has been left open for as long since.

    Attributes:
        closed: the server closed a connection, since this was last set to False.
    """

    def __init__(self) -> None:
        self.closed = False
        self._stream: Stream | None = None
        self._since = 0.0
        self._outlived_s = 0.0
        self._cut_s = inf

    def begin(self, now: float) -> None:
        """A question is about to be sent."""
        stream, self._stream = self._stream, None
        if stream is None or _closed_by_us(stream):
            return
        idle_s = now - self._since
        if stream.get_extra_info("is_readable"):  # nothing is asked, so it can only be the end
            self.closed |= idle_s <= self._outlived_s + SLACK_S or idle_s < self._cut_s - SLACK_S
            self._cut_s = min(self._cut_s, idle_s)
            return
        self._outlived_s = max(self._outlived_s, idle_s)
        if idle_s > self._cut_s:
            self._cut_s = inf

    def end(self, stream: Stream | None, now: float) -> None:
        """A question was answered over `stream`, which stays open."""
        self._stream, self._since = stream, now


def _closed_by_us(stream: Stream) -> bool:
    socket = stream.get_extra_info("socket")
    return socket is None or socket.fileno() < 0
