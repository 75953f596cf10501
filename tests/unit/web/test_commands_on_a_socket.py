"""Commands over a real socket: bodies that do not come, or do not end; paths as no good client sends them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from ollama_keeper.web.app import web_app
from ollama_keeper.web.connection import REQUEST_S
from ollama_keeper.web.control import command_routes
from ollama_keeper.web.gate import Gate
from ollama_keeper.web.hosts import Hosts
from ollama_keeper.web.page import page_routes
from ollama_keeper.web.serving import serve
from ollama_keeper.web.sockets import listening
from tests.kit.story import Story, listed, wanted
from tests.kit.virtual import LoopClock
from tests.unit.web.test_control import Daemon
from tests.unit.web.test_gate import GOOD, TOKEN
from tests.unit.web.test_serving import closed, connected, status


@asynccontextmanager
async def served(daemon: Daemon) -> AsyncIterator[int]:
    """The port of a surface with a page and commands."""
    memory = Story((wanted("a"),)).begins(listed("a")).memory
    clock = LoopClock()
    gate = Gate(TOKEN.encode(), now=clock.now, tell=lambda change: None)
    more = [*page_routes(control=True), *command_routes(daemon, below="/control")]
    app: Any = web_app(lambda: [memory], clock.now, Hosts("127.0.0.1"), more=more, gate=gate)
    with listening("127.0.0.1", 0) as bound:
        task = asyncio.create_task(serve(app, bound))
        yield bound.getsockname()[1]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def request(path: str = "/control/pause", *, method: str = "POST", **headers: str) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{key}: {value}" for key, value in {"host": "127.0.0.1", **GOOD, **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_a_command_and_its_answer() -> None:
    daemon = Daemon()
    body = json.dumps({"models": ["a"], "for_s": 60}).encode()
    async with served(daemon) as port:
        streams = await connected(port, request(**{"content-length": str(len(body))}), body)
        assert await status(streams) == 200
        assert b'"models":["a"]' in await streams[0].read()
        await closed(streams)
    assert daemon.told == [("pause", ("a",), "somebody", 60.0, None, False)]


async def test_a_body_that_does_not_come_is_given_up() -> None:
    daemon = Daemon()
    async with served(daemon) as port:
        streams = await connected(port, request(**{"content-length": "100"}), b'{"models"')
        with suppress(ConnectionError):
            assert await streams[0].read() == b""
        assert asyncio.get_running_loop().time() == pytest.approx(REQUEST_S, abs=0.2)
        await closed(streams)
    assert daemon.told == []


async def test_a_body_without_an_end_is_cut_as_soon_as_it_is_too_large() -> None:
    daemon = Daemon()
    async with served(daemon) as port:
        streams = await connected(port, request(**{"transfer-encoding": "chunked"}))
        with suppress(ConnectionError):
            for _ in range(160):
                streams[1].write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                await streams[1].drain()
        with suppress(ConnectionError):
            assert await status(streams) in {0, 400}
        assert asyncio.get_running_loop().time() < REQUEST_S
        await closed(streams)
    assert daemon.told == []


async def test_ten_megabytes_are_refused_by_their_head() -> None:
    async with served(Daemon()) as port:
        streams = await connected(port, request(**{"content-length": "10000000"}), bytes(64 * 1024))
        assert await status(streams) == 413
        await closed(streams)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/../../../../etc/passwd", id="that-climb"),
        pytest.param("/..%2f..%2f..%2fetc%2fpasswd", id="with-encoded-slashes"),
        pytest.param("/%2e%2e/%2e%2e/etc/passwd", id="with-encoded-dots"),
        pytest.param("/..\\..\\page.py", id="with-backslashes"),
        pytest.param("/page.js/../../app.py", id="through-a-file"),
        pytest.param("/static/../page.py", id="through-the-folder"),
        pytest.param("//etc/passwd", id="with-two-slashes"),
        pytest.param("/%00", id="with-a-zero"),
        pytest.param("/" + "a" * 30_000, id="of-30-kilobytes"),
    ],
)
async def test_paths_reach_no_file(path: str) -> None:
    async with served(Daemon()) as port:
        streams = await connected(port, request(path, method="GET"))
        assert await status(streams) == 404
        answer = await streams[0].readuntil(b"}\n")
        assert b"root:" not in answer
        assert len(answer) < 1_000
        await closed(streams)


@pytest.mark.parametrize("path", ["http://evil.example/status", "http://evil.example/control/reload"])
async def test_a_path_that_names_another_host_is_no_way_round_ours(path: str) -> None:
    daemon = Daemon()
    async with served(daemon) as port:
        streams = await connected(port, request(path, **{"content-length": "2"}), b"{}")
        assert await status(streams) in {400, 404, 405}
        await closed(streams)
    assert daemon.told == []


async def test_headers_without_an_end_are_refused_and_not_kept() -> None:
    async with served(Daemon()) as port:
        streams = await connected(port, b"GET /status HTTP/1.1\r\nHost: localhost\r\n")
        with suppress(ConnectionError):
            for _ in range(64):
                streams[1].write(b"X: " + b"x" * 16_000 + b"\r\n")
                await streams[1].drain()
        with suppress(ConnectionError):
            assert await status(streams) in {0, 400, 431}
        assert asyncio.get_running_loop().time() <= REQUEST_S + 0.2
        await closed(streams)
