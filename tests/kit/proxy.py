"""A TCP proxy that does harm: packets vanish, bytes drip, connections break in the middle or while idle.

It runs in the test's loop on real sockets of loopback, so in virtual time a minute of silence costs nothing.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CLOSE_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time, so that closing resets
PART = 65_536


@dataclass(eq=False)
class Line:
    """One connection through the proxy; instants are the loop's.

    Attributes:
        closed: when it was over; None while it is open.
        asked: when its last question came.
        sent: first bytes that the client sent.
        condemned: closed as its next question comes, as by a server that closed it while idle.
    """

    opened: float
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter | None = None
    closed: float | None = None
    asked: float = 0.0
    sent: bytes = b""
    answered: int = 0
    moved: float = 0.0
    condemned: bool = False


@dataclass
class Proxy:
    """What stands before a server, and what is wrong with it; all verbs hold until `heal`.

    Attributes:
        lines: every connection, in order.
        every_s: an answer's bytes come one by one, so far apart.
        bytes_per_s: how fast an answer comes.
        delay_s: before each part of an answer.
        cut_after: bytes of an answer after which the connection is closed.
        resets: whether it is reset then.
        idle_s: after so long without a byte a connection is closed.
        host: the address that it listens on.
        greetings: when a client said hello in TLS, trusted or not.
        context: of the TLS that is spoken to clients; None for plain TCP.
    """

    target: tuple[str, int]
    url: str = ""
    lines: list[Line] = field(default_factory=list)
    every_s: float = 0.0
    bytes_per_s: float = 0.0
    delay_s: float = 0.0
    cut_after: int | None = None
    resets: bool = False
    idle_s: float | None = None
    host: str = "127.0.0.1"
    context: ssl.SSLContext | None = None
    greetings: list[float] = field(default_factory=list)
    _port: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _full: list[socket.socket] = field(default_factory=list)

    # --- verbs --------------------------------------------------------------------------------------------------------

    async def swallow(self) -> None:
        """Packets vanish: what is connected falls silent, and nothing new connects."""
        self._open.clear()
        await self._stop_listening()
        self._full = _deaf(self._port)

    async def refuse(self) -> None:
        """Nothing listens; what is connected is reset."""
        await self._stop_listening()
        for line in self.lines:
            _reset(line.client)

    def condemn(self) -> None:
        """What is connected now is closed as its next question comes."""
        for line in self.lines:
            line.condemned = True

    async def heal(self) -> None:
        """All goes through again, what was swallowed too, as TCP sends it again."""
        self.every_s = self.bytes_per_s = self.delay_s = 0.0
        self.cut_after, self.resets, self.idle_s = None, False, None
        for deaf in self._full:
            deaf.close()
        self._full = []
        await self.listen()
        self._open.set()

    # --- life ---------------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Take connections, always on the same port."""
        if self.context is not None:
            self.context.sni_callback = self._greeted
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, self.host, self._port, backlog=100, ssl=self.context)
            self._port = self._server.sockets[0].getsockname()[1]
            shown = f"[{self.host}]" if ":" in self.host else self.host
            self.url = f"http{'s' if self.context else ''}://{shown}:{self._port}"
            self._open.set()

    async def close(self) -> None:
        """End everything."""
        for deaf in self._full:
            deaf.close()
        await self._stop_listening()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _greeted(self, *_: object) -> None:
        self.greetings.append(asyncio.get_running_loop().time())

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await asyncio.sleep(0)

    # --- one connection -----------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        loop = asyncio.get_running_loop()
        line = Line(loop.time(), writer, moved=loop.time())
        self.lines.append(line)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._join(line, reader)
        finally:
            line.closed = loop.time()
            for end in filter(None, (line.client, line.server)):
                end.close()

    async def _join(self, line: Line, reader: asyncio.StreamReader) -> None:
        """Until one of both ends closes, or the proxy does."""
        answers, line.server = await asyncio.open_connection(*self.target)
        ends = [
            asyncio.ensure_future(self._questions(line, reader)),
            asyncio.ensure_future(self._answers(line, answers)),
            asyncio.ensure_future(self._close_when_idle(line)),
        ]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in done:
                end.result()
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _questions(self, line: Line, reader: asyncio.StreamReader) -> None:
        assert line.server is not None
        while data := await reader.read(PART):
            await self._open.wait()
            if line.condemned:
                return
            line.sent += data[: PART - len(line.sent)]
            line.answered, line.moved = 0, asyncio.get_running_loop().time()
            line.asked = line.moved
            line.server.write(data)
            await line.server.drain()

    async def _answers(self, line: Line, answers: asyncio.StreamReader) -> None:
        while data := await answers.read(PART):
            await asyncio.sleep(self.delay_s)
            for part in self._parts(data):
                await self._open.wait()
                await asyncio.sleep(self.every_s or (len(part) / self.bytes_per_s if self.bytes_per_s else 0))
                if not await self._pass(line, part):
                    return

    async def _pass(self, line: Line, part: bytes) -> bool:
        """Sends one part on; False where the connection breaks instead."""
        left = len(part) if self.cut_after is None else self.cut_after - line.answered
        line.client.write(part[: max(left, 0)])
        await line.client.drain()
        line.answered, line.moved = line.answered + len(part), asyncio.get_running_loop().time()
        if left >= len(part):
            return True
        if self.resets:
            _reset(line.client)
        return False

    def _parts(self, data: bytes) -> list[bytes]:
        return [data[at : at + 1] for at in range(len(data))] if self.every_s else [data]

    async def _close_when_idle(self, line: Line) -> None:
        loop = asyncio.get_running_loop()
        while self.idle_s is None or loop.time() - line.moved < self.idle_s:  # noqa: ASYNC110 - time passes, no event comes
            await asyncio.sleep(1.0)


@asynccontextmanager
async def before(url: str, context: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    """A proxy before the server at a URL, for as long as the block."""
    target, _, port = url.partition("://")[2].rpartition(":")
    proxy = Proxy((target.strip("[]"), int(port)), host=host, context=context)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE_AT_ONCE)
        writer.transport.abort()


def _deaf(port: int) -> list[socket.socket]:
    """Sockets that keep a port so that whoever connects to it waits for ever: its queue is full, and nobody accepts."""
    listener = socket.create_server(("127.0.0.1", port), backlog=0)
    held = [listener]
    for _ in range(4):
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(("127.0.0.1", port))
        held.append(waiting)
    return held
