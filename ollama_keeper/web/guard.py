"""What stands before every route: who may ask, what may be asked, and the headers of every answer (OPERATIONS 7)."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ollama_keeper.web.answers import no, problem
from ollama_keeper.web.gate import Gate
from ollama_keeper.web.hosts import Hosts

READING = frozenset({"GET", "HEAD"})
COMMANDS = "/control/"
Header = tuple[bytes, bytes]
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Guard:
    """Passes on requests that only read, from a host that is known; answers the others itself.

    No header of ours allows another origin to read an answer: there is no CORS.

    Args:
        gate: lets commands through; without one there are none.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts, gate: Gate | None = None) -> None:
        self._app = app
        self._hosts = hosts
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, by the ASGI interface."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _with_ours(message.get("headers", ()), scope)
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, sent)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """What a request is told that goes no further."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        reached = scope.get("server")
        if len(hosts) != 1 or not self._hosts.allows(hosts[0], reached[0] if reached else None):
            return problem(403, "this host is not known here", hint="add it to web.allowed_hosts")
        if self._gate is not None and scope["method"] == "POST" and scope["path"].startswith(COMMANDS):
            return self._gate.refusal(scope)
        if scope["method"] not in READING:
            return no(405, allow="GET, HEAD")
        if _has_body(scope):
            return problem(413, "nothing here takes a body")
        return None


def _with_ours(given: Iterable[Header], scope: Scope) -> list[Header]:
    """The headers of an answer, and ours where it has none of that name.

    A body may not have been read: the connection that it comes on is closed behind the answer.
    """
    headers = list(given)
    names = {name for name, _ in headers}
    headers += [header for header in HEADERS if header[0] not in names]
    return [*headers, (b"connection", b"close")] if _has_body(scope) else headers


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""
