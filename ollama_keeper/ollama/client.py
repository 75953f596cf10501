"""The calls that are made of a server, and the only importer of httpx.

httpx leaks pool slots when requests are cancelled while they connect (httpcore#1093), so the pool has no limit, httpx's own
timeouts strike first, and outer deadlines can only cut the reading. Every failure leaves as an `OllamaError`.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from ollama_keeper import __version__
from ollama_keeper.core.address import Address
from ollama_keeper.core.facts import LoadRequest, Looked, Shown, Tagged
from ollama_keeper.core.reasons import Failure
from ollama_keeper.errors import BadAnswer, ConfigError, Mistake, OllamaError, Refused, Unreachable, printable
from ollama_keeper.ollama.classify import HINTS, load_failure, look_failure
from ollama_keeper.ollama.wire import (
    BadShape,
    error_text,
    load_body,
    loaded,
    parse_document,
    parse_ps,
    parse_show,
    parse_tags,
    parse_version,
)

CONNECT_S = 3.0
VERSION_S = 5.0
TAGS_S = 15.0
SHOW_S = 30.0
LARGEST = 4 * 2**20  # decoded bytes of an answer
ABSURD_SKEW_S = 10 * 365.25 * 86_400.0  # a clock so wrong tells nothing
MIN_KEEPALIVE_S = 60.0  # looks come each 15 s; httpx's own 5 s would connect anew each time


class OllamaClient:
    """One Ollama server, asked politely.

    Args:
        address: where it is and what to send along.
        user_agent: first word of `User-Agent`.
        transport: in place of the network, for tests.

    Raises:
        ConfigError: `token_file` or `ca_file` cannot be used.
    """

    def __init__(
        self,
        address: Address,
        *,
        user_agent: str = f"ollama-keeper/{__version__}",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = address
        self._transport = transport
        self._headers = {"user-agent": user_agent, **dict(address.headers), **_bearer(address)}
        self._verify = _tls(address)
        self._http = self._fresh()

    async def look(self) -> Looked:
        """`GET /api/ps`: what is listed, and how far the server's clock is from ours.

        A keep-alive connection that the server closed while idle is retried once, on a new one.

        Raises:
            OllamaError: no valid answer within `look_timeout`.
        """
        reconnected = False
        try:
            document, headers = await self._get("/api/ps", "look", self._address.look_timeout_s)
        except Unreachable as error:
            if not _closed_while_idle(error):
                raise
            document, headers = await self._get("/api/ps", "look", self._address.look_timeout_s)
            reconnected = True
        models, skipped = self._shaped("look", parse_ps, document)
        return Looked(models, skipped, skew_s=_skew_s(headers), reconnected=reconnected)

    async def version(self) -> str:
        """`GET /api/version`, which takes no lock: the best sign of life (OLLAMA.md 6).

        Raises:
            OllamaError: no valid answer within 5 s.
        """
        document, _ = await self._get("/api/version", "version", VERSION_S)
        version: str = self._shaped("version", parse_version, document)
        return version

    async def tags(self) -> Tagged:
        """`GET /api/tags`: what is pulled.

        Raises:
            OllamaError: no valid answer within 15 s.
        """
        document, _ = await self._get("/api/tags", "tags", TAGS_S)
        return Tagged(self._shaped("tags", parse_tags, document))

    async def show(self, name: str) -> Shown:
        """`POST /api/show`: kind, weights and contexts of a model.

        Raises:
            OllamaError: no valid answer within 30 s; `not_found` when it is not pulled.
        """
        operation = f"show {name}"
        async with self._answer("POST", "/api/show", operation, seconds=SHOW_S, json={"model": name}) as response:
            body = await self._body(response, operation)
            if response.status_code != 200:
                self._refuse_load(response, body, operation)
        shown: Shown = self._shaped(operation, parse_show, self._document(operation, body))
        return shown

    async def load(self, request: LoadRequest) -> None:
        """A load-only request; returns when the server says that the model is loaded, however long that takes.

        There is no read timeout: a client that hangs up aborts the load (OLLAMA.md 4). Only a cancel ends it.

        Raises:
            OllamaError: the load failed, for a `reason` of CONTRACT 4.
        """
        path, body = load_body(request)
        operation = f"{request.send.value} {request.model}"
        async with self._answer("POST", path, operation, seconds=None, json=body) as response:
            answer = await self._body(response, operation)
            if response.status_code != 200:
                self._refuse_load(response, answer, operation)
        failure = loaded(request, answer)
        if failure is not None:
            self._fail(operation, load_failure(200, failure), detail=failure, status=200)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    # --- one exchange -------------------------------------------------------------------------------------------------

    async def _get(self, path: str, operation: str, seconds: float) -> tuple[Mapping[str, Any], Mapping[str, str]]:
        async with self._answer("GET", path, operation, seconds=seconds) as response:
            body = await self._body(response, operation)
            if response.status_code != 200:
                self._refuse(response, body, operation)
        return self._document(operation, body), response.headers

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, operation: str, *, seconds: float | None, json: object = None
    ) -> AsyncIterator[httpx.Response]:
        """One exchange; all that can go wrong on the way leaves as `Unreachable`."""
        timeout = httpx.Timeout(seconds, connect=CONNECT_S, pool=CONNECT_S)
        outer = None if seconds is None else seconds + CONNECT_S * 2
        try:
            async with (
                asyncio.timeout(outer),
                self._http.stream(method, self._address.url + path, json=json, timeout=timeout) as response,
            ):
                yield response
        except httpx.PoolTimeout as error:
            stale, self._http = self._http, self._fresh()
            await stale.aclose()
            self._unreachable(operation, error)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            self._unreachable(operation, error)

    async def _body(self, response: httpx.Response, operation: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                self._fail(operation, Failure.TOO_LARGE, status=response.status_code)
        return b"".join(parts)

    def _document(self, operation: str, body: bytes) -> Mapping[str, Any]:
        try:
            return parse_document(body)
        except BadShape as error:
            self._fail(operation, Failure.BAD_SHAPE, detail=str(error))
        except (ValueError, RecursionError):
            self._fail(operation, Failure.NOT_JSON, detail=printable(body[:200].decode("utf-8", "replace")))

    def _shaped(self, operation: str, parse: Any, document: Mapping[str, Any]) -> Any:
        try:
            return parse(document)
        except BadShape as error:
            self._fail(operation, Failure.BAD_SHAPE, detail=str(error))

    # --- failures -----------------------------------------------------------------------------------------------------

    def _refuse(self, response: httpx.Response, body: bytes, operation: str) -> NoReturn:
        reason = look_failure(response.status_code, body)
        detail = (
            f"to {_host(response.headers.get('location', ''))}" if reason is Failure.REDIRECT else _said(response, body)
        )
        self._fail(
            operation, reason, detail=detail, status=response.status_code, retry_after_s=_retry_after_s(response)
        )

    def _refuse_load(self, response: httpx.Response, body: bytes, operation: str) -> NoReturn:
        text = error_text(body)
        reason = load_failure(response.status_code, text)
        self._fail(
            operation,
            reason,
            detail=_said(response, body),
            status=response.status_code,
            retry_after_s=_retry_after_s(response),
        )

    def _fail(
        self,
        operation: str,
        reason: Failure,
        *,
        detail: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> NoReturn:
        kind: type[OllamaError] = Refused if reason in {Failure.NOT_FOUND, Failure.BAD_REQUEST} else BadAnswer
        raise kind(
            self._address.name,
            operation,
            reason=reason,
            detail=detail,
            status=status,
            retry_after_s=retry_after_s,
            hint=HINTS.get(reason, ""),
        )

    def _unreachable(self, operation: str, error: Exception) -> NoReturn:
        reason = transport_failure(error)
        detail = _tls_detail(error) if reason is Failure.TLS else printable(str(error))
        raise Unreachable(
            self._address.name, operation, reason=reason, detail=detail, hint=HINTS.get(reason, "")
        ) from error

    def _fresh(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers=self._headers,
            verify=self._verify,
            proxy=self._address.proxy if self._transport is None else None,
            transport=self._transport,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8, keepalive_expiry=MIN_KEEPALIVE_S),
            follow_redirects=False,
            trust_env=False,
        )


def transport_failure(error: BaseException) -> Failure:
    """The reason of an exception that is no HTTP answer: by the deepest cause that is known."""
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, ssl.SSLError | ssl.CertificateError):
            return Failure.TLS
        if isinstance(cause, socket.gaierror):
            return Failure.DNS
        if isinstance(cause, ConnectionRefusedError):
            return Failure.CONNECT_REFUSED
        if isinstance(cause, ConnectionResetError | BrokenPipeError):
            return Failure.RESET
    return next(
        (reason for cause in chain for kind, reason in _TRANSPORT if isinstance(cause, kind)), Failure.UNREACHABLE
    )


_TRANSPORT: tuple[tuple[type[BaseException], Failure], ...] = (
    (httpx.ConnectTimeout, Failure.CONNECT_TIMEOUT),
    (httpx.PoolTimeout, Failure.CONNECT_TIMEOUT),
    (httpx.TimeoutException, Failure.READ_TIMEOUT),
    (httpx.ConnectError, Failure.UNREACHABLE),
    (httpx.NetworkError, Failure.RESET),
    (httpx.RemoteProtocolError, Failure.RESET),
    (httpx.LocalProtocolError, Failure.BAD_SHAPE),
    (httpx.ProxyError, Failure.UNREACHABLE),
    (httpx.UnsupportedProtocol, Failure.UNREACHABLE),
    (httpx.InvalidURL, Failure.UNREACHABLE),
    (httpx.DecodingError, Failure.NOT_JSON),
    (httpx.TooManyRedirects, Failure.REDIRECT),
    (httpx.HTTPStatusError, Failure.HTTP_5XX),
    (TimeoutError, Failure.READ_TIMEOUT),
)
"""The reason of each of httpx's exceptions, the more special ones first; a test holds it complete."""


def _chain(error: BaseException | None) -> Any:
    """An exception and its causes, the deepest first; members of groups included (both address families failed)."""
    if error is None:
        return
    yield from _chain(error.__cause__ or error.__context__)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _chain(member)
    yield error


def _closed_while_idle(error: Unreachable) -> bool:
    """Whether a request met a connection that the server had closed before it: nothing was asked yet, so ask again."""
    cause = error.__cause__
    early = isinstance(cause, httpx.RemoteProtocolError) and "without sending a response" in str(cause)
    return early or isinstance(cause, httpx.WriteError | httpx.ReadError)


def _skew_s(headers: Mapping[str, str]) -> float | None:
    """The server's clock less ours by its `Date` header; None where it tells nothing."""
    try:
        date = parsedate_to_datetime(headers["date"])
        skew = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return skew if abs(skew) < ABSURD_SKEW_S else None


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("retry-after", "")
    return min(float(text), 3_600.0) if text.isdigit() else None


def _said(response: httpx.Response, body: bytes) -> str:
    """What a failed answer says, safe for a line; of a page only that it is one."""
    if response.headers.get("content-type", "").startswith("text/html"):
        return f"HTTP {response.status_code} with an HTML page: a proxy answered"
    return printable(error_text(body)) or f"HTTP {response.status_code}"


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the same host"


def _tls_detail(error: BaseException) -> str:
    text = next((str(cause) for cause in _chain(error) if isinstance(cause, ssl.SSLError)), str(error))
    return printable(text)


def _bearer(address: Address) -> dict[str, str]:
    if address.token_file is None:
        return {}
    token = _read(address, "token_file", Path(address.token_file)).strip()
    if not token or not token.isascii() or not token.isprintable():
        _unusable(address, "token_file", f"{address.token_file} holds no token", "write the token alone into it")
    return {"authorization": f"Bearer {token}"}


def _tls(address: Address) -> ssl.SSLContext | bool:
    """The TLS context of an https server; none is made, which costs 20 ms, for a plain one."""
    if not address.url.startswith("https://"):
        return False
    named = address.ca_file or os.environ.get("SSL_CERT_FILE")
    try:
        return ssl.create_default_context(cafile=str(named) if named else None)
    except (OSError, ssl.SSLError):
        _unusable(address, "ca_file", f"{named} cannot be used", "name a PEM file with the certificates to trust")


def _read(address: Address, key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        _unusable(address, key, f"{path} cannot be read: {why}", "make it readable for the user that runs the keeper")


def _unusable(address: Address, key: str, what: str, hint: str) -> NoReturn:
    raise ConfigError((Mistake(source=address.name, key=key, what=what, hint=hint),))
