"""The surface on a real socket: slow clients, too many of them, bodies without an end, and its own end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from ollama_keeper.web.app import web_app
from ollama_keeper.web.connection import CONNECTIONS, REQUEST_S
from ollama_keeper.web.hosts import Hosts
from ollama_keeper.web.serving import serve
from ollama_keeper.web.sockets import listening
from tests.kit.story import Story, instant, listed, wanted
from tests.kit.virtual import VirtualLoop

GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def app() -> Any:
    memory = Story((wanted("a"),)).begins(listed("a")).memory
    return web_app(lambda: [memory], lambda: instant(0), Hosts("127.0.0.1"))


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of a surface that is served beside."""
    with listening("127.0.0.1", 0) as bound:
        task = asyncio.create_task(serve(app(), bound))
        yield bound.getsockname()[1]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def connected(port: int, *parts: bytes) -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.writelines(parts)
    return reader, writer


async def status(streams: Streams) -> int:
    """The status of the next answer; 0 where the connection was ended without one."""
    try:
        line = await streams[0].readline()
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0


async def closed(*all_streams: Streams) -> None:
    for _, writer in all_streams:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="no-byte-at-all"),
        pytest.param(b"GET /livez HT", id="half-a-line"),
        pytest.param(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-", id="headers-without-an-end"),
        pytest.param(GET + b"GET /li", id="half-a-second-request"),
    ],
)
async def test_a_request_that_does_not_come_whole_in_time_is_given_up(sent: bytes) -> None:
    async with served() as port:
        streams = await connected(port, sent)
        with suppress(ConnectionError):
            await streams[0].read()
        assert asyncio.get_running_loop().time() == pytest.approx(REQUEST_S, abs=0.2)
        await closed(streams)


async def test_a_client_that_sends_a_byte_a_second_is_given_up_all_the_same() -> None:
    async with served() as port:
        streams = await connected(port)
        reading = asyncio.create_task(status(streams))
        for byte in GET:
            streams[1].write(bytes([byte]))
            await asyncio.sleep(1)
            if reading.done():
                break
        assert await reading == 0
        assert asyncio.get_running_loop().time() <= REQUEST_S + 2
        await closed(streams)


async def test_a_quick_client_may_ask_again_and_again_on_one_connection() -> None:
    async with served() as port:
        streams = await connected(port)
        for _ in range(5):
            streams[1].write(GET)
            assert await status(streams) == 200
            await streams[0].readuntil(b"live\n")
            await asyncio.sleep(REQUEST_S * 0.9)
        await closed(streams)


async def test_a_thousand_idle_connections_keep_nobody_out() -> None:
    async with served() as port:
        idle = [await connected(port) for _ in range(1_000)]
        asking = await connected(port, GET)
        assert await status(asking) == 200
        await asyncio.sleep(0)
        open_still = [streams for streams in idle if not streams[0].at_eof() and streams[0].exception() is None]
        assert len(open_still) <= CONNECTIONS
        await closed(asking, *idle)


async def test_ten_megabytes_are_answered_before_they_are_read_and_cut() -> None:
    async with served() as port:
        head = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
        streams = await connected(port, head, bytes(64 * 1024))
        assert await status(streams) == 413
        with suppress(ConnectionError):
            await streams[0].read()
        assert asyncio.get_running_loop().time() < REQUEST_S
        await closed(streams)


async def test_what_is_not_http_is_told_so_and_says_nothing_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as port:
        streams = await connected(port, b"\x16\x03\x01 hello\r\n\r\n")
        assert await status(streams) == 400
        await closed(streams)
    assert caplog.records == []


async def test_the_end_closes_what_is_open_within_a_second() -> None:
    async with served() as port:
        idle, half, kept = await connected(port), await connected(port, b"GET /li"), await connected(port, GET)
        assert await status(kept) == 200
        ending = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - ending <= 1.0
    assert await idle[0].read() == b""
    assert await half[0].read() == b""
    await closed(idle, half, kept)


class Jumps(VirtualLoop):
    """Counts how often the loop had to wake."""

    def __init__(self) -> None:
        self.jumps: list[float] = []
        super().__init__()

    def jump(self, seconds: float) -> None:
        self.jumps.append(seconds)
        super().jump(seconds)


def test_nothing_wakes_while_nobody_asks() -> None:
    async def an_hour() -> None:
        async with served():
            await asyncio.sleep(3_600)

    loop = Jumps()
    loop.run_until_complete(an_hour())
    loop.close()
    assert max(loop.jumps) == pytest.approx(3_600)
    assert len(loop.jumps) <= 5


def test_answers_are_sent_at_once_on_a_socket_of_ours() -> None:
    with listening("127.0.0.1", 0) as bound:
        assert bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_is_an_ordinary_error_and_leaves_nothing_open() -> None:
    with listening("127.0.0.1", 0) as bound, pytest.raises(OSError, match="in use"):
        listening(*bound.getsockname())
