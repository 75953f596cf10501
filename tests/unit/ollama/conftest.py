"""A client of one server; async tests here run in virtual time, so that a silent server costs nothing."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from ollama_keeper.core.address import Address
from ollama_keeper.ollama.client import OllamaClient
from tests.kit.plugin import pytest_asyncio_loop_factories
from tests.kit.virtual import LoopClock

__all__ = ["make_client", "pytest_asyncio_loop_factories"]

URL = "http://127.0.0.1:11434"


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[..., OllamaClient]]:
    """Makes clients of the server `gpu`, with the attributes of `Address`; they are closed after the test."""
    made: list[OllamaClient] = []

    def make(url: str = URL, transport: httpx.AsyncBaseTransport | None = None, **address: Any) -> OllamaClient:
        made.append(OllamaClient(Address("gpu", url, **address), transport=transport, clock=LoopClock()))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
async def client(make_client: Callable[..., OllamaClient]) -> OllamaClient:
    """A client of the server `gpu` at the usual address."""
    return make_client()
