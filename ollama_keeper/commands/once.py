"""Servers watched for the length of one command: the same shell as the daemon's, without jobs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.start import clients
from ollama_keeper.config import Config
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.changes import Change
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import ServerState
from ollama_keeper.daemon import Notes, restored
from ollama_keeper.ollama.discovery import members
from ollama_keeper.server import Server
from ollama_keeper.store import Store

Say = Callable[[Change], None]

ANSWERS_WITHIN_S = 30.0  # for all questions: what is listed, what is stored, and one for each model


class Watch:
    """The servers of a configuration while a command runs, and a signal each time that something was learnt."""

    def __init__(self, config: Config, store: Store, *, say: Say, dry_run: bool) -> None:
        self.changed = asyncio.Event()
        self.clock = SystemClock()
        self._clients = clients(config)
        self._notes = None if dry_run else Notes(store, source=config.source)
        self.servers = tuple(self._server(server, store, say, dry_run=dry_run) for server in config.servers)

    def _server(self, server: ServerConfig, store: Store, say: Say, *, dry_run: bool) -> Server:
        def keep(memory: ServerMemory) -> None:
            self.changed.set()
            if self._notes is not None:  # so that a daemon knows what `warm` loaded for its own
                self._notes.take(memory, server.address.url)

        return Server(
            restored(server, store, self.clock.now()),
            self._clients[server.address.name],
            clock=self.clock,
            report=say,
            keep=keep,
            dry_run=dry_run,
        )

    def nobody_answered(self) -> bool:
        """Whether not one server has answered yet."""
        return all(server.memory.state is ServerState.WAITING for server in self.servers)

    def all_told(self) -> bool:
        """Whether each server has told all it knows, or will tell nothing."""
        return all(_told(server) for server in self.servers)

    async def until(self, done: Callable[[], bool], *, timeout_s: float) -> bool:
        """Waits until `done()`; False when it is not in time. Asks again at every change and each second."""
        end = self.clock.now().mono + timeout_s
        while not done():
            left = end - self.clock.now().mono
            if left <= 0:
                return False
            self.changed.clear()
            try:
                async with asyncio.timeout(min(left, 1.0)):
                    await self.changed.wait()
            except TimeoutError:
                continue
        return True

    async def close(self) -> None:
        """Ends what is open and closes the connections."""
        for server in self.servers:
            await server.drain(0.0)
        for client in self._clients.values():
            await client.aclose()


def _told(server: Server) -> bool:
    memory = server.memory
    if memory.state is ServerState.WAITING:
        return memory.failures > 0
    return (memory.tagged is not None or memory.inquiry is not None) and not server.asking


async def expanded(config: Config) -> Config:
    """The configuration with each name that stands for several servers replaced by what it leads to now."""
    servers = [
        replace(server, address=address) for server in config.servers for address in await members(server.address)
    ]
    return replace(config, servers=tuple(servers))


@asynccontextmanager
async def watching(config: Config, store: Store, *, say: Say, dry_run: bool) -> AsyncIterator[Watch]:
    """Watches all servers, and loads unless `dry_run`, until the block ends."""
    watch = Watch(await expanded(config), store, say=say, dry_run=dry_run)
    tasks = [asyncio.ensure_future(server.run()) for server in watch.servers]
    try:
        yield watch
    finally:
        await watch.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
