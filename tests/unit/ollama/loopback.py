"""A server on a real socket that does what a test says, byte by byte, and remembers who came."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

CLOSE_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time, so that closing resets


@dataclass
class Peer:
    """One connection to the server.

    Attributes:
        number: of the connection, from 1.
    """

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def question(self) -> str | None:
        """The head and the body of the next request; None when the client has closed."""
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        return head + (await self.reader.readexactly(int(fields.get("content-length", 0)))).decode()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: str, *head: str) -> None:
        """A whole answer with status 200."""
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *head, "", body]
        await self.send("\r\n".join(lines).encode())

    def reset(self) -> None:
        """Closes without a word of farewell."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_AT_ONCE)
        self.writer.transport.abort()


@dataclass
class Listener:
    """The server.

    Attributes:
        url: where it is.
        peers: every connection, in order.
        questions: every request that was read.
        stop: ends the listening, and leaves what is connected.
    """

    url: str = ""
    peers: list[Peer] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    stop: Callable[[], None] = lambda: None


Manner = Callable[[Peer, Listener], Awaitable[None]]


@asynccontextmanager
async def listening(manner: Manner, context: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """A server whose every connection goes as `manner` says; it is closed when that returns."""
    listener = Listener()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        listener.tasks.add(task)
        peer = Peer(len(listener.peers) + 1, reader, writer)
        listener.peers.append(peer)
        try:
            with suppress(asyncio.CancelledError, ConnectionError):  # the test is over, or the client has gone
                await manner(peer, listener)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    listener.stop = server.close
    scheme = "http" if context is None else "https"
    listener.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield listener
    finally:
        server.close()
        for task in listener.tasks:
            task.cancel()
        await asyncio.gather(*listener.tasks, return_exceptions=True)


def as_ollama(*, answers: int | None = None, then: Callable[[Peer], None] = lambda peer: None) -> Manner:
    """Answers as a server without models; after so many answers on a connection it does `then` instead, and closes."""

    async def manner(peer: Peer, listener: Listener) -> None:
        done = 0
        while (question := await peer.question()) is not None:
            listener.questions.append(question.split(" HTTP/", 1)[0])
            if done == answers:
                then(peer)
                return
            await peer.answer(ANSWERS[question.split(" ", 2)[1]])
            done += 1

    return manner


ANSWERS = {
    "/api/ps": '{"models":[]}',
    "/api/version": '{"version":"0.32.15"}',
    "/api/tags": '{"models":[]}',
    "/api/show": '{"details":{}}',
    "/api/generate": '{"done":true,"done_reason":"load"}',
}
