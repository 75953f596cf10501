"""The failure table: what a server, a proxy or the network answers, and the reason that becomes of it."""

import gzip
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import respx

from ollama_keeper.core.reasons import Failure
from ollama_keeper.errors import BadAnswer, OllamaError, Refused, Unreachable
from ollama_keeper.ollama import classify
from ollama_keeper.ollama.client import OllamaClient
from tests.unit.ollama.asking import ASKED, Broken, Raw, failure_of, url_of

PAGE = "<html>\n<head><title>502 Bad Gateway</title></head>\x1b[31m<body>nginx</body></html>"
PROXY = "a proxy"
DIED = "an error was encountered while running the model: unexpected EOF"
PS = {"models": []}
MIB = 2**20


@dataclass(frozen=True)
class Answered:
    """One row: what `asked` is answered with, and the failure that must become of it.

    A body that takes long to make is a function, called where the row is tried.
    """

    asked: str
    status: int
    body: Any
    reason: Failure
    detail: str = ""
    hint: str = ""
    kind: type[OllamaError] = BadAnswer
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> httpx.Response:
        body = self.body() if callable(self.body) else self.body
        if isinstance(body, dict):
            body = json.dumps(body)
        parts = body if isinstance(body, tuple) else (body.encode() if isinstance(body, str) else body,)
        return httpx.Response(self.status, headers=self.headers, stream=Raw(*parts))


def said(text: str) -> dict[str, str]:
    return {"error": text}


ANSWERS = {
    "a redirect of a look": Answered(
        "look",
        301,
        "",
        Failure.REDIRECT,
        "to other.example",
        headers={"location": "https://me:pw@other.example/x?key=k"},
    ),
    "a redirect of a load": Answered("load", 307, "", Failure.REDIRECT, headers={"location": "/elsewhere"}),
    "a redirect to nonsense": Answered("look", 302, "", Failure.REDIRECT, headers={"location": "http://[::"}),
    "400 to a look": Answered("look", 400, "Bad Request", Failure.HTTP_4XX, "Bad Request", PROXY),
    "400 of a proxy to a load": Answered("load", 400, "Bad Request", Failure.HTTP_4XX, "Bad Request", PROXY),
    "400 of Ollama to a load": Answered(
        "load", 400, said("invalid model name"), Failure.BAD_REQUEST, "invalid model name", kind=Refused
    ),
    "401": Answered("look", 401, "Unauthorized", Failure.HTTP_4XX, "Unauthorized", "token_file"),
    "401 in the shape of Ollama": Answered(
        "load", 401, said("unauthorized"), Failure.HTTP_4XX, "unauthorized", "token_file"
    ),
    "403 without a body": Answered("look", 403, "", Failure.HOST_REJECTED, "403", "OLLAMA_HOST"),
    "403 with a text": Answered("look", 403, "forbidden", Failure.HTTP_4XX, "forbidden", "OLLAMA_ORIGINS"),
    "403 for a cloud model": Answered(
        "load", 403, said("ollama cloud is disabled"), Failure.HTTP_4XX, "cloud is disabled"
    ),
    "404 of Ollama to a load": Answered(
        "load", 404, said("model 'qwen3:8b' not found"), Failure.NOT_FOUND, "not found", kind=Refused
    ),
    "404 of Ollama to an embedder's load": Answered(
        "load an embedder", 404, said('model "bge-m3" not found, try pulling it first'), Failure.NOT_FOUND, kind=Refused
    ),
    "404 of Ollama to show": Answered("show", 404, said("model 'x:latest' not found"), Failure.NOT_FOUND, kind=Refused),
    "404 of a proxy to show": Answered(
        "show", 404, "404 page not found", Failure.HTTP_4XX, hint="not an Ollama server"
    ),
    "404 of a proxy to a load": Answered("load", 404, said("route not found"), Failure.HTTP_4XX, "route not found"),
    "404 to a look": Answered("look", 404, "404 page not found", Failure.HTTP_4XX, hint="not an Ollama server"),
    "405": Answered("look", 405, "405 method not allowed", Failure.HTTP_4XX, "405"),
    "407 of a proxy": Answered("look", 407, "", Failure.HTTP_4XX, "407", "name and a password"),
    "429 to a look": Answered("look", 429, "slow down", Failure.HTTP_429, "slow down", "fewer requests"),
    "429 to a load": Answered("load", 429, said("slow down"), Failure.HTTP_429, "slow down", "fewer requests"),
    "500 to a look": Answered("look", 500, said("boom"), Failure.HTTP_5XX, "boom"),
    "500 of a proxy to a load": Answered("load", 500, PAGE, Failure.HTTP_5XX, "HTTP 500: <html>"),
    "out of memory": Answered(
        "load",
        500,
        said("llama-server process has terminated: cudaMalloc failed: out of memory"),
        Failure.OUT_OF_MEMORY,
    ),
    "out of memory, before 0.30": Answered(
        "load", 500, said("model requires more system memory (9 GiB) than is available (2 GiB)"), Failure.OUT_OF_MEMORY
    ),
    "out of memory, MLX": Answered(
        "load", 500, said("model requires 9 GiB but only 2 GiB are available"), Failure.OUT_OF_MEMORY
    ),
    "a runner that died": Answered("load", 500, said(DIED), Failure.RUNNER_DIED, DIED),
    "a load that stalled": Answered(
        "load", 500, said("timed out waiting for llama-server to start - "), Failure.LOAD_STALLED, "timed out waiting"
    ),
    "an option of the wrong type": Answered(
        "load", 500, said('option "num_ctx" must be of type integer'), Failure.BAD_REQUEST, "num_ctx", kind=Refused
    ),
    "a load that failed otherwise": Answered(
        "load", 500, said("llama-server process has terminated: exit status 1"), Failure.LOAD_FAILED, "exit status 1"
    ),
    "an error without words": Answered("load", 500, said(""), Failure.LOAD_FAILED, "HTTP 500"),
    "502 of a proxy": Answered("look", 502, PAGE, Failure.HTTP_5XX, "502 Bad Gateway", "ollama serve"),
    "502 of a proxy to a load": Answered("load", 502, PAGE, Failure.HTTP_5XX, "502 Bad Gateway", "ollama serve"),
    "503, queue full": Answered(
        "load", 503, said("server busy, please try again.  maximum pending requests exceeded"), Failure.SERVER_BUSY
    ),
    "503, queue full, of a look": Answered(
        "look", 503, said("server busy, please try again.  maximum pending requests exceeded"), Failure.SERVER_BUSY
    ),
    "503 of a proxy": Answered("look", 503, PAGE, Failure.HTTP_5XX, hint="ollama serve"),
    "503 of a proxy to a load": Answered("load", 503, PAGE, Failure.HTTP_5XX, hint="ollama serve"),
    "503 of a proxy that asks to wait": Answered("look", 503, PAGE, Failure.SERVER_BUSY, headers={"retry-after": "30"}),
    "504 of a proxy": Answered("look", 504, PAGE, Failure.HTTP_5XX, hint="takes too long"),
    "a page instead of a list": Answered("look", 200, PAGE, Failure.NOT_JSON, "<title>", PROXY),
    "a page instead of a load": Answered("load", 200, PAGE, Failure.NOT_JSON, "<title>", PROXY),
    "nothing": Answered("look", 200, "", Failure.NOT_JSON, "without a body"),
    "nothing to a load": Answered("load", 200, "", Failure.NOT_JSON, "without a body"),
    "204": Answered("tags", 204, "", Failure.NOT_JSON, "without a body"),
    "truncated JSON": Answered("look", 200, '{"models":[', Failure.NOT_JSON, '{"models":['),
    "two lines": Answered("look", 200, '{"models":[]}\n{"models":[]}', Failure.NOT_JSON),
    "a byte order mark": Answered("look", 200, b'\xef\xbb\xbf{"models":[]}', Failure.NOT_JSON),
    "UTF-16": Answered("look", 200, json.dumps(PS).encode("utf-16"), Failure.NOT_JSON),
    "what is nested too deeply": Answered("look", 200, "[" * 200_000, Failure.NOT_JSON),
    "a number of too many digits": Answered("look", 200, '{"models":[],"n":' + "1" * 9_000 + "}", Failure.NOT_JSON),
    "a list": Answered("look", 200, "[]", Failure.BAD_SHAPE, "a JSON list"),
    "no models": Answered("look", 200, {}, Failure.BAD_SHAPE, 'no list "models"'),
    "models null": Answered("tags", 200, {"models": None}, Failure.BAD_SHAPE, 'no list "models"'),
    "no version": Answered("version", 200, {"version": 3}, Failure.BAD_SHAPE, "no version"),
    "a version of another program": Answered("version", 200, {"version": "main"}, Failure.BAD_SHAPE, "no version"),
    "show without details": Answered("show", 200, {"details": None}, Failure.BAD_SHAPE, "details"),
    "a load that generated": Answered("load", 200, {"done": True, "done_reason": "stop"}, Failure.BAD_SHAPE, "'stop'"),
    "a load that unloaded": Answered("load", 200, {"done_reason": "unload"}, Failure.BAD_SHAPE, "'unload'"),
    "an embedder that computed": Answered("load an embedder", 200, {"embeddings": [[0.1]]}, Failure.BAD_SHAPE),
    "an error inside a 200, before 0.12.6": Answered("load", 200, said(DIED), Failure.RUNNER_DIED, DIED),
    "an error at the end of a stream": Answered(
        "load", 200, '{"response":"","done":false}\n{"error":"CUDA error: out of memory"}\n', Failure.OUT_OF_MEMORY
    ),
    "not found inside a 200": Answered(
        "load", 200, said("model 'qwen3:8b' not found"), Failure.NOT_FOUND, kind=Refused
    ),
    "a probe without an end": Answered("probe", 200, {"response": ""}, Failure.BAD_SHAPE, "without a token"),
    "a probe of a dead runner": Answered("probe", 500, said(DIED), Failure.RUNNER_DIED, DIED),
    "a probe of a queue that is full": Answered("probe", 503, said("server busy"), Failure.SERVER_BUSY, "server busy"),
    "more than 4 MiB": Answered("look", 200, (b" " * MIB,) * 5, Failure.TOO_LARGE, hint="4 MiB"),
    "a load with more than 4 MiB": Answered("load", 200, (b" " * MIB,) * 5, Failure.TOO_LARGE, hint="4 MiB"),
    "a refusal with more than 4 MiB": Answered("look", 502, (b"x" * MIB,) * 5, Failure.HTTP_5XX, "xxx"),
    "a gzip bomb": Answered(
        "look", 200, lambda: gzip.compress(b" " * 64 * MIB), Failure.TOO_LARGE, headers={"content-encoding": "gzip"}
    ),
    "a gzip bomb as a refusal": Answered(
        "look", 502, lambda: gzip.compress(b"x" * 64 * MIB), Failure.HTTP_5XX, headers={"content-encoding": "gzip"}
    ),
    "packed badly": Answered(
        "look", 200, b"\x00\x01", Failure.NOT_JSON, "unpacked", headers={"content-encoding": "gzip"}
    ),
    "packed as nobody asked": Answered("load", 200, b"?", Failure.NOT_JSON, "'br'", headers={"content-encoding": "br"}),
    "a refusal packed badly": Answered(
        "load", 503, b"?", Failure.HTTP_5XX, "without a body", headers={"content-encoding": "br"}
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=name.replace(" ", "-")) for name, row in ANSWERS.items()])
async def test_an_answer_becomes_a_failure_with_its_reason(row: Answered, client: OllamaClient) -> None:
    with respx.mock:
        route = respx.route(method=ASKED[row.asked][0], url=url_of(row.asked)).mock(return_value=row.response())
        error = await failure_of(ASKED[row.asked][2](client))
    assert (error.reason, type(error), error.status) == (row.reason, row.kind, row.status)
    assert row.detail in error.detail
    assert row.hint in error.hint
    assert len(error.detail) <= 512
    assert route.call_count == 1
    assert "pw" not in str(error)


def caused(error: Exception, *causes: BaseException) -> Exception:
    """An exception with its causes, the nearest first."""
    below: BaseException = error
    for cause in causes:
        below.__cause__ = cause
        below = cause
    return error


def both(first: OSError, second: OSError) -> OSError:
    """Neither address of a host can be connected to."""
    error = OSError("All connection attempts failed")
    error.__cause__ = ExceptionGroup("multiple connection attempts failed", [first, second])
    return error


REFUSED = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 11434)")
NO_ROUTE = OSError(101, "Network is unreachable")
RESET = ConnectionResetError(104, "Connection reset by peer")
BROKEN = {
    "no such name": (
        caused(httpx.ConnectError("x"), socket.gaierror(-2, "Name not known")),
        Failure.DNS,
        "Name not known",
    ),
    "a name that cannot be one": (UnicodeError("label too long"), Failure.DNS, "label too long"),
    "nothing listens": (
        caused(httpx.ConnectError("x"), OSError("x"), REFUSED),
        Failure.CONNECT_REFUSED,
        "Connect call",
    ),
    "neither address": (
        caused(httpx.ConnectError("x"), both(NO_ROUTE, REFUSED)),
        Failure.CONNECT_REFUSED,
        "unreachable",
    ),
    "no route": (caused(httpx.ConnectError("x"), NO_ROUTE), Failure.UNREACHABLE, "Network is unreachable"),
    "connect error without words": (httpx.ConnectError(""), Failure.UNREACHABLE, "ConnectError"),
    "no connection in time": (httpx.ConnectTimeout(""), Failure.CONNECT_TIMEOUT, "no connection within 3 s"),
    "no slot in time": (httpx.PoolTimeout(""), Failure.CONNECT_TIMEOUT, "no connection within 3 s"),
    "reset while connecting": (caused(httpx.ConnectError("x"), RESET), Failure.RESET, "reset by peer"),
    "reset": (caused(httpx.ReadError(""), RESET), Failure.RESET, "reset by peer"),
    "write error": (httpx.WriteError(""), Failure.RESET, "WriteError"),
    "closed without an answer": (
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        Failure.RESET,
        "disconnected",
    ),
    "closed in mid-body": (
        httpx.RemoteProtocolError(
            "peer closed connection without sending complete message body (incomplete chunked read)"
        ),
        Failure.RESET,
        "incomplete chunked read",
    ),
    "not HTTP": (httpx.RemoteProtocolError("illegal status line: bytearray(b'SSH-2.0')"), Failure.NOT_JSON, "SSH-2.0"),
    "no TLS": (
        caused(httpx.ConnectError("x"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")),
        Failure.TLS,
        "WRONG_VERSION_NUMBER",
    ),
    "no whole answer in time": (httpx.ReadTimeout(""), Failure.READ_TIMEOUT, "no whole answer within 15 s"),
    "question not taken in time": (httpx.WriteTimeout(""), Failure.READ_TIMEOUT, "no whole answer within 15 s"),
    "a tunnel refused": (httpx.ProxyError("407 Proxy Authentication Required"), Failure.HTTP_4XX, "407"),
    "a tunnel that leads nowhere": (httpx.ProxyError("503 Service Unavailable"), Failure.HTTP_5XX, "503"),
    "a tunnel that breaks": (httpx.ProxyError("who knows"), Failure.UNREACHABLE, "who knows"),
}


@pytest.mark.parametrize("asked", ["look", "load"])
@pytest.mark.parametrize(
    ("error", "reason", "detail"), [pytest.param(*row, id=name.replace(" ", "-")) for name, row in BROKEN.items()]
)
async def test_a_broken_exchange_becomes_unreachable_with_its_reason(
    asked: str, error: Exception, reason: Failure, detail: str, make_client: Callable[..., OllamaClient]
) -> None:
    failure = await failure_of(ASKED[asked][2](make_client(transport=Broken(error))))
    assert (failure.reason, type(failure)) == (reason, Unreachable)
    assert detail in failure.detail or (asked == "load" and reason is Failure.READ_TIMEOUT)
    assert failure.hint
    assert isinstance(failure.__cause__, type(error))


def test_every_failure_that_a_client_can_meet_has_a_row() -> None:
    met = {row.reason for row in ANSWERS.values()} | {reason for _, reason, _ in BROKEN.values()}
    assert met == set(Failure) - {Failure.LOAD_TIMEOUT}, "the shell alone ends a load for its time"


BASES = {"HTTPError", "RequestError", "TransportError", "ProtocolError", "StreamError"}
OUR_OWN = {"CookieConflict", "StreamConsumed", "StreamClosed", "ResponseNotRead", "RequestNotRead"}


def exceptions_of_httpx() -> list[type[Exception]]:
    return [kind for kind in vars(httpx).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", exceptions_of_httpx(), ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_has_a_reason(kind: type[Exception]) -> None:
    """A new release may bring one more; those that only wrong code of ours can cause are named here."""
    known = {base.__name__ for base in kind.__mro__} & set(classify.TRANSPORT)
    assert known or kind.__name__ in BASES | OUR_OWN


@pytest.mark.parametrize("name", sorted(classify.TRANSPORT))
def test_the_table_of_exceptions_names_only_what_there_is(name: str) -> None:
    builtin = {"TimeoutError": TimeoutError, "SSLError": ssl.SSLError, "OSError": OSError, "UnicodeError": UnicodeError}
    assert hasattr(httpx, name) or name in builtin


@pytest.mark.parametrize("error", [httpx.TransportError("?"), httpx.StreamClosed(), httpx.InvalidURL("?")], ids=repr)
def test_an_exception_that_is_in_no_table_is_unreachable(error: Exception) -> None:
    assert classify.transport_failure(error) is Failure.UNREACHABLE


@pytest.mark.parametrize(
    ("text", "waits_s"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("Tue, 24 Nov 2026 12:01:00 GMT", 60.0),
        ("86400", 3_600.0),
        ("soon", None),
        ("-5", None),
    ],
)
@pytest.mark.parametrize("asked", ["look", "load"])
async def test_retry_after_is_told(asked: str, text: str, waits_s: float | None, client: OllamaClient) -> None:
    with respx.mock:
        respx.route(url=url_of(asked)).respond(429, headers={"retry-after": text}, text="slow down")
        error = await failure_of(ASKED[asked][2](client))
    assert (error.reason, error.retry_after_s) == (Failure.HTTP_429, waits_s)


@pytest.mark.parametrize("asked", ASKED)
async def test_errors_name_the_server_and_what_was_asked(asked: str, client: OllamaClient) -> None:
    with respx.mock:
        respx.route(url=url_of(asked)).respond(502)
        error = await failure_of(ASKED[asked][2](client))
    named = {
        "show": "show qwen3:8b",
        "load": "warm qwen3:8b",
        "load an embedder": "warm bge-m3",
        "probe": "probe qwen3:8b",
    }
    assert (error.server, error.operation) == ("gpu", named.get(asked, asked))


async def test_a_pool_without_slots_is_replaced_and_the_next_look_succeeds(client: OllamaClient) -> None:
    with respx.mock:
        respx.get(url_of("look")).mock(side_effect=[httpx.PoolTimeout(""), httpx.Response(200, json=PS)])
        assert (await failure_of(client.look())).reason is Failure.CONNECT_TIMEOUT
        assert (await client.look()).models == ()


# --- secrets ----------------------------------------------------------------------------------------------------------

TOKEN, PASSWORD, KEY = "s3cr3t-t0ken", "pr%40xy-pass", "tenant-key-1"


@pytest.fixture
def entrusted(make_client: Callable[..., OllamaClient], tmp_path: Any) -> OllamaClient:
    """A client with every kind of secret."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return make_client(
        token_file=tmp_path / "token", headers=(("X-Key", KEY),), proxy=f"http://me:{PASSWORD}@127.0.0.1:3128"
    )


@pytest.mark.parametrize("asked", ["look", "show", "load"])
@pytest.mark.parametrize("status", [200, 302, 400, 401, 500, 502])
async def test_what_a_server_sends_back_of_our_secrets_is_hidden(
    asked: str, status: int, entrusted: OllamaClient
) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        sent = [f"{name}: {value}" for name, value in request.headers.items()]
        text = " ".join(["x" * 190, *sent, "pr@xy-pass", PASSWORD, "bWU6cHJAeHktcGFzcw=="])
        return httpx.Response(status, json=said(text) if status in {400, 500} else text)

    with respx.mock:
        respx.route(url=url_of(asked)).mock(side_effect=echo)
        error = await failure_of(ASKED[asked][2](entrusted))
    told = f"{error!r} {error} {error.detail} {error.hint}"
    for secret in (TOKEN, PASSWORD, "pr@xy-pass", KEY, "bWU6cHJAeHktcGFzcw==", TOKEN[:6]):
        assert secret not in told


async def test_a_token_and_the_configured_headers_go_with_every_request(entrusted: OllamaClient) -> None:
    with respx.mock:
        routes = [respx.route(url=url_of(asked)).respond(502) for asked in ASKED]
        for _, _, ask in ASKED.values():
            await failure_of(ask(entrusted))
    for route in routes:
        sent = route.calls.last.request.headers
        assert (sent["authorization"], sent["x-key"]) == (f"Bearer {TOKEN}", KEY)
        assert sent["accept-encoding"] == "identity"
        assert sent["user-agent"].startswith("ollama-keeper/")
