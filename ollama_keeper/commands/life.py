"""Signs of life of `run`: what systemd is told, and the guard that ends a process whose loop hangs for good."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ollama_keeper.clock import Clock
from ollama_keeper.core.reasons import ServerState
from ollama_keeper.daemon import Daemon
from ollama_keeper.server import Server
from ollama_keeper.stall import FILE, StallGuard
from ollama_keeper.systemd import Systemd, status_text

FEED_S = 1.0
STATUS_EVERY = 5  # feeds: systemd's watchdog is fed each 5 s
ATTEMPT_S = 0.05
ATTEMPTS = 20


@contextlib.asynccontextmanager
async def signs_of_life(
    daemon: Daemon, clock: Clock, *, state_dir: Path | None, systemd: Systemd | None
) -> AsyncIterator[None]:
    """Gives signs of life until the block ends, the drain at a stop included."""
    guard = StallGuard(state_dir / FILE if state_dir else None)
    tasks = [asyncio.ensure_future(_feed(guard))]
    if systemd is not None:
        tasks.append(asyncio.ensure_future(_tell(systemd, daemon, clock)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        guard.rest()


async def _feed(guard: StallGuard) -> None:
    while True:
        guard.fed()
        await asyncio.sleep(FEED_S)


async def _tell(systemd: Systemd, daemon: Daemon, clock: Clock) -> None:
    for _ in range(ATTEMPTS):  # systemd waits for a look that was tried, not for its answer
        if any(_tried(server) for server in daemon.servers):
            break
        await asyncio.sleep(ATTEMPT_S)
    systemd.ready()
    while True:
        systemd.alive(status_text((server.memory for server in daemon.servers), clock.now()))
        await asyncio.sleep(STATUS_EVERY * FEED_S)


def _tried(server: Server) -> bool:
    return server.asking or server.memory.failures > 0 or server.memory.state is not ServerState.WAITING
