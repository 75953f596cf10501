"""Live events: each change as it happens, to whoever listens.

A consumer like the log: taking a change is a line put into each listener's queue, and never waits for one. A listener
who does not keep up is let go; he comes back by himself, and asks for the status anew.
"""

import asyncio
from datetime import datetime

from ollama_keeper.core.changes import Change
from ollama_keeper.report.plain import plain, stamp
from ollama_keeper.report.words import sentence
from ollama_keeper.web.escaped import as_json

LISTENERS = 16
QUEUED = 256


class Listener:
    """What one listener is still to be told; None is the end."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED)

    async def next(self) -> bytes | None:
        """The next event, as JSON; None at the end."""
        return await self._queue.get()

    def tell(self, line: bytes) -> bool:
        """Queues an event; False where too many wait already."""
        if self._queue.full():
            return False
        self._queue.put_nowait(line)
        return True

    def end(self) -> None:
        """Forgets what waits, and ends."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)


class Feed:
    """Hands every change to every listener."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether nobody else can listen."""
        return self._closed or len(self._listeners) >= LISTENERS

    def take(self, change: Change, at: datetime) -> None:
        """One change, for all who listen."""
        if not self._listeners:
            return
        line = as_json(event_document(change, at))
        for listener in tuple(self._listeners):
            if not listener.tell(line):
                self.leave(listener)

    def join(self) -> Listener:
        """Listens from now on; one that comes too late has ended already."""
        listener = Listener()
        self._listeners.add(listener)
        if self._closed:
            self.leave(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Ends one."""
        self._listeners.discard(listener)
        listener.end()

    def close(self) -> None:
        """Ends all, for good."""
        self._closed = True
        for listener in tuple(self._listeners):
            self.leave(listener)


def event_document(change: Change, at: datetime) -> dict[str, object]:
    """A change as a line of the log has it (CONTRACT 5), and `text`, what it says."""
    told = {key: plain(value) for key, value in change.told().items()}
    return {"ts": stamp(at), "level": change.level, "event": change.event, **told, "text": sentence(change)}
