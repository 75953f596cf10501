"""The daemon: start, run, drain, stop, each a named step. It owns every task, and ends when one of them dies."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from ollama_keeper import __version__
from ollama_keeper.clock import Clock, wall_step
from ollama_keeper.config import Config
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.changes import (
    Change,
    ClockJumped,
    ConfigLoaded,
    KeeperStarted,
    KeeperStopped,
    KeeperStopping,
    LoopStalled,
)
from ollama_keeper.core.facts import Configured
from ollama_keeper.core.fold import fold
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.keep import model_document, restored_model, restored_server, server_document
from ollama_keeper.core.memory import ServerMemory, fresh_memory
from ollama_keeper.core.states import resident, state_of
from ollama_keeper.report import Reports
from ollama_keeper.report.summary import Summary
from ollama_keeper.schedule import Schedule
from ollama_keeper.server import Client, Server
from ollama_keeper.store import Kept, Store

TICK_S = 5.0
STALLED_S = 1.0
SUMMARY_EVERY_S = 3_600.0
SERVER_KEY = ""  # the server's own document beside those of its models


class Broken(Exception):
    """A background task died: the daemon cannot go on, and must be started anew."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the daemon is given, so that tests give it a simulator, a clock of their own and a store in memory."""

    reports: Reports
    store: Store
    clock: Clock
    client: Callable[[ServerConfig], Client]


class Daemon:
    """Keeps all models of a configuration resident, until it is asked to stop."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self._config = config
        self._reports = parts.reports
        self._store = parts.store
        self._clock = parts.clock
        self._schedule = Schedule()
        self._summary = Summary()
        self._stop = asyncio.Event()
        self._signal = ""
        self._kept: dict[tuple[str, str], Mapping[str, object]] = {}
        self._started = parts.clock.now()
        self.servers = tuple(self._server(server, parts) for server in config.servers)

    def ask_to_stop(self, why: str) -> None:
        """Ends `run` in good order; safe to call twice."""
        self._signal = self._signal or why
        self._stop.set()

    async def run(self) -> None:
        """Start, run, drain, stop.

        Raises:
            Broken: a background task died; what it was is in the message.
        """
        self._say_started()
        async with asyncio.TaskGroup() as group:
            owned = [group.create_task(_owned(server.run(), server.memory.server)) for server in self.servers]
            owned.append(group.create_task(_owned(self._tick(), "tick")))
            self._begin_jobs()
            await self._stop.wait()
            abandoned = await self._drain()
            for task in owned:
                task.cancel()
        self._say_stopped(abandoned)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _server(self, config: ServerConfig, parts: Parts) -> Server:
        return Server(
            restored(config, parts.store, parts.clock.now()),
            parts.client(config),
            clock=parts.clock,
            report=self._take,
            keep=self._remember,
        )

    def _begin_jobs(self) -> None:
        self._schedule.start()
        for server in self.servers:
            for model in server.memory.models:
                self._schedule.add(
                    server.memory.server,
                    model.model,
                    interval_s=model.policy.interval_s,
                    check=_check(server, model.model),
                )

    async def _drain(self) -> int:
        self._take(KeeperStopping(signal=self._signal))
        self._schedule.stop()
        left = await asyncio.gather(*(server.drain(self._config.shutdown_grace_s) for server in self.servers))
        return sum(left)

    async def _tick(self) -> None:
        """Every 5 s: were the clocks set, did the loop stall, is the hour over."""
        before = self._clock.now()
        summed = before
        while True:
            await asyncio.sleep(TICK_S)
            now = self._clock.now()
            self._watch_clocks(before, now)
            self._summary.cold(self._cold_s(now.since(before)))
            if now.since(summed) >= SUMMARY_EVERY_S:
                self._sum_up(now)
                summed = now
            before = now

    def _watch_clocks(self, before: Instant, now: Instant) -> None:
        step = wall_step(before, now)
        if step is not None:
            self._schedule.redate()
            self._take(ClockJumped(delta_s=step))
        late_s = now.since(before) - TICK_S
        if late_s > STALLED_S:
            self._take(LoopStalled(stall_s=late_s))

    def _sum_up(self, now: Instant) -> None:
        for server in self.servers:
            counts = server.take_counts()
            self._summary.count(checks=counts.checks, looks=counts.looks, pings=counts.pings)
        states: dict[str, int] = {}
        for server in self.servers:
            for model in server.memory.models:
                state, _ = state_of(model, server.memory, now)
                states[state.value] = states.get(state.value, 0) + 1
        self._reports.take(self._summary.summary(states), now.wall)

    def _cold_s(self, elapsed_s: float) -> float:
        return elapsed_s * sum(not resident(model) for server in self.servers for model in server.memory.models)

    # --- events and what is kept --------------------------------------------------------------------------------------

    def _take(self, change: Change) -> None:
        self._summary.take(change)
        self._reports.take(change, self._clock.now().wall)

    def _remember(self, memory: ServerMemory) -> None:
        """Hands to the store what has changed of what outlives a restart."""
        documents = {model.model: model_document(model) for model in memory.models}
        documents[SERVER_KEY] = server_document(memory)
        for key, document in documents.items():
            if self._kept.get((memory.server, key)) != document:
                self._kept[memory.server, key] = document
                self._store.write(memory.server, Kept(key, document))

    def _say_started(self) -> None:
        models = sum(len(server.memory.models) for server in self.servers)
        started = KeeperStarted(version=__version__, run_id=uuid4().hex[:12], servers=len(self.servers), models=models)
        self._take(started)
        path = self._config.path
        self._take(ConfigLoaded(path=str(path) if path else None, added=models))

    def _say_stopped(self, abandoned: int) -> None:
        uptime_s = self._clock.now().since(self._started)
        self._take(KeeperStopped(uptime_s=uptime_s, loads_abandoned=abandoned))


def restored(config: ServerConfig, store: Store, now: Instant) -> ServerMemory:
    """The memory of a server as a keeper starts with it: its policies, and what the store kept."""
    address = config.address
    memory = fresh_memory(address.name, now, look_timeout_s=address.look_timeout_s)
    memory, _ = fold(memory, Configured(config.policies), now)
    for kept in store.read(address.name):
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            memory = _with_kept(memory, kept, now)
    return memory


def _with_kept(memory: ServerMemory, kept: Kept, now: Instant) -> ServerMemory:
    if kept.model == SERVER_KEY:
        return restored_server(memory, kept.document, now)
    return memory.with_model(restored_model(memory.model(kept.model), kept.document, now))


def _check(server: Server, model: str) -> Callable[[], None]:
    return lambda: server.start_check(model)


async def _owned(work: object, name: str) -> None:
    """Runs an eternal task: any end but a cancel is a fault of the daemon."""
    try:
        await work  # type: ignore[misc]
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        msg = f"{name} died: {error!r}"
        raise Broken(msg) from error
    msg = f"{name} ended"
    raise Broken(msg)
