"""Where the contract suite runs: on simulators in virtual time, and on the server at OLLAMA_KEEPER_LIVE_URL where set.

A live run needs OLLAMA_KEEPER_LIVE_MODELS: names by comma, two completion models or more first, one embedder last. The
server must have nothing loaded, as a load might evict it, room for three of them at once, and an OLLAMA_KEEP_ALIVE
that is no pin, as a lost pin is how a reload is seen. It is left as it was found: what was loaded is unloaded, names
that were made are deleted, no other name is written, and it is asked for nothing that it would fetch from elsewhere.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from functools import cache

import httpx
import pytest

from ollama_keeper.simulator import Settings, Simulator, StoredModel, Version
from tests.contract.driver import VARIANT_CONTEXT, Driver
from tests.kit.plugin import BASE_URL
from tests.kit.recorded import recorded_models
from tests.kit.transport import SimTransport
from tests.kit.virtual import VirtualLoop

LIVE_URL = os.environ.get("OLLAMA_KEEPER_LIVE_URL", "")
LIVE_MODELS = tuple(filter(None, os.environ.get("OLLAMA_KEEPER_LIVE_MODELS", "").split(",")))
SIMULATED = ("ma", "mb", "mc", "md", "emb")
SIMULATED_VARIANT, LIVE_VARIANT = "ma-ctx1024", "ollama-keeper-contract-variant"
VERSIONS = ("0.33.0", "0.24.0")


class SimulatedLoop(VirtualLoop):
    """Virtual time for a server of a version."""

    server_version = VERSIONS[0]


class OlderSimulatedLoop(SimulatedLoop):
    """The same for the last version before the change of engines."""

    server_version = VERSIONS[1]


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One run of each test a server."""
    simulated: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        f"simulator-{VERSIONS[0]}": SimulatedLoop,
        f"simulator-{VERSIONS[1]}": OlderSimulatedLoop,
    }
    return {**simulated, "live": asyncio.new_event_loop} if LIVE_URL else simulated


@pytest.fixture
async def server() -> AsyncIterator[Driver]:
    """A server on which none of the models is loaded."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, SimulatedLoop):
        simulator = Simulator(_simulated_models(), Settings(version=Version(loop.server_version)))
        client = httpx.AsyncClient(transport=SimTransport(simulator), base_url=BASE_URL, timeout=None)
        driver = Driver(client, SIMULATED[:-1], SIMULATED[-1])
    else:
        driver = Driver(httpx.AsyncClient(base_url=LIVE_URL, timeout=None, trust_env=False), *_live_models())
    async with driver.http:
        await driver.learn_version()
        await _refuse_if_in_use(driver)
        try:
            yield driver
        finally:
            await driver.clean()


@pytest.fixture
async def variant(server: Driver) -> str:
    """Another name for the weights of `server.model`, with another context in its Modelfile: `VARIANT_CONTEXT`."""
    if isinstance(asyncio.get_running_loop(), SimulatedLoop):
        server.made.append(SIMULATED_VARIANT)
        return SIMULATED_VARIANT
    await server.create(LIVE_VARIANT, server.model, num_ctx=VARIANT_CONTEXT)
    return LIVE_VARIANT


def _live_models() -> tuple[tuple[str, ...], str]:
    if len(LIVE_MODELS) < 3:
        pytest.fail("OLLAMA_KEEPER_LIVE_MODELS must name two completion models or more, then an embedder")
    return LIVE_MODELS[:-1], LIVE_MODELS[-1]


async def _refuse_if_in_use(driver: Driver) -> None:
    loaded = [entry.name for entry in await driver.list_running()]
    if loaded:
        pytest.fail(f"{', '.join(loaded)} is loaded on {LIVE_URL or 'the simulator'}: it is in use, and is left alone")


@cache
def _simulated_models() -> tuple[StoredModel, ...]:
    return recorded_models()
