"""Where a soak takes place: simulated servers in this process and in virtual time, or on sockets in real time."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import httpx

from bench.soak.weather import EMBED, GEMMA, LLAMA, LLAVA, QWEN, Mishap
from ollama_keeper.clock import Clock, SystemClock
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import default_models, default_registry
from tests.kit.proc import Simulated, World
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock

SERVERS = 3
LOAD_TIME = "5s"
CATALOGUE = "".join(
    f"- {{name: '{name}', kind: {'embedder' if name == EMBED else 'completion'}, load_time: {LOAD_TIME}}}\n"
    for name in (QWEN, LLAMA, EMBED, GEMMA, LLAVA)
)
MOST_LOADED = 4


class Grounds(Protocol):
    """Servers to keep models on."""

    urls: Sequence[str]
    clock: Clock
    transport: httpx.AsyncBaseTransport | None

    async def befall(self, server: int, mishap: Mishap) -> None:
        """Lets a mishap happen to a server."""
        ...

    def tidy(self) -> None:
        """Ends what mishaps have left, and forgets the record, which would grow for ever."""
        ...


class Virtual:
    """Simulators in this process, asked without sockets."""

    def __init__(self) -> None:
        self.clock: Clock = LoopClock()
        self._sims = [Simulator((*default_models(), *default_registry())) for _ in range(SERVERS)]
        hosts = [f"127.0.0.1:{11_501 + number}" for number in range(SERVERS)]
        self.urls: Sequence[str] = [f"http://{host}" for host in hosts]
        self.transport: httpx.AsyncBaseTransport | None = SimTransport(dict(zip(hosts, self._sims, strict=True)))
        for sim in self._sims:
            sim.max_loaded(MOST_LOADED)

    async def befall(self, server: int, mishap: Mishap) -> None:
        """Lets a mishap happen; one that cannot now, for nothing is loaded, does not."""
        with suppress(ValueError, LookupError):
            getattr(self._sims[server], mishap.verb)(**mishap.arguments)

    def tidy(self) -> None:
        """Heals, and keeps of the record only what is open."""
        for sim in self._sims:
            sim.heal()
            history = sim.history
            history.all_requests[:] = [request for request in history.all_requests if request.ended is None]
            history.all_loads[:] = [load for load in history.all_loads if load.end is None]
            history.all_unloads.clear()

    async def close(self) -> None:
        """Ends the simulators' own clients."""
        for sim in self._sims:
            await sim.close()


class Loopback:
    """Simulators that are processes of their own."""

    transport: httpx.AsyncBaseTransport | None = None

    def __init__(self, servers: Sequence[Simulated]) -> None:
        self.clock: Clock = SystemClock()
        self._servers = servers
        self.urls: Sequence[str] = [server.url for server in servers]

    async def befall(self, server: int, mishap: Mishap) -> None:
        """Lets a mishap happen, through the control path."""
        with suppress(OSError):
            await asyncio.to_thread(self._servers[server].befalls, mishap.verb, **mishap.arguments)

    def tidy(self) -> None:
        """Heals; the record grows in another process."""
        for server in self._servers:
            with suppress(OSError):
                server.befalls("heal")


@contextmanager
def loopback(home: Path) -> Iterator[Loopback]:
    """Simulators on loopback until the block ends."""
    catalogue = home / "models.yaml"
    catalogue.write_text(CATALOGUE, encoding="utf-8")
    with World(home) as world:
        flags = ("--models", str(catalogue), "--max-loaded", str(MOST_LOADED))
        yield Loopback([world.simulate(*flags) for _ in range(SERVERS)])
