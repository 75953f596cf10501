"""What stands before every route: who may ask, what may be asked, and the headers of every answer (OPERATIONS 7)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ollama_keeper.web.answers import no, problem
from ollama_keeper.web.hosts import Hosts

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

READING = frozenset({"GET", "HEAD"})
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """Passes on requests that only read, from a host that is known; answers the others itself.

    No header of ours allows another origin to read an answer: there is no CORS.
    """

    def __init__(self, app: App, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request, by the ASGI interface."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS, *_closing(scope)]
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, sent)

    def _refusal(self, scope: Message) -> App | None:
        """What a request is told that goes no further."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        reached = scope.get("server")
        if len(hosts) != 1 or not self._hosts.allows(hosts[0], reached[0] if reached else None):
            return problem(403, "this host is not known here", hint="add it to web.allowed_hosts")
        if scope["method"] not in READING:
            return no(405, allow="GET, HEAD")
        if _has_body(scope):
            return problem(413, "nothing here takes a body")
        return None


def _closing(scope: Message) -> tuple[tuple[bytes, bytes], ...]:
    """A body is never read: the connection that it comes on is closed behind the answer."""
    return ((b"connection", b"close"),) if _has_body(scope) else ()


def _has_body(scope: Message) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""
