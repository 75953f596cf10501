"""The way out: one request to one service, and the only importer of httpx beside the client of Ollama.

No redirect is followed, no proxy of the environment used, no cookie kept, no URL logged. A name is resolved here, and
the connection goes to an address that was looked at: one that is link-local, as those that hand out the credentials of
a cloud machine are, is refused. Each request has a connection of its own, and 10 s in all.
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import httpx

from ollama_keeper import __version__
from ollama_keeper.core.delivery import Refused
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.ollama.body import read_beginning
from ollama_keeper.report.notify.secrets import basic
from ollama_keeper.report.notify.service import Answer, Post

ALL_S = 10.0
CONNECT_S = 3.0
MOST_ADDRESSES = 3
METADATA = frozenset({ip_address("fd00:ec2::254"), ip_address("100.100.100.200")})
"""Addresses that hand out a machine's credentials, and are not link-local."""

ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError, ValueError)


class Unsent(Exception):
    """There was no answer; `refused` says why."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.detail)
        self.refused = refused


class Postman:
    """Sends requests.

    Args:
        transport: in place of the network, for tests.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._tls: ssl.SSLContext | None = None

    async def send(self, post: Post, *, method: str = "POST") -> Answer:
        """One request and the beginning of its answer.

        Raises:
            Unsent: there is none within 10 s.
        """
        try:
            async with asyncio.timeout(ALL_S):
                return await self._sent(post, method)
        except (TimeoutError, httpx.TimeoutException):
            raise Unsent(Refused(Undelivered.TIMEOUT, f"no answer within {ALL_S:g} s")) from None
        except ERRORS as error:
            raise Unsent(Refused(Undelivered.UNREACHABLE, _why(error))) from None

    async def _sent(self, post: Post, method: str) -> Answer:
        parts = urlsplit(post.url)
        last: httpx.TransportError | None = None
        for address in await self._addresses(parts.hostname or "", parts.port or 0):
            try:
                return await self._exchange(post, method, address)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                last = error
        raise last or httpx.ConnectError("no address")

    async def _addresses(self, host: str, port: int) -> list[str]:
        """Addresses of a host that may be asked; the host itself where there is no network to resolve it on.

        Raises:
            Unsent: all of them are link-local.
            OSError: the name leads nowhere.
        """
        literal = _ip(host)
        if literal is None and self._transport is not None:
            return [host]
        found = [literal] if literal else await _resolved(host, port)
        allowed = [str(address) for address in found if not _forbidden(address)]
        if not allowed:
            raise Unsent(Refused(Undelivered.CLIENT_ERROR, "its address is link-local, which is refused", final=True))
        return allowed[:MOST_ADDRESSES]

    async def _exchange(self, post: Post, method: str, address: str) -> Answer:
        url = httpx.URL(post.url)
        headers = {"user-agent": f"ollama-keeper/{__version__}", "accept-encoding": "identity", **post.headers}
        headers["host"] = url.netloc.decode("ascii")
        if (secret := basic(urlsplit(post.url))) is not None:
            headers["authorization"] = f"Basic {secret}"
        request = httpx.Request(
            method,
            url.copy_with(host=address),
            headers=headers,
            content=post.body or None,
            extensions={
                "timeout": httpx.Timeout(ALL_S, connect=CONNECT_S).as_dict(),
                "sni_hostname": url.host,
            },
        )
        async with self._connected(secure=url.scheme == "https") as transport:
            response = await transport.handle_async_request(request)
            try:
                return await _whole(response)
            finally:
                await response.aclose()

    @contextlib.asynccontextmanager
    async def _connected(self, *, secure: bool) -> AsyncIterator[httpx.AsyncBaseTransport]:
        if self._transport is not None:
            yield self._transport
            return
        if secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context, cafile=os.environ.get("SSL_CERT_FILE"))
        async with httpx.AsyncHTTPTransport(verify=self._tls or False, trust_env=False) as transport:
            yield transport


async def _whole(response: httpx.Response) -> Answer:
    async with aclosing(response.aiter_raw()) as parts:  # type: ignore[type-var]
        body = await read_beginning(parts, response.headers.get("content-encoding", ""))
    return Answer(response.status_code, response.headers, body)


async def _resolved(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    answers = await asyncio.get_running_loop().getaddrinfo(host, port)
    found = [address for *_, place in answers if (address := _ip(str(place[0]).partition("%")[0])) is not None]
    return list(dict.fromkeys(found))


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _forbidden(address: IPv4Address | IPv6Address) -> bool:
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_link_local or inner.is_unspecified or inner.is_multicast or inner in METADATA


def _why(error: Exception) -> str:
    """In our own words: what libraries say may hold the URL."""
    causes = [error, error.__cause__, error.__context__]
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "SSL" in type(error).__name__:
        return "no trusted TLS connection"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, OSError | UnicodeError) and not isinstance(error, httpx.HTTPError):
        return "its name cannot be resolved"
    return "the connection was cut"
