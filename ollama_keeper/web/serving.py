"""Serves the surface from the daemon's own loop: a socket of our own, no signal handlers, nothing that ticks.

It is a consumer: what goes wrong here is told, and neither stops the daemon nor delays a look.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from ollama_keeper.web.connection import LimitedConnection

CLOSE_S = 1.0


class _Embedded(uvicorn.Server):
    """Leaves signals to whoever runs the loop, and sleeps until the end: uvicorn's own wakes ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None are captured."""
        yield

    async def main_loop(self) -> None:
        """Until `end`."""
        await self._ending.wait()

    def end(self) -> None:
        """Lets `serve` close what is open, and return."""
        self.should_exit = True
        self._ending.set()


async def serve(app: ASGIApp, bound: socket.socket, *, ending: Callable[[], None] | None = None) -> None:
    """Answers until cancelled, then closes within a second.

    Args:
        ending: ends what would be answered for ever.
    """
    server = _Embedded(_settings(app))
    task = asyncio.ensure_future(server.serve(sockets=[bound]))
    try:
        await asyncio.shield(task)
    finally:
        if ending is not None:
            ending()
        server.end()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(task, 2 * CLOSE_S)


def _settings(app: ASGIApp) -> uvicorn.Config:
    kind: Any = LimitedConnection
    return uvicorn.Config(
        app,
        http=kind,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",  # else each stranger who speaks no HTTP is a line of the log
        access_log=False,
        server_header=False,
        date_header=False,  # it is brought up to date by the tick that there is not
        proxy_headers=False,
        timeout_graceful_shutdown=int(CLOSE_S),
    )
