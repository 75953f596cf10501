"""`/events`: the feed as server-sent events, with a comment each 15 s, so that each end sees the other."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ollama_keeper.web.answers import problem
from ollama_keeper.web.feed import Feed, Listener

HEARTBEAT_S = 15.0
KIND = "text/event-stream"

_BEGIN = b"retry: 3000\n\n"
_HEARTBEAT = b": still here\n\n"


def stream_route(feed: Feed) -> Route:
    """The route of a feed."""

    async def events(request: Request) -> Response:
        """A stream of events from now on."""
        if request.method == "HEAD":
            return Response(media_type=KIND)
        if feed.full:
            return problem(503, "too many listen already", hint="ask for /status now and then")
        return StreamingResponse(_lines(feed), media_type=KIND, headers={"x-accel-buffering": "no"})

    return Route("/events", events)


async def _lines(feed: Feed) -> AsyncIterator[bytes]:
    listener = feed.join()  # here, for a stream that was never begun is never ended
    try:
        yield _BEGIN
        while (line := await _next(listener)) is not None:
            yield line
    finally:
        feed.leave(listener)


async def _next(listener: Listener) -> bytes | None:
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            line = await listener.next()
    except TimeoutError:
        return _HEARTBEAT
    return None if line is None else b"data: " + line + b"\n\n"
