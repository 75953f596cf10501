"""What the tests ask of a client, and how they tell what came of it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from ollama_keeper.core.facts import Kind, LoadRequest, ProbeRequest, Send
from ollama_keeper.errors import OllamaError
from ollama_keeper.ollama.client import OllamaClient
from tests.unit.ollama.conftest import URL

WARM = LoadRequest(Send.WARM, "qwen3:8b", Kind.COMPLETION, -1)
WARM_EMBEDDER = LoadRequest(Send.WARM, "bge-m3", Kind.EMBEDDER, -1)
PROBE = ProbeRequest("qwen3:8b", Kind.COMPLETION)

ASKED: dict[str, tuple[str, str, Callable[[OllamaClient], Awaitable[object]]]] = {
    "look": ("GET", "/api/ps", lambda client: client.look()),
    "version": ("GET", "/api/version", lambda client: client.version()),
    "tags": ("GET", "/api/tags", lambda client: client.tags()),
    "show": ("POST", "/api/show", lambda client: client.show("qwen3:8b")),
    "load": ("POST", "/api/generate", lambda client: client.load(WARM)),
    "load an embedder": ("POST", "/api/embed", lambda client: client.load(WARM_EMBEDDER)),
    "probe": ("POST", "/api/generate", lambda client: client.probe(PROBE, 60.0)),
}
"""Method, path and call, by name."""


class Raw(httpx.AsyncByteStream):
    """A body as it comes in, which httpx does not touch on its way into a test."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = iter(parts)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for part in self._parts:
            return part
        raise StopAsyncIteration


class Broken(httpx.AsyncBaseTransport):
    """A network on which every request fails in the same way, with the causes that the error has."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self._error


async def failure_of(asked: Awaitable[object]) -> OllamaError:
    """The error of a question that fails; it is never wordless, and never more than a line."""
    with pytest.raises(OllamaError) as raised:
        await asked
    error = raised.value
    assert str(error).startswith(f"{error.server}: {error.operation}: {error.reason.value}")
    assert str(error).isprintable()
    assert error.detail or error.hint
    return error


def url_of(asked: str, server: str = URL) -> str:
    """Where a question goes."""
    return server + ASKED[asked][1]
