"""The calls that are made of a server, and the only importer of httpx. Every failure leaves as an `OllamaError`.

Requests go to httpx's transport itself: no redirect is followed or even read, no cookie kept, no URL logged, nothing
of the environment used. httpx leaks pool slots when requests are cancelled while they connect (httpcore#1093), so the
pool has no limit, httpx's own limits end connecting, and our deadline only cuts the reading.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar, cast

import httpx

from ollama_keeper import __version__
from ollama_keeper.clock import Clock, SystemClock
from ollama_keeper.core.address import Address
from ollama_keeper.core.facts import LoadRequest, Looked, ProbeRequest, PullEnded, PullFailed, Shown, Tagged
from ollama_keeper.core.reasons import Failure, Unpulled
from ollama_keeper.errors import Unreachable
from ollama_keeper.ollama.body import BadEncoding, TooLarge, read_beginning, read_body
from ollama_keeper.ollama.classify import load_failure, look_failure, said_failure, show_failure
from ollama_keeper.ollama.credentials import request_headers, secrets, tls_context
from ollama_keeper.ollama.exchange import Answer, Question
from ollama_keeper.ollama.failing import Classify, Failing
from ollama_keeper.ollama.headers import clock_skew_s
from ollama_keeper.ollama.progress import Progress
from ollama_keeper.ollama.pulling import STALL_S, Pulled, documents, pull_failure
from ollama_keeper.ollama.reuse import KeptConnection
from ollama_keeper.ollama.wire import (
    BadShape,
    Json,
    load_body,
    loaded,
    parse_document,
    parse_probe,
    parse_ps,
    parse_show,
    parse_tags,
    parse_version,
    probe_body,
)

T = TypeVar("T")

CONNECT_S = 3.0  # for TCP, and once more for TLS
VERSION_S = 5.0
TAGS_S = 15.0
SHOW_S = 30.0
KEPT_OPEN = 8
KEPT_OPEN_S = 60.0  # looks come each 15 s; httpx's own 5 s would connect anew each time
PROBES = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}  # a host lost in a load is noticed in a minute

TRANSPORT_ERRORS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, UnicodeError)


class OllamaClient:
    """One Ollama server, asked politely.

    Args:
        address: where it is and what to send along.
        user_agent: first word of `User-Agent`.
        transport: in place of the network, for tests.
        clock: what the server's `Date` is compared with.

    Raises:
        ConfigError: a header, `token_file` or `ca_file` cannot be used.
    """

    def __init__(
        self,
        address: Address,
        *,
        user_agent: str = f"ollama-keeper/{__version__}",
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._transport = transport
        self._clock = clock or SystemClock()
        self._headers = request_headers(address, user_agent)
        self._failing = Failing(address, secrets(address, self._headers), clock=self._clock, connect_s=CONNECT_S)
        self._tls = tls_context(address)
        self._kept = KeptConnection()
        self._asking = self._connections(kept_open=KEPT_OPEN)
        self._loading = self._connections(kept_open=0)

    async def look(self) -> Looked:
        """`GET /api/ps`: what is listed, how far the server's clock is from ours, whether it closed our connection.

        Raises:
            OllamaError: no valid answer within `look_timeout`.
        """
        question = Question("look", "/api/ps", self._address.look_timeout_s)
        answer = await self._ask(question)
        skew_s = clock_skew_s(answer.headers, self._clock.now().wall)
        models, skipped = self._parsed(question, answer, parse_ps)
        reconnected, self._kept.closed = self._kept.closed, False
        return Looked(models, skipped, skew_s=skew_s, reconnected=reconnected)

    async def version(self) -> str:
        """`GET /api/version`, which takes no lock: the best sign of life (OLLAMA.md 6).

        Raises:
            OllamaError: no valid answer within 5 s.
        """
        question = Question("version", "/api/version", VERSION_S)
        return self._parsed(question, await self._ask(question), parse_version)

    async def tags(self) -> Tagged:
        """`GET /api/tags`: what is pulled.

        Raises:
            OllamaError: no valid answer within 15 s.
        """
        question = Question("tags", "/api/tags", TAGS_S)
        return Tagged(self._parsed(question, await self._ask(question), parse_tags))

    async def show(self, name: str) -> Shown:
        """`POST /api/show`: kind, weights and contexts of a model.

        Raises:
            OllamaError: no valid answer within 30 s; `not_found` when it is not pulled.
        """
        question = Question(f"show {name}", "/api/show", SHOW_S, {"model": name})
        return self._parsed(question, await self._ask(question, show_failure), parse_show)

    async def load(self, request: LoadRequest) -> None:
        """A load-only request; returns when the server says that the model is loaded, however long that takes.

        There is no read timeout: a client that hangs up aborts the load (OLLAMA.md 4). Only a cancel ends it.

        Each load has a connection of its own, made for it and closed after it. So none meets a connection that was
        closed while idle, and a cut one is always news of the server. No load is ever sent again from here, although
        asking twice changes nothing on a healthy server: one that ended during a load may have ended because of it.
        When to try again is for the load lane to say, which knows of back-off, and of whose turn it is.

        Raises:
            OllamaError: the load failed, for a `reason` of CONTRACT 4; also by an error inside a 200 (before 0.12.6).
        """
        path, body = load_body(request)
        question = Question(f"{request.send.value} {request.model}", path, None, body)
        answer = await self._exchange(self._loading, question)
        if not answer.good:
            raise self._failing.refused(question, answer, load_failure)
        said = self._failing.parsed(question, answer, lambda: loaded(request, answer.body))
        if said is not None:
            raise self._failing.error(question, said_failure(said), detail=said, status=answer.status)

    async def probe(self, request: ProbeRequest, seconds: float) -> float | None:
        """One generated token, or one embedding; gives what it took by the server's own clock, in seconds.

        Raises:
            OllamaError: no valid answer within `seconds`, which hurts nobody: a running request is cut cleanly.
        """
        path, body = probe_body(request)
        question = Question(f"probe {request.model}", path, seconds, body)
        answer = await self._exchange(self._loading, question)
        if not answer.good:
            raise self._failing.refused(question, answer, load_failure)
        return self._parsed(question, answer, parse_probe)

    async def pull(self, model: str, report: Callable[[int, int], None]) -> PullEnded | PullFailed:
        """`POST /api/pull`: has the server download a model, as long as that takes; only where `pull: if_missing` asks.

        There is no read timeout, but it has failed when not one byte more comes for 10 min. A cancel only ends our
        request: what has come is kept, and goes on when it is asked for again.

        Args:
            report: told the bytes that are there and those known of in all, whenever more has come.

        Raises:
            OllamaError: the server did not answer, or not to the end; what it says itself is a `PullFailed`.
        """
        question = Question(f"pull {model}", "/api/pull", None, {"model": model})
        pulled = Pulled()
        try:
            async with asyncio.timeout(STALL_S) as deadline:
                await self._read_pull(question, pulled, deadline, report)
        except TimeoutError:
            return PullFailed(model, Unpulled.PULL_STALLED)
        except TRANSPORT_ERRORS as error:
            raise await self._failing.unreachable(question, error) from error
        if pulled.said is not None:
            return PullFailed(model, pull_failure(pulled.said), self._failing.shown(pulled.said))
        if not pulled.done:
            raise self._failing.error(question, Failure.RESET, Unreachable, detail="it ended before it said success")
        return PullEnded(model)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._asking.aclose()
        await self._loading.aclose()

    async def _read_pull(
        self, question: Question, pulled: Pulled, deadline: asyncio.Timeout, report: Callable[[int, int], None]
    ) -> None:
        async with self._sent(self._loading, question, Progress(asyncio.timeout(None), None)) as response:
            if not response.is_success:
                raise self._failing.refused(question, await self._whole(question, response), show_failure)
            try:
                async for line in documents(response.aiter_raw()):
                    if pulled.take(line):
                        deadline.reschedule(_loop_time() + pulled.patience_s)
                        report(pulled.completed, pulled.total)
            except BadShape as error:
                raise self._failing.error(question, Failure.BAD_SHAPE, detail=str(error)) from None
            except ValueError as error:
                raise self._failing.error(question, Failure.NOT_JSON, detail=str(error)) from None

    # --- one exchange -------------------------------------------------------------------------------------------------

    async def _ask(self, question: Question, why: Classify = look_failure) -> Answer:
        """A good answer over a connection that is kept open."""
        self._kept.begin(_loop_time())
        answer = await self._exchange(self._asking, question)
        if not answer.good:
            raise self._failing.refused(question, answer, why)
        return answer

    def _parsed(self, question: Question, answer: Answer, parse: Callable[[Json], T]) -> T:
        return self._failing.parsed(question, answer, lambda: parse(parse_document(answer.body)))

    async def _exchange(self, http: httpx.AsyncBaseTransport, question: Question) -> Answer:
        """One request and its whole answer; a GET over a connection that was closed while idle is sent once more."""
        try:
            return await self._attempt(http, question, again=question.method == "GET")
        except _ClosedWhileIdle:
            self._kept.closed = True
        return await self._attempt(http, question, again=False)

    async def _attempt(self, http: httpx.AsyncBaseTransport, question: Question, *, again: bool) -> Answer:
        deadline = asyncio.timeout(None if question.seconds is None else question.seconds + 2 * CONNECT_S)
        progress = Progress(deadline, question.seconds)
        try:
            async with deadline, self._sent(http, question, progress) as response:
                progress.answered = True
                answer = await self._whole(question, response)
                if http is self._asking:
                    self._kept.end(response.extensions.get("network_stream"), _loop_time())
                return answer
        except TRANSPORT_ERRORS as error:
            if again and _met_a_closed_connection(error, progress):
                raise _ClosedWhileIdle from error
            if isinstance(error, httpx.PoolTimeout):
                await self._replace_connections()
            raise await self._failing.unreachable(question, error) from error

    @asynccontextmanager
    async def _sent(
        self, http: httpx.AsyncBaseTransport, question: Question, progress: Progress
    ) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(question.seconds, connect=CONNECT_S, pool=CONNECT_S)
        named = {"sni_hostname": self._address.asked_as} if self._address.asked_as else {}
        request = httpx.Request(
            question.method,
            self._address.url + question.path,
            headers=self._headers,
            json=question.json,
            extensions={"timeout": timeout.as_dict(), "trace": progress, **named},
        )
        response = await http.handle_async_request(request)
        try:
            yield response
        finally:
            await response.aclose()

    async def _whole(self, question: Question, response: httpx.Response) -> Answer:
        raw = cast("AsyncGenerator[bytes, None]", response.aiter_raw())
        read = read_body if response.is_success else read_beginning
        try:
            async with aclosing(raw) as parts:
                body = await read(parts, response.headers.get("content-encoding", ""))
        except TooLarge:
            raise self._failing.error(question, Failure.TOO_LARGE, status=response.status_code) from None
        except BadEncoding as error:
            told = f"it cannot be unpacked: {error}"
            raise self._failing.error(question, Failure.NOT_JSON, detail=told, status=response.status_code) from None
        return Answer(response.status_code, response.headers, body)

    # --- connections --------------------------------------------------------------------------------------------------

    def _connections(self, *, kept_open: int) -> httpx.AsyncBaseTransport:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=kept_open, keepalive_expiry=KEPT_OPEN_S)
        return self._transport or httpx.AsyncHTTPTransport(
            verify=self._tls or False,
            trust_env=False,
            limits=limits,
            proxy=self._address.proxy,
            socket_options=_probing(),
        )

    async def _replace_connections(self) -> None:
        """A pool that has no slot left never has one again (httpcore#1093). Loads go on: theirs is another."""
        stale, self._asking = self._asking, self._connections(kept_open=KEPT_OPEN)
        await stale.aclose()


class _ClosedWhileIdle(Exception):
    """The server closed a kept connection just as the question came: nothing was answered."""


def _met_a_closed_connection(error: Exception, progress: Progress) -> bool:
    if progress.connected or progress.answered:
        return False
    if isinstance(error, httpx.RemoteProtocolError):
        return "without sending a response" in str(error)
    return isinstance(error, httpx.ReadError | httpx.WriteError)


def _probing() -> list[tuple[int, int, int]]:
    """Socket options by which the kernel notices that the other end is gone, however long a load is silent."""
    known = [(getattr(socket, name), value) for name, value in PROBES.items() if hasattr(socket, name)]
    return [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *((socket.IPPROTO_TCP, *option) for option in known)]


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
