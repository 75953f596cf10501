"""Live events: told to all who listen, never waited for, bounded in every way, and over within a second."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from ollama_keeper.core.changes import ModelResumed
from ollama_keeper.web.app import web_app
from ollama_keeper.web.connection import REQUEST_S, STALLED_S
from ollama_keeper.web.feed import LISTENERS, QUEUED, Feed, event_document
from ollama_keeper.web.hosts import Hosts
from ollama_keeper.web.serving import serve
from ollama_keeper.web.sockets import listening
from ollama_keeper.web.stream import HEARTBEAT_S, stream_route
from tests.kit.story import NOON, Story, instant, listed, wanted
from tests.unit.web.test_serving import Streams, closed, connected, status

GET = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
HOSTILE = "<script>\n\r\x1b[31m\u2028&"


def change(model: str = "a", by: str = "root") -> ModelResumed:
    return ModelResumed(server="gpu", model=model, by=by)


@asynccontextmanager
async def served(feed: Feed) -> AsyncIterator[int]:
    """The port of a surface with live events."""
    memory = Story((wanted("a"),)).begins(listed("a")).memory
    app: Any = web_app(lambda: [memory], lambda: instant(0), Hosts("127.0.0.1"), more=[stream_route(feed)])
    with listening("127.0.0.1", 0) as bound:
        task = asyncio.create_task(serve(app, bound, ending=feed.close))
        yield bound.getsockname()[1]
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def hearing(port: int) -> Streams:
    """A listener, past the head of the answer and the first word."""
    streams = await connected(port, GET)
    assert await status(streams) == 200
    head = await streams[0].readuntil(b"\r\n\r\n")
    assert b"content-type: text/event-stream" in head
    await streams[0].readuntil(b"retry: 3000\n\n")
    return streams


async def heard(streams: Streams) -> dict[str, Any]:
    """The next event."""
    await streams[0].readuntil(b"data: ")
    document: dict[str, Any] = json.loads(await streams[0].readuntil(b"\n\n"))
    return document


async def test_an_event_is_told_to_all_who_listen_as_the_log_has_it_and_in_words() -> None:
    feed = Feed()
    async with served(feed) as port:
        one, other = await hearing(port), await hearing(port)
        feed.take(change(), NOON)
        assert await heard(one) == await heard(other) == event_document(change(), NOON)
        await closed(one, other)
    assert event_document(change(), NOON) == {
        "ts": "2026-11-24T12:00:00.000Z",
        "level": "info",
        "event": "model.resumed",
        "server": "gpu",
        "model": "a",
        "by": "root",
        "text": "a on gpu is kept again: asked by root",
    }


async def test_a_stream_outlives_the_limit_of_a_request_by_its_heartbeats() -> None:
    feed = Feed()
    async with served(feed) as port:
        streams = await hearing(port)
        for _ in range(4):
            await streams[0].readuntil(b": still here\n\n")
        assert asyncio.get_running_loop().time() == pytest.approx(4 * HEARTBEAT_S, abs=0.5)
        assert asyncio.get_running_loop().time() > REQUEST_S
        feed.take(change(), NOON)
        assert (await heard(streams))["event"] == "model.resumed"
        await closed(streams)


async def test_what_a_model_is_called_ends_no_line_of_the_stream() -> None:
    feed = Feed()
    async with served(feed) as port:
        streams = await hearing(port)
        feed.take(change(HOSTILE), NOON)
        line = await streams[0].readuntil(b"\n\n")
        assert json.loads(line.partition(b"data: ")[2])["model"] == HOSTILE
        assert not set(b"<>&\x1b") & set(line)
        await closed(streams)


async def test_at_most_so_many_listen_and_who_leaves_makes_room() -> None:
    feed = Feed()
    async with served(feed) as port:
        all_streams = [await hearing(port) for _ in range(LISTENERS)]
        late = await connected(port, GET)
        assert await status(late) == 503
        await closed(late, all_streams.pop())
        await asyncio.sleep(0.1)
        all_streams.append(await hearing(port))
        await closed(*all_streams)


async def test_who_does_not_keep_up_is_let_go_and_holds_up_nobody() -> None:
    feed = Feed()
    async with served(feed) as port:
        slow, quick = await hearing(port), await hearing(port)
        slow[0]._transport.pause_reading()  # type: ignore[attr-defined]
        count = 0
        for _ in range(200):
            for _ in range(QUEUED // 4):
                feed.take(change(by="x" * 1_000), NOON)
                count += 1
            for _ in range(QUEUED // 4):
                await heard(quick)
        assert len(feed._listeners) == 1
        await asyncio.sleep(STALLED_S + 1)
        slow[0]._transport.resume_reading()  # type: ignore[attr-defined]
        with suppress(ConnectionError):
            await slow[0].read()
        assert count * 1_000 > 10_000_000
        await closed(slow, quick)


async def test_nobody_listening_costs_nothing() -> None:
    feed = Feed()
    feed.take(change(), NOON)
    assert not feed.full


async def test_all_streams_end_within_a_second_of_the_end() -> None:
    feed = Feed()
    async with served(feed) as port:
        all_streams = [await hearing(port) for _ in range(3)]
        ending = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - ending < 1.0
    for streams in all_streams:
        assert (await streams[0].read()).endswith(b"0\r\n\r\n")
    assert feed.full
    await closed(*all_streams)


async def test_head_is_answered_and_listens_to_nothing() -> None:
    feed = Feed()
    async with served(feed) as port:
        streams = await connected(port, GET.replace(b"GET", b"HEAD"))
        assert await status(streams) == 200
        assert not feed._listeners
        await closed(streams)
