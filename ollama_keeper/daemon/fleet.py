"""The servers that run: begun, asked in another way, wished of anew, and ended, while the others go on untouched."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

from ollama_keeper.config import Config
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.config.changes import Changes
from ollama_keeper.core.changes import Change
from ollama_keeper.core.facts import Configured, Hurried, Paused, Resumed
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.daemon.discovery import Site
from ollama_keeper.daemon.parts import ClosingClient, Parts, owned
from ollama_keeper.daemon.restored import Notes, restored
from ollama_keeper.ollama.discovery import is_name
from ollama_keeper.schedule import Schedule
from ollama_keeper.server import Server

RETIRE_S = 150.0  # a busy model is asked once a minute whether it is idle: twice, then it is left
RETIRED_EVERY_S = 1.0

Clients = Mapping[str, ClosingClient]


@dataclass(slots=True)
class Running:
    """One server at work."""

    config: ServerConfig
    server: Server
    client: ClosingClient
    task: asyncio.Task[None] | None = None


class Fleet:
    """All servers of the daemon, their jobs, and what the store keeps of them.

    Args:
        take: told of every change.
        source: the file that the wishes come from, or None.
        only_looks: nothing is sent but looks, until `touch_from_now`.
    """

    def __init__(
        self, parts: Parts, *, take: Callable[[Change], None], source: str | None, only_looks: bool = False
    ) -> None:
        self.schedule = Schedule(parts.clock)
        self._parts = parts
        self._take = take
        self._source = source
        self._only_looks = only_looks
        self._notes = Notes(parts.store, source=source)
        self._running: dict[str, Running] = {}
        self._sites: dict[str, Site] = {}
        self._retiring: list[Running] = []
        self._group: asyncio.TaskGroup | None = None
        self._chores: set[asyncio.Task[None]] = set()

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers that are wanted."""
        return tuple(running.server for running in self._running.values())

    # --- begin and end ------------------------------------------------------------------------------------------------

    def prepare(self, servers: tuple[ServerConfig, ...]) -> dict[str, ClosingClient]:
        """A client for each server, by its name; that of a name which stands for several is only tried.

        Raises:
            ConfigError: a file that one of them needs cannot be used.
        """
        return {server.address.name: self._parts.client(server) for server in servers}

    def add(self, config: ServerConfig, client: ClosingClient) -> None:
        """Makes a server known; it works from `start` on, or at once in a fleet that was started."""
        if is_name(config.address):
            self._add_site(config)
            return
        running = Running(config, self._made(config, client), client)
        self._running[config.address.name] = running
        if self._group is not None:
            self._begin(running)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Sets all servers and jobs to work, their tasks in `group`."""
        self._group = group
        self.schedule.start()
        for name, running in self._running.items():
            if name not in self._sites:
                self._begin(running)
        for site in self._sites.values():
            self._resolve(site)

    async def drain(self, grace_s: float) -> int:
        """Starts nothing more, and ends what is open after `grace_s`; gives the number of loads abandoned."""
        self.schedule.stop()
        everybody = [*self._running.values(), *self._retiring]
        left = await asyncio.gather(*(running.server.drain(grace_s) for running in everybody))
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        for running in everybody:
            await _close(running)
        return sum(left)

    def tell(self, fact: Paused | Resumed | Hurried) -> None:
        """Tells every server of a command."""
        for server in self.servers:
            server.learn(fact)
            for model in fact.models:
                server.start_check(model)

    def touch_from_now(self) -> None:
        """Ends `only_looks`."""
        self._only_looks = False
        for name, running in self._running.items():
            if name not in self._sites:
                running.server.touch_from_now()

    # --- changes ------------------------------------------------------------------------------------------------------

    def apply(self, changes: Changes, clients: Clients) -> None:
        """Carries a change of the configuration out; what it does not name is not touched."""
        for name in changes.ended:
            self._end_site(name) if name in self._sites else self._end(name)
        for config in changes.begun:
            self.add(config, clients[config.address.name])
        for config in changes.reached:
            for each in self._members(config):
                prepared = None if is_name(config.address) else clients.get(each.address.name)
                self._reach(each, prepared or self._parts.client(each))
        for config in changes.wished:
            for each in self._members(config):
                self._wish(each)

    # --- names that stand for several servers -------------------------------------------------------------------------

    def _add_site(self, config: ServerConfig) -> None:
        site = Site(config, came=self._came, gone=self._end, lost=self._stand_in)
        self._sites[config.address.name] = site
        stand_in, client = site.stand_in, self._parts.client(site.stand_in)
        made = self._made(stand_in, client, only_looks=True)
        self._running[config.address.name] = Running(stand_in, made, client)
        if self._group is not None:
            self._resolve(site)

    def _resolve(self, site: Site) -> None:
        site.task = self._chore(site.run(), f"resolve {site.config.address.name}")

    def _stand_in(self, name: str) -> None:
        """The name leads nowhere: it is looked at as one server, which loads nothing."""
        self._begin(self._running[name])

    def _came(self, config: ServerConfig) -> None:
        self.add(config, self._parts.client(config))

    def _end_site(self, name: str) -> None:
        site = self._sites.pop(name)
        if site.task is not None:
            site.task.cancel()
        for config in site.members:
            self._end(config.address.name)

    def _members(self, config: ServerConfig) -> tuple[ServerConfig, ...]:
        """The servers that a changed configuration is about: itself, or those behind its name."""
        site = self._sites.get(config.address.name)
        if site is None:
            return (config,)
        site.config = config
        return site.members

    # --- one server ends, or changes ----------------------------------------------------------------------------------

    def _end(self, name: str) -> None:
        running = self._running.pop(name)
        self.schedule.remove(name)
        running.server.learn(Configured(()))
        self._retiring.append(running)
        self._chore(self._retire(running), f"retire {name}")

    async def _retire(self, running: Running) -> None:
        """Gives back what is ours, lets an open load end, and ends the server."""
        server, began = running.server, running.server.now()
        while server.memory.open or (server.memory.leaving and server.now().since(began) < RETIRE_S):
            await server.changed(RETIRED_EVERY_S)
        await server.drain(0.0)
        await _close(running)
        self._retiring.remove(running)
        if running.config.address.name not in self._running:
            self._notes.forget(running.config.address.name)

    def _reach(self, config: ServerConfig, client: ClosingClient) -> None:
        running = self._running[config.address.name]
        before, running.client, running.config = running.client, client, config
        running.server.use(client)
        running.server.learn(Configured(config.policies, config.address.look_timeout_s, config.budget))
        self._chore(self._close_when_idle(running.server, before), f"close {config.address.name}")

    async def _close_when_idle(self, server: Server, client: ClosingClient) -> None:
        """Closes a client once nothing is under way that was begun with it: closing would abort a load."""
        begun = server.memory.open
        try:
            await asyncio.sleep(server.memory.look_timeout_s * 2)
            while any(load in server.memory.open for load in begun):
                await server.changed(RETIRED_EVERY_S)
        finally:
            await client.aclose()

    def _wish(self, config: ServerConfig) -> None:
        running = self._running[config.address.name]
        before = {policy.model: policy.interval_s for policy in running.config.policies}
        running.config = config
        running.server.learn(Configured(config.policies, budget=config.budget))
        after = {policy.model: policy.interval_s for policy in config.policies}
        for model, _ in before.items() - after.items():
            self.schedule.remove(config.address.name, model)
        for model, interval_s in after.items() - before.items():
            self._schedule(running.server, model, interval_s)

    # --- one server ---------------------------------------------------------------------------------------------------

    def _made(self, config: ServerConfig, client: ClosingClient, *, only_looks: bool = False) -> Server:
        now = self._parts.clock.now()

        def keep(memory: ServerMemory) -> None:
            self._remember(memory, config.address.url)

        return Server(
            restored(config, self._parts.store, now, source=self._source),
            client,
            clock=self._parts.clock,
            report=self._take,
            keep=keep,
            dry_run=self._only_looks or only_looks,
        )

    def _begin(self, running: Running) -> None:
        name = running.config.address.name
        running.task = self._task(owned(running.server.run, name), name)
        for policy in running.config.policies:
            self._schedule(running.server, policy.model, policy.interval_s)

    def _schedule(self, server: Server, model: str, interval_s: float) -> None:
        self.schedule.add(server.memory.server, model, interval_s=interval_s, check=lambda: server.start_check(model))

    def _task(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        if self._group is None:
            work.close()
            msg = "the fleet was not started"
            raise RuntimeError(msg)
        return self._group.create_task(work, name=name)

    def _chore(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = self._task(work, name)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)
        return task

    def _remember(self, memory: ServerMemory, url: str) -> None:
        held = self._running.get(memory.server)
        if held is None or held.config.address.url == url:  # else it retires, while another of its name is at work
            self._notes.take(memory, url)


async def _close(running: Running) -> None:
    if running.task is not None:
        running.task.cancel()
    await running.client.aclose()


def wanted(config: Config) -> int:
    """How many models a configuration wants, counted once a server."""
    return sum(len(server.policies) for server in config.servers)
