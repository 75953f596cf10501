"""Whatever a server answers, a fact or an `OllamaError` comes of it, and nothing else."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from ollama_keeper.core.address import Address
from ollama_keeper.core.facts import Looked, Shown, Tagged
from ollama_keeper.errors import OllamaError
from ollama_keeper.ollama import wire
from ollama_keeper.ollama.classify import load_failure, look_failure, said_failure, show_failure
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.ollama.headers import LONGEST_WAIT_S, clock_skew_s, redirect_host, retry_after_s
from tests.kit.examples import examples
from tests.kit.recorded import all_names, recorded
from tests.kit.virtual import NOON, LoopClock
from tests.unit.ollama.asking import ASKED, URL, Raw
from tests.unit.ollama.loopback import listening

FACTS = (Looked, Tagged, Shown, str, float, type(None))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)
FIELDS = sorted(
    {"models", "name", "model", "digest", "size", "size_vram", "context_length", "expires_at", "version", "details"}
    | {"model_info", "modelfile", "parameters", "capabilities", "done_reason", "embeddings", "error", "message"}
    | {"remote_host", "general.architecture", "format"}
)
WORDS = [
    "qwen3:8b",
    "2318-06-01T00:00:00.123456789Z",
    "0001-01-01T00:00:00Z",
    "load",
    "llama",
    "0.32.15",
    "FROM sha256-",
]
ollama_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=20,
)
objects = st.dictionaries(st.sampled_from(FIELDS), ollama_like, max_size=6)
spoilt = st.builds(
    lambda body, at, junk: body[: at % (len(body) + 1)] + junk + body[at % (len(body) + 1) :],
    st.sampled_from([recorded(name).body.encode() for name in all_names()]),
    st.integers(0, 2**20),
    st.binary(max_size=4),
)
bodies = st.binary() | spoilt | (objects | json_values).map(lambda value: json.dumps(value).encode())
headers = st.dictionaries(
    st.sampled_from(["date", "retry-after", "location", "content-type", "content-encoding"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255)) | st.sampled_from(["gzip", "deflate", "identity"]),
    max_size=3,
)


class Fixed(httpx.AsyncBaseTransport):
    """A network on which every request is answered in the same way."""

    def __init__(self, status: int, head: dict[str, str], body: bytes) -> None:
        self._status, self._body = status, body
        self._head = [(name.encode(), value.encode("latin-1")) for name, value in head.items()]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self._status, headers=self._head, stream=Raw(self._body))


async def outcome(asked: str, client: OllamaClient) -> Any:
    """The fact, or the error."""
    try:
        return await ASKED[asked][2](client)
    except OllamaError as error:
        return error
    finally:
        await client.aclose()


def check(came: Any) -> None:
    assert isinstance(came, (*FACTS, OllamaError))
    if isinstance(came, OllamaError):
        assert str(came).isprintable()
        assert came.detail or came.hint
        assert len(came.detail) <= 512


@given(asked=st.sampled_from(sorted(ASKED)), status=st.integers(200, 599), head=headers, body=bodies)
@example(asked="look", status=200, head={}, body=b'{"models":[{"name":"a","expires_at":"9999-12-31T23:59:59-14:00"}]}')
@example(asked="load", status=200, head={}, body=b'{"error":"\\ud800"}')
@example(asked="probe", status=200, head={}, body=b'{"done":true,"total_duration":1' + b"0" * 400 + b"}")
@example(asked="look", status=200, head={"content-encoding": "gzip"}, body=b"\x1f\x8b")
@examples(400)
def test_any_answer_is_a_fact_or_an_error(asked: str, status: int, head: dict[str, str], body: bytes) -> None:
    client = OllamaClient(Address("gpu", URL), transport=Fixed(status, head, body), clock=LoopClock())
    check(asyncio.run(outcome(asked, client)))


@given(asked=st.sampled_from(["look", "load"]), sent=st.binary(max_size=300), proper=st.booleans())
@example(asked="look", sent=b"HTTP/1.1 101 Switching Protocols\r\n\r\n", proper=False)
@example(asked="look", sent=b"HTTP/1.1 100 Continue\r\n\r\n", proper=False)
@example(asked="look", sent=b"HTTP/1.1 304 Not Modified\r\n\r\n", proper=False)
@example(asked="look", sent=b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", proper=False)
@example(asked="load", sent=b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}", proper=False)
@examples(60, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_on_a_socket_are_a_fact_or_an_error(asked: str, sent: bytes, proper: bool) -> None:
    async def answer(peer: Any, _: Any) -> None:
        await peer.question()
        await peer.send(b"HTTP/1.1 200 OK\r\n" * proper + sent)

    async def ask() -> Any:
        async with listening(answer) as server:
            return await outcome(asked, OllamaClient(Address("gpu", server.url)))

    check(asyncio.run(ask()))


# --- the parts --------------------------------------------------------------------------------------------------------


@given(objects)
def test_whatever_is_listed_can_be_reckoned_with(document: dict[str, Any]) -> None:
    try:
        models, skipped = wire.parse_ps(document)
    except wire.BadShape:
        assert not isinstance(document.get("models"), list)
        return
    assert len(models) + skipped == len(document["models"])
    for entry in models:
        assert 0 <= entry.size < 2**63
        assert 0 <= entry.size_vram < 2**63
        assert entry.context_length is None or entry.context_length > 0
        assert entry.expires_at.tzinfo is UTC
        entry.expires_at - timedelta(days=366 * 300)  # neither may overflow
        entry.expires_at + timedelta(days=366 * 300)


@given(st.datetimes(), st.integers(0, 999_999_999), st.integers(-899, 899))
def test_every_date_that_go_writes_is_read(moment: datetime, nanoseconds: int, zone_min: int) -> None:
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    sign, (hours, minutes) = "-" if zone_min < 0 else "+", divmod(abs(zone_min), 60)
    text = f"{moment:%Y}".zfill(4) + f"-{moment:%m-%dT%H:%M:%S}{fraction}{sign}{hours:02}:{minutes:02}"
    read = wire.parse_instant(text)
    assert wire.EARLIEST <= read <= wire.LATEST
    if 1971 < moment.year < 8_999:
        exact = moment.replace(microsecond=nanoseconds // 1_000, tzinfo=UTC) - timedelta(minutes=zone_min)
        assert read == exact


@given(st.integers(300, 599), st.binary() | spoilt, st.booleans())
def test_every_refusal_has_a_reason(status: int, body: bytes, waits: bool) -> None:
    for why in (look_failure, show_failure, load_failure):
        assert why(status, body, asked_to_wait=waits)


@given(st.text())
def test_everything_that_ollama_may_say_has_a_reason(text: str) -> None:
    assert said_failure(text)


@given(st.text())
def test_every_header_is_understood_or_passed_over(text: str) -> None:
    waits_s = retry_after_s({"retry-after": text}, NOON)
    assert waits_s is None or 0.0 <= waits_s <= LONGEST_WAIT_S
    skew_s = clock_skew_s({"date": text}, NOON)
    assert skew_s is None or abs(skew_s) < 10 * 366 * 86_400
    assert redirect_host({"location": text})
