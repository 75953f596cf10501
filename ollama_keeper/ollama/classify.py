"""Status, body and exceptions into the closed list of failures (CONTRACT 4), with what an operator can do about each.

A failure is Ollama's own only if it has Ollama's shape, `{"error": text}`: a proxy's "404 page not found" says nothing
of a model, and its 400 nothing of a request.
"""

import re
from collections.abc import Iterator

from ollama_keeper.core.reasons import Failure
from ollama_keeper.ollama.wire import error_text

_OUT_OF_MEMORY = re.compile(
    r"out[ _-]?of[ _-]?(?:device|host)?[ _-]?memory|insufficient memory|requires more system memory"
    r"|cannot allocate memory|(?:unable|failed) to allocate|cudaMalloc failed|bad_alloc"
    r"|model requires .+ but only .+ (?:are|is) available",
    re.IGNORECASE,
)
_TEXTS: tuple[tuple[re.Pattern[str], Failure], ...] = (
    (_OUT_OF_MEMORY, Failure.OUT_OF_MEMORY),
    (re.compile(r"timed out waiting"), Failure.LOAD_STALLED),
    (re.compile(r"while running the model|unexpectedly stopped"), Failure.RUNNER_DIED),
    (re.compile(r'option "[^"]+" must be of type'), Failure.BAD_REQUEST),
    (re.compile(r"maximum pending requests exceeded"), Failure.SERVER_BUSY),
)
"""What Ollama says when a load fails (OLLAMA.md 7), the first that fits: runners die for want of memory, too."""

_TLS_PORT = re.compile(rb"HTTP request (?:was sent )?to (?:an )?HTTPS")  # as Go and nginx answer a plain request there
_NO_SUCH_MODEL = re.compile(r"\bmodel\b.*\bnot found\b", re.DOTALL)


def look_failure(status: int, body: bytes, *, asked_to_wait: bool = False) -> Failure:
    """Why a look, or any other question, that was answered with `status` gave no answer.

    Args:
        status: anything but 2xx.
        body: as it came, cut to the cap.
        asked_to_wait: there was a `Retry-After`; with a 503 that is a busy server, not a broken one.
    """
    if 300 <= status < 400:
        return Failure.REDIRECT
    if status == 400 and _TLS_PORT.search(body):
        return Failure.TLS
    if status == 429:
        return Failure.HTTP_429
    if status == 403 and not body.strip():
        return Failure.HOST_REJECTED
    if status == 503 and (asked_to_wait or b"maximum pending requests" in body):
        return Failure.SERVER_BUSY
    return Failure.HTTP_4XX if status < 500 else Failure.HTTP_5XX


def show_failure(status: int, body: bytes, *, asked_to_wait: bool = False) -> Failure:
    """Why `/api/show` gave no answer: the model is not pulled, its name is bad, or as a look."""
    said = error_text(body)
    if said is not None and status == 404 and _NO_SUCH_MODEL.search(said):
        return Failure.NOT_FOUND
    if said is not None and status == 400:
        return Failure.BAD_REQUEST
    return look_failure(status, body, asked_to_wait=asked_to_wait)


def load_failure(status: int, body: bytes, *, asked_to_wait: bool = False) -> Failure:
    """Why a load that was answered with `status`, other than 2xx, failed."""
    said = error_text(body)
    if said is not None and status == 503:
        return Failure.SERVER_BUSY
    if said is not None and status == 500:
        return said_failure(said)
    return show_failure(status, body, asked_to_wait=asked_to_wait)


def said_failure(said: str) -> Failure:
    """Why a load failed, by Ollama's own words alone: those of a 500, or of an error inside a 200 (before 0.12.6)."""
    if _NO_SUCH_MODEL.search(said):
        return Failure.NOT_FOUND
    return next((failure for text, failure in _TEXTS if text.search(said)), Failure.LOAD_FAILED)


def transport_failure(error: BaseException) -> Failure:
    """The reason of an exception that left no answer, by its kind; while connecting, by its deepest known cause."""
    kind = _looked_up(error, TRANSPORT)
    if kind == Failure.UNREACHABLE:
        return next((known for cause in causes(error) if (known := _looked_up(cause, CONNECTING))), kind)
    if type(error).__name__ == "RemoteProtocolError" and not _CUT.search(str(error)):
        return Failure.NOT_JSON
    return kind or Failure.UNREACHABLE


def tunnel_status(error: BaseException) -> int | None:
    """The status with which a proxy refused to connect to an https server, such as 407; None for all other errors."""
    found = _STATUS.match(str(error)) if type(error).__name__ == "ProxyError" else None
    return int(found[0]) if found else None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes, the deepest first; members of groups included (both address families failed).

    httpcore raises anew without a cause, and keeps what it wraps as an argument. What was merely being handled when an
    error was raised is no cause: a failed look may be asked again while another is.
    """
    if error is None:
        return
    yield from causes(error.__cause__)
    for wrapped in error.args:
        if isinstance(wrapped, BaseException):
            yield from causes(wrapped)
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from causes(member)
    yield error


def _looked_up(error: BaseException, table: dict[str, Failure]) -> Failure | None:
    return next((table[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in table), None)


_CUT = re.compile(r"disconnected|peer closed")
_STATUS = re.compile(r"[1-5][0-9]{2}\b", re.ASCII)

TRANSPORT: dict[str, Failure] = {
    "ConnectTimeout": Failure.CONNECT_TIMEOUT,
    "PoolTimeout": Failure.CONNECT_TIMEOUT,
    "TimeoutException": Failure.READ_TIMEOUT,
    "TimeoutError": Failure.READ_TIMEOUT,
    "ConnectError": Failure.UNREACHABLE,
    "NetworkError": Failure.RESET,
    "RemoteProtocolError": Failure.RESET,
    "LocalProtocolError": Failure.UNREACHABLE,
    "ProxyError": Failure.UNREACHABLE,
    "UnsupportedProtocol": Failure.UNREACHABLE,
    "InvalidURL": Failure.UNREACHABLE,
    "DecodingError": Failure.NOT_JSON,
    "TooManyRedirects": Failure.REDIRECT,
    "HTTPStatusError": Failure.HTTP_5XX,
    "SSLError": Failure.RESET,
    "OSError": Failure.UNREACHABLE,
    "UnicodeError": Failure.DNS,
}
"""Reasons by the name of an exception or of its nearest base: by name, so that the client alone imports httpx.

A test holds it complete over all of httpx's exceptions. TLS that breaks after the handshake is a cut connection.
"""

CONNECTING: dict[str, Failure] = {
    "SSLError": Failure.TLS,
    "gaierror": Failure.DNS,
    "UnicodeError": Failure.DNS,
    "ConnectionRefusedError": Failure.CONNECT_REFUSED,
    "ConnectionError": Failure.RESET,
    "EndOfStream": Failure.RESET,
    "BrokenResourceError": Failure.RESET,
}
"""Reasons of a connection that did not come about, by the name of a cause or of its nearest base."""


def hint_for(reason: Failure, status: int | None = None) -> str:
    """What an operator can do; empty where Ollama's own words say more."""
    return _STATUS_HINTS.get((reason, status), "") or _HINTS.get(reason, "")


_STATUS_HINTS: dict[tuple[Failure, int | None], str] = {
    (Failure.HTTP_4XX, 401): "a proxy asks for a token, and it is missing or wrong; see token_file",
    (
        Failure.HTTP_4XX,
        403,
    ): "a proxy, or OLLAMA_ORIGINS on the server, refuses this request; see token_file and headers",
    (Failure.HTTP_4XX, 404): "this is not an Ollama server, or the path in its URL is wrong",
    (Failure.HTTP_4XX, 407): "the proxy asks for a name and a password; write them into its URL",
    (Failure.HTTP_5XX, 502): "a proxy answered that it does not reach Ollama; is it running? (ollama serve)",
    (Failure.HTTP_5XX, 503): "a proxy answered that Ollama is not available; is it running? (ollama serve)",
    (Failure.HTTP_5XX, 504): "a proxy answered that Ollama takes too long; give it a longer read timeout",
}
_HINTS: dict[Failure, str] = {
    Failure.DNS: "the resolver does not know that name, or does not answer; check the URL",
    Failure.CONNECT_REFUSED: "nothing listens there; is Ollama running? (ollama serve)",
    Failure.UNREACHABLE: "there is no way to that host; check URL, network, firewall and proxy",
    Failure.CONNECT_TIMEOUT: "the host does not answer; check its address and the firewall",
    Failure.RESET: "the connection was cut; Ollama may have ended or restarted",
    Failure.TLS: "check the certificate, its dates and name (ca_file names an authority), and http or https in the URL",
    Failure.READ_TIMEOUT: "connected, but no whole answer in time; Ollama may be starting, loaded or frozen",
    Failure.HTTP_4XX: "a proxy, or another program, answers there; check the URL",
    Failure.HTTP_429: "a proxy asks for fewer requests; raise interval, or its limit",
    Failure.HTTP_5XX: "a failure of the server, or of a proxy before it; see its log",
    Failure.REDIRECT: "redirects are never followed; write the URL that it leads to",
    Failure.NOT_JSON: "this is not an Ollama server, or a proxy answered in its place, or https belongs in the URL",
    Failure.BAD_SHAPE: "this is not an Ollama server, or one of an unknown kind",
    Failure.TOO_LARGE: "more than 4 MiB: this is not an Ollama server",
    Failure.HOST_REJECTED: "Ollama refuses this Host name; write its IP address, or start it with OLLAMA_HOST=0.0.0.0",
    Failure.SERVER_BUSY: "Ollama's queue is full (OLLAMA_MAX_QUEUE), or a proxy asks to wait",
}
