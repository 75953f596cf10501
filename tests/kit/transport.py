"""The network between the keeper and simulated servers, without a socket: one httpx transport.

It is as httpcore on a real network: connect and read limits of the request's `timeout` extension, refused and cut
connections, and a cancelled request that the server sees as a client that hung up.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

from ollama_keeper.simulator import Cut, Presence, Simulator
from ollama_keeper.simulator.exchange import Exchange

T = TypeVar("T")
NO_ANSWER = "Server disconnected without sending a response."
INCOMPLETE = "peer closed connection without sending complete message body (incomplete chunked read)"


@dataclass(slots=True)
class Link:
    """The way to one server, and what is wrong with it.

    Attributes:
        refused: nothing listens.
        swallowed: packets vanish, both ways.
        delay_s: before each answer's head.
        cut_after: body bytes after which the connection is closed.
        reset: it is reset instead of closed.
        connects: how many connections have been asked for.
    """

    server: Simulator
    refused: bool = False
    swallowed: bool = False
    delay_s: float = 0.0
    cut_after: int | None = None
    reset: bool = False
    connects: int = field(default=0)


class SimTransport(httpx.AsyncBaseTransport):
    """Brings requests to simulated servers, by the host and port of their URL."""

    def __init__(self, servers: Simulator | Mapping[str, Simulator]) -> None:
        """Args: servers: one for every address, or by `host:port`."""
        one = isinstance(servers, Simulator)
        self._only = Link(servers) if isinstance(servers, Simulator) else None
        self.links = {} if one or isinstance(servers, Simulator) else {at: Link(sim) for at, sim in servers.items()}

    def link(self, address: str = "") -> Link:
        """The way to a server.

        Raises:
            KeyError: there is none at that address.
        """
        return self._only or self.links[address]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request.

        Raises:
            httpx.TransportError: as a real network brings it about.
        """
        limits = request.extensions.get("timeout", {})
        link = self._find(request)
        await _connect(link, request, limits.get("connect"))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw}
        asked = await request.aread()
        exchange = Exchange(link.server, request.method, request.url.raw_path.decode(), headers, asked)
        try:
            status, raw = await _read(_head(exchange, link), request, limits.get("read"))
        except BaseException:
            await exchange.close()
            raise
        body = _Body(exchange, link, request, limits.get("read"))
        return httpx.Response(status, headers=raw, stream=body, extensions={"network_stream": _Connection(link)})

    def _find(self, request: httpx.Request) -> Link:
        port = request.url.port or {"http": 80, "https": 443}[request.url.scheme]
        try:
            return self.link(f"{request.url.host}:{port}")
        except KeyError:
            raise httpx.ConnectError("[Errno -2] Name or service not known", request=request) from None


class _Connection:
    """What an answer came over: open on both ends until the server's process ends."""

    def __init__(self, link: Link) -> None:
        self._link, self._ends = link, link.server.ends

    def get_extra_info(self, info: str) -> object:
        """As httpcore's network stream."""
        return {"is_readable": self._link.server.ends != self._ends, "socket": self}.get(info)

    def fileno(self) -> int:
        """Of a socket that we have not closed."""
        return 0


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it comes."""

    def __init__(self, exchange: Exchange, link: Link, request: httpx.Request, limit: float | None) -> None:
        self._exchange, self._link, self._request, self._limit = exchange, link, request, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = self._exchange.parts()
        left = self._link.cut_after
        while True:
            try:
                part = await _read(anext(parts), self._request, self._limit)
            except StopAsyncIteration:
                return
            if left is not None and len(part) >= left:
                yield part[:left]
                raise _broken(self._link, self._request, INCOMPLETE)
            left = None if left is None else left - len(part)
            yield part

    async def aclose(self) -> None:
        await self._exchange.close()


async def _connect(link: Link, request: httpx.Request, limit: float | None) -> None:
    link.connects += 1
    if link.swallowed:
        await _never(request, limit, httpx.ConnectTimeout)
    if link.refused or link.server.presence is Presence.DOWN:
        raise httpx.ConnectError("All connection attempts failed", request=request)


async def _head(exchange: Exchange, link: Link) -> tuple[int, list[tuple[bytes, bytes]]]:
    head = await exchange.start()
    if link.delay_s:
        await asyncio.sleep(link.delay_s)
    if link.swallowed:
        await asyncio.get_running_loop().create_future()
    if link.reset and link.cut_after is None:
        raise Cut
    return head


async def _read(coming: Awaitable[T], request: httpx.Request, limit: float | None) -> T:
    try:
        return await asyncio.wait_for(coming, limit)
    except TimeoutError:
        raise httpx.ReadTimeout("", request=request) from None
    except Cut:
        raise httpx.RemoteProtocolError(NO_ANSWER, request=request) from None


async def _never(request: httpx.Request, limit: float | None, error: type[httpx.TimeoutException]) -> None:
    try:
        await asyncio.wait_for(asyncio.get_running_loop().create_future(), limit)
    except TimeoutError:
        raise error("", request=request) from None


def _broken(link: Link, request: httpx.Request, text: str) -> httpx.TransportError:
    if link.reset:
        return httpx.ReadError("[Errno 104] Connection reset by peer", request=request)
    return httpx.RemoteProtocolError(text, request=request)
