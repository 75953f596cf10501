"""A simulated server on a socket of its own, in real time."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from ollama_keeper.simulator.answers import Cut
from ollama_keeper.simulator.simulator import Simulator
from ollama_keeper.simulator.state import Settings, StoredModel

BACKLOG = 2048
LAST_PORT = 65_535
IDLE_S = 86_400  # Ollama closes no connection that is only idle


def serve(
    listen: str,
    models: Iterable[StoredModel] | None = None,
    settings: Settings | None = None,
    *,
    announce: Callable[[str], None] = print,
) -> None:
    """Run a simulated server until it is told to stop.

    Args:
        listen: `HOST:PORT`; port 0 takes a free one.
        models: what is stored, by default the default catalogue.
        settings: how the server is started.
        announce: told the address, `http://HOST:PORT`, once it listens.

    Raises:
        OSError: the address is taken, or none of this machine's.
        ValueError: `listen` is no address.
    """
    with open_socket(listen) as bound:
        announce(f"http://{address_of(bound)}")
        asyncio.run(run(Simulator(models, settings), bound))


async def run(simulator: Simulator, bound: socket.socket) -> None:
    """Serve a simulator on a bound socket, in the running loop, until a signal or a cancellation."""
    server = _Uvicorn(simulator)
    await server.serve(sockets=[bound])


@asynccontextmanager
async def serving(simulator: Simulator) -> AsyncIterator[str]:
    """Serve a simulator on a free port of loopback, beside other work of the running loop; gives its address.

    Signals and logging are left as they are.
    """
    with open_socket("127.0.0.1:0") as bound:
        server = _Beside(simulator)
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[bound]))
        try:
            yield f"http://{address_of(bound)}"
        finally:
            server.should_exit = True
            await task


def open_socket(listen: str) -> socket.socket:
    """A listening socket that sends small answers at once.

    Raises:
        OSError: the address is taken, or none of this machine's.
        ValueError: `listen` is no address.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and int(port) <= LAST_PORT):
        msg = f"{listen!r} is not HOST:PORT"
        raise ValueError(msg)
    bare = host.strip("[]") or "127.0.0.1"
    bound = socket.create_server((bare, int(port)), family=_family(bare), backlog=BACKLOG)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def address_of(bound: socket.socket) -> str:
    """`HOST:PORT` of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Uvicorn(uvicorn.Server):
    """Closes the connection where the simulator cuts it, instead of answering 500."""

    def __init__(self, simulator: Simulator, **settings: Any) -> None:
        config = uvicorn.Config(
            self._app,
            interface="asgi3",  # not guessed: a bound method would be taken for ASGI 2
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=IDLE_S,
            **settings,
        )
        super().__init__(config)
        self._simulator = simulator
        self._ends = simulator.ends

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: a process that has ended takes its idle connections with it."""
        if self._ends != self._simulator.ends:
            self._ends = self._simulator.ends
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        return await super().on_tick(counter)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._simulator(scope, receive, send)
        except Cut:
            self._abort(scope["client"])
            await asyncio.sleep(0.05)  # until the protocol has noticed; an answer now goes nowhere

    def _abort(self, client: object) -> None:
        for connection in list(self.server_state.connections):
            if getattr(connection, "client", None) == client:
                connection.transport.abort()


class _Beside(_Uvicorn):
    """Leaves signals and logging to whoever runs the loop."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(simulator, log_config=None)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
