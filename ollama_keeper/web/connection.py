"""One connection of the status surface, with the limits that uvicorn has not: time for a request, and their number."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S = 5.0
"""A request that has not come whole by then is given up, and so is a connection on which none comes."""
STALLED_S = 10.0
"""An answer of which nothing is taken for so long is given up; a stream of events is no longer than it is read."""
CONNECTIONS = 128
"""One more, and the connection that has been there longest is closed, an idle one first."""


class LimitedConnection(H11Protocol):
    """Ends slow and superfluous connections without a word, so that 1,000 idle ones keep nobody else out."""

    transport: asyncio.Transport
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _began: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Makes room, and starts the time of the first request."""
        self._make_room()
        self._began = self.loop.time()
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._stop_waiting()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More is to be sent than the client takes."""
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has taken what there was."""
        self._taken()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Part of a request: its time runs from its first byte to its last."""
        if self._deadline is None:
            self._await_request()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE and self.conn.their_state is not h11.SEND_BODY:
            self._stop_waiting()

    @property
    def idle(self) -> bool:
        """Whether nothing is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        there = [one for one in self.connections if isinstance(one, LimitedConnection)]
        if len(there) >= CONNECTIONS:
            min(there, key=lambda one: (not one.idle, one._began)).transport.abort()

    def _await_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.abort()
