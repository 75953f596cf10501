"""Who may command over TCP: whoever has the token, and no page of somebody else (OPERATIONS 7).

A page in a browser can send a request anywhere. It cannot add our own header, or name JSON, without asking first, which
is never granted; and the browser tells where it comes from. So neither a form nor a script of a stranger gets through,
even with the token.
"""

import asyncio
import hmac
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ollama_keeper.core.changes import ControlRefused
from ollama_keeper.core.instant import Instant
from ollama_keeper.web.answers import no, problem

OWN_HEADER = "x-ollama-keeper"
LARGEST_BODY = 64 * 1024
DELAY_S = 1.0
WAITING = 16
"""Wrong tokens are answered one a second; so many wait for it, and what comes beyond is sent away."""
TOLD_EVERY_S = 60.0


class Gate:
    """Lets commands through, and counts and slows down what it does not.

    Args:
        token: what `Authorization: Bearer` has to name.
        tell: told of wrong tokens, once a minute at most.
    """

    def __init__(self, token: bytes, *, now: Callable[[], Instant], tell: Callable[[ControlRefused], None]) -> None:
        self._token = token
        self._now = now
        self._tell = tell
        self._told: Instant | None = None
        self._waiting = 0
        self._turn = asyncio.Lock()
        self.failures = 0

    def refusal(self, scope: Scope) -> ASGIApp | None:
        """What a request is told that may not command; None for one that may."""
        headers = Headers(scope=scope)
        if headers.get(OWN_HEADER) != "1":
            return problem(403, "a command needs its own header", hint="send X-Ollama-Keeper: 1")
        if _foreign(headers):
            return problem(403, "a page of another origin commands nothing here")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem(415, "a command is a JSON object", hint="send Content-Type: application/json")
        if _length(headers) > LARGEST_BODY:
            return problem(413, "a command is not that long")
        return None if self._known(headers) else self._refused

    def _known(self, headers: Headers) -> bool:
        given = headers.getlist("authorization")
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        right = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        return right and scheme.lower() == "bearer"

    async def _refused(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Says so, later: guesses are taken one a second, whoever makes them."""
        self.failures += 1
        self._report(scope)
        if self._waiting >= WAITING:
            await no(429, **{"retry-after": "60"})(scope, receive, send)
            return
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.sleep(DELAY_S)
        finally:
            self._waiting -= 1
        answer = problem(401, "no such token", hint="send Authorization: Bearer TOKEN, that of web.token_file")
        answer.headers["www-authenticate"] = "Bearer"
        await answer(scope, receive, send)

    def _report(self, scope: Scope) -> None:
        now = self._now()
        if self._told is not None and now.since(self._told) < TOLD_EVERY_S:
            return
        self._told = now
        client = scope.get("client")
        self._tell(ControlRefused(address=client[0] if client else "unknown", failures=self.failures))


class Gated:
    """An app of which everything needs the token."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, by the ASGI interface."""
        await (self._gate.refusal(scope) or self._app)(scope, receive, send)


def _foreign(headers: Headers) -> bool:
    """Whether a browser says that another page asks; what is no browser says nothing."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return True
    return origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _length(headers: Headers) -> int:
    """Bytes of the body as announced; one that comes in chunks is measured as it is read."""
    told = headers.get("content-length", "0")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 20 else LARGEST_BODY + 1
