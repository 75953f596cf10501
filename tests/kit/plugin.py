"""Fixtures and the loop for tests in virtual time; a directory's conftest imports what it wants of them."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import httpx
import pytest

from ollama_keeper.simulator import Simulator
from tests.kit.transport import SimTransport
from tests.kit.virtual import LIMIT_S, LoopClock, VirtualLoop

BASE_URL = "http://127.0.0.1:11434"


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], VirtualLoop]]:
    """Every async test of the directory runs in virtual time; `@pytest.mark.virtual(limit_s=…)` limits it."""
    marker = item.get_closest_marker("virtual")
    limit_s = float(marker.kwargs.get("limit_s", LIMIT_S)) if marker else LIMIT_S
    return {"virtual": lambda: VirtualLoop(limit_s=limit_s)}


@pytest.fixture
async def make_sim() -> AsyncIterator[Callable[..., Simulator]]:
    """Makes servers, with the arguments of `Simulator`; they are closed after the test."""
    made: list[Simulator] = []

    def make(*models: object, **arguments: object) -> Simulator:
        made.append(Simulator(*models, **arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for simulator in made:
        await simulator.close()


@pytest.fixture
async def sim(make_sim: Callable[..., Simulator]) -> Simulator:
    """A server with the default models, and nothing loaded."""
    return make_sim()


@pytest.fixture
def clock() -> LoopClock:
    """The keeper's clock in virtual time."""
    return LoopClock()


@pytest.fixture
def network(sim: Simulator) -> SimTransport:
    """The way to `sim`, whatever the URL."""
    return SimTransport(sim)


@pytest.fixture
async def http(network: SimTransport) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `sim`, with no limits on time."""
    async with httpx.AsyncClient(transport=network, base_url=BASE_URL, timeout=None) as client:
        yield client


@pytest.fixture
def virtual_loop() -> Iterator[VirtualLoop]:
    """A loop in virtual time for a test that runs it itself."""
    loop = VirtualLoop()
    yield loop
    loop.close()
