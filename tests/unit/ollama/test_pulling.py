"""`POST /api/pull` on the wire: lines as a real 0.33.0-rc2 sent them, from a registry on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import respx

from ollama_keeper.core.facts import PullEnded, PullFailed
from ollama_keeper.core.reasons import Failure, Unpulled
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.ollama.pulling import STALL_S, VERIFY_S, Pulled
from tests.unit.ollama.asking import Broken, Raw, failure_of
from tests.unit.ollama.conftest import URL

PULL = f"{URL}/api/pull"
BIG, SMALL = "sha256:233498c26d5d", "sha256:fabd33ba7914"
MANIFEST = {"status": "pulling manifest"}
DONE = ({"status": "verifying sha256 digest"}, {"status": "writing manifest"}, {"status": "success"})
Told = list[tuple[int, int]]


def layer(digest: str, completed: int, total: int = 41_943_040) -> dict[str, object]:
    return {"status": f"pulling {digest[7:]}", "digest": digest, "total": total, "completed": completed}


def lines(*documents: object) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


async def pulled(client: OllamaClient, told: Told | None = None) -> PullEnded | PullFailed:
    return await client.pull("tiny", lambda *far: None if told is None else told.append(far))


class Slow(httpx.AsyncByteStream):
    """Parts, each after so many seconds."""

    def __init__(self, *parts: tuple[float, bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for seconds, part in self._parts:
            await asyncio.sleep(seconds)
            yield part


async def test_a_pull_ends_with_success_and_tells_how_far_it_is(make_client: Callable[..., OllamaClient]) -> None:
    told: Told = []
    body = lines(MANIFEST, layer(BIG, 524_288), layer(BIG, 41_943_040), layer(SMALL, 89, 89), *DONE)
    with respx.mock:
        route = respx.post(PULL).respond(200, content=body)
        assert await pulled(make_client(), told) == PullEnded("tiny")
        assert json.loads(route.calls.last.request.content) == {"model": "tiny"}
    assert (524_288, 41_943_040) in told
    assert told[-1] == (41_943_129, 41_943_129)


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_lines_are_read_however_they_are_cut(make_client: Callable[..., OllamaClient], size: int) -> None:
    body = lines(MANIFEST, layer(BIG, 1), *DONE)
    parts = (body[at : at + size] for at in range(0, len(body), size))
    with respx.mock:
        respx.post(PULL).mock(return_value=httpx.Response(200, stream=Raw(*parts)))
        assert await pulled(make_client()) == PullEnded("tiny")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("pull model manifest: file does not exist", Unpulled.NOT_IN_REGISTRY),
        ("pull model manifest: 401: denied", Unpulled.REGISTRY_REFUSED),
        (
            "pull model manifest: 412: The model you are attempting to pull requires a newer version",
            Unpulled.REGISTRY_REFUSED,
        ),
        ("pull model manifest: 500: boom", Unpulled.REGISTRY_UNREACHABLE),
        ("pull model manifest: 429: slow down", Unpulled.REGISTRY_UNREACHABLE),
        (
            'pull model manifest: Get "http://r/v2/x": dial tcp 127.0.0.1:5998: connect: connection refused',
            Unpulled.REGISTRY_UNREACHABLE,
        ),
        (
            'pull model manifest: Get "http://r/v2": proxyconnect tcp: dial tcp 127.0.0.1:9',
            Unpulled.REGISTRY_UNREACHABLE,
        ),
        ('pull model manifest: Get "https://r/v2/x": EOF', Unpulled.REGISTRY_UNREACHABLE),
        ("max retries exceeded: unexpected EOF", Unpulled.REGISTRY_UNREACHABLE),
        ("write /m/blobs/sha256-23-partial: no space left on device", Unpulled.DISK_FULL),
        ("write C:\\m: There is not enough space on the disk.", Unpulled.DISK_FULL),
        ("digest mismatch, file must be downloaded again: want sha256:1, got sha256:2", Unpulled.PULL_FAILED),
    ],
)
async def test_a_failure_of_the_registry_comes_inside_a_200(
    make_client: Callable[..., OllamaClient], said: str, reason: Unpulled
) -> None:
    with respx.mock:
        respx.post(PULL).respond(200, content=lines(MANIFEST, {"error": said}))
        ended = await pulled(make_client())
    assert isinstance(ended, PullFailed)
    assert (ended.reason, ended.detail) == (reason, said)


async def test_what_the_registry_says_is_shown_without_control_characters(
    make_client: Callable[..., OllamaClient],
) -> None:
    with respx.mock:
        respx.post(PULL).respond(200, content=lines(MANIFEST, {"error": "pull: 500: \x1b[31m\nboom" + "x" * 9_999}))
        ended = await pulled(make_client())
    assert isinstance(ended, PullFailed)
    assert ended.detail.isprintable()
    assert len(ended.detail) <= 512


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        pytest.param(200, lines(MANIFEST, layer(BIG, 1)), Failure.RESET, id="a stream that ends without success"),
        pytest.param(200, b"", Failure.RESET, id="an empty answer"),
        pytest.param(200, b"<html>", Failure.NOT_JSON, id="a page of a proxy"),
        pytest.param(200, b"x" * 100_000, Failure.NOT_JSON, id="a line without an end"),
        pytest.param(200, b"[]\n", Failure.BAD_SHAPE, id="lines of another kind"),
        pytest.param(400, lines({"error": "invalid model name"}), Failure.BAD_REQUEST, id="a bad name"),
        pytest.param(404, b"404 page not found", Failure.HTTP_4XX, id="no such path"),
        pytest.param(502, b"bad gateway", Failure.HTTP_5XX, id="a proxy without a server"),
    ],
)
async def test_an_answer_that_is_no_pull_is_an_error(
    make_client: Callable[..., OllamaClient], status: int, body: bytes, reason: Failure
) -> None:
    with respx.mock:
        respx.post(PULL).respond(status, content=body)
        error = await failure_of(pulled(make_client()))
    assert error.reason is reason


async def test_no_way_to_the_server_is_an_error(make_client: Callable[..., OllamaClient]) -> None:
    error = await failure_of(pulled(make_client(transport=Broken(httpx.ConnectError("refused")))))
    assert error.reason is Failure.UNREACHABLE


async def test_there_is_no_limit_while_bytes_come(make_client: Callable[..., OllamaClient]) -> None:
    slow = [(STALL_S - 1, lines(layer(BIG, number))) for number in range(1, 20)]
    with respx.mock:
        respx.post(PULL).mock(return_value=httpx.Response(200, stream=Slow(*slow, (1, lines(*DONE)))))
        assert await pulled(make_client()) == PullEnded("tiny")


async def test_lines_without_more_bytes_are_no_sign_of_life(make_client: Callable[..., OllamaClient]) -> None:
    began = asyncio.get_running_loop().time()
    same = [(10.0, lines(layer(BIG, 1)))] * 100
    with respx.mock:
        respx.post(PULL).mock(return_value=httpx.Response(200, stream=Slow(*same)))
        assert await pulled(make_client()) == PullFailed("tiny", Unpulled.PULL_STALLED)
    assert asyncio.get_running_loop().time() - began == pytest.approx(STALL_S + 10, abs=1)


async def test_a_hash_over_a_large_model_may_take_long(make_client: Callable[..., OllamaClient]) -> None:
    parts = ((0.0, lines(MANIFEST, layer(BIG, 5), DONE[0])), (VERIFY_S - 1, lines(*DONE[1:])))
    with respx.mock:
        respx.post(PULL).mock(return_value=httpx.Response(200, stream=Slow(*parts)))
        assert await pulled(make_client()) == PullEnded("tiny")


def test_layers_add_up_and_nonsense_is_passed_over() -> None:
    far = Pulled()
    assert far.take(layer(BIG, 10, 100))
    assert not far.take(layer(BIG, 10, 100))
    assert far.take(layer(BIG, 20, 100))
    assert far.take(layer(SMALL, 5, 5))
    far.take({"status": "pulling", "digest": 7, "total": "x", "completed": None})
    far.take(layer("sha256:odd", 500, 9))
    assert (far.completed, far.total) == (34, 114)
