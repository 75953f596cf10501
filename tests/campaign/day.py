"""One day: the whole daemon, or whatever takes its place, on a simulated server that clients use and mishaps befall."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import merge
from typing import Any

from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.changes import Change
from ollama_keeper.core.policy import Policy
from ollama_keeper.core.reasons import ServerState
from ollama_keeper.core.states import state_of
from ollama_keeper.daemon import Daemon, Parts
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.report import Reports
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.history import History
from tests.campaign.mishaps import befall, heal
from tests.campaign.quick import QuickClient, QuickLoop, QuickStore
from tests.campaign.scene import Ask, Mishap, Scene
from tests.kit.keeper import HOST, configured
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock

SAMPLE_S = 60.0
UNANSWERED = (0, b"")
SPARE_S = 7_200.0  # of virtual time, for a day that does not end

MakeClient = Callable[[ServerConfig, Simulator, SimTransport], OllamaClient]
Beside = Callable[["Day"], Coroutine[Any, Any, None]]
Answer = tuple[int, bytes]


def quick_client(config: ServerConfig, sim: Simulator, network: SimTransport) -> OllamaClient:
    """The keeper's own client."""
    return QuickClient(config.address, sim, network)


@dataclass(frozen=True, slots=True)
class Sample:
    """What is shown and what is true at one moment.

    Attributes:
        states: state and reason by model.
        listed, resident: names that the server lists, and those whose runner is also alive.
        up: whether the keeper believes that the server answers.
    """

    at: float
    states: dict[str, tuple[str, str]]
    listed: frozenset[str]
    resident: frozenset[str]
    up: bool


@dataclass(slots=True)
class Told:
    """Takes the place of the log."""

    clock: Callable[[], float]
    changes: list[tuple[float, Change]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def take(self, change: Change, at: datetime) -> None:
        self.changes.append((self.clock(), change))

    def level(self, level: str) -> None:
        pass

    def message(self, level: str, event: str, **fields: object) -> None:
        self.messages.append(f"{event} {fields}")


@dataclass(slots=True)
class Record:
    """What was.

    Attributes:
        wishes: in force from each moment on.
        away: spans in which no keeper was at work, the time that it took to stop included.
        answers: status and body of each client's request, in the order of the scene's.
    """

    scene: Scene
    history: History
    keys: dict[str, str]
    told: Told
    samples: list[Sample] = field(default_factory=list)
    wishes: list[tuple[float, tuple[Policy, ...]]] = field(default_factory=list)
    away: list[tuple[float, float]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


class Day:
    """One day under way; `live` gives its record."""

    def __init__(
        self,
        scene: Scene,
        *,
        make: MakeClient = quick_client,
        doubled: bool = False,
        kept: bool = True,
        beside: Beside | None = None,
    ) -> None:
        """Args: doubled: every line is told twice, as by a keeper that does not know what it has told.

        kept: whether the keeper is at work. beside: what else works all day long.
        """
        self.scene, self._make, self._doubled, self._kept, self._beside = scene, make, doubled, kept, beside
        self.loop = asyncio.get_running_loop()
        self.sim = Simulator(scene.models, scene.settings, ())
        self.network = SimTransport(self.sim)
        self.link = self.network.link()
        told = Told(self.loop.time)
        self.record = Record(scene, self.sim.history, {one.name: one.key for one in scene.models}, told)
        self._store = QuickStore()
        self._wishes = scene.wishes
        self._daemon: Daemon | None = None
        self._life: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()
        self._asked: list[asyncio.Task[Answer]] = []

    @property
    def wishes(self) -> tuple[Policy, ...]:
        """What is wanted now."""
        return self._wishes

    async def live(self) -> Record:
        """The day from midnight to midnight."""
        self.sim.now()
        if self._kept:
            self._start()
        helpers = [self.loop.create_task(self._sample()), *self._at_work()]
        await self._happen()
        await self._sleep_until(self.scene.ends_s)
        trouble = [task.exception() for task in helpers if task.done()]
        for task in helpers:
            task.cancel()
        await asyncio.gather(*self._chores, *helpers, return_exceptions=True)
        await self._stop()
        await self.sim.close()
        self.record.trouble += [repr(one) for one in trouble]
        self.record.answers = [task.result() if not task.cancelled() else UNANSWERED for task in self._asked]
        return self.record

    def _at_work(self) -> list[asyncio.Task[None]]:
        return [] if self._beside is None else [self.loop.create_task(self._beside(self))]

    async def _happen(self) -> None:
        for one in merge(self.scene.asks, self.scene.mishaps, key=lambda one: one.at):
            await self._sleep_until(one.at)
            if isinstance(one, Mishap):
                befall(self, one.name, one.given)  # type: ignore[arg-type]
            else:
                self._asked.append(_ask(self.sim, one))
        await self._sleep_until(self.scene.quiet_from_s)
        heal(self)  # type: ignore[arg-type]

    async def _sleep_until(self, at: float) -> None:
        await asyncio.sleep(max(at - self.loop.time(), 0.0))

    # --- the keeper ---------------------------------------------------------------------------------------------------

    def reload(self) -> None:
        """Another configuration, or the first again."""
        self._wishes = self.scene.others if self._wishes is self.scene.wishes else self.scene.wishes
        if self._daemon is not None:
            self.record.wishes.append((self.loop.time(), self._wishes))
            self._daemon.ask_to_reload()

    def restart_keeper(self, down_s: float) -> None:
        """Stops it, and starts it again after a while."""
        if self._daemon is not None and not self._chores:
            chore = self.loop.create_task(self._restart(down_s))
            self._chores.add(chore)
            chore.add_done_callback(self._chores.discard)

    async def _restart(self, down_s: float) -> None:
        began = self.loop.time()
        await self._stop()
        await asyncio.sleep(down_s)
        self.record.away.append((began, self.loop.time()))
        self._start()

    def _start(self) -> None:
        told = self.record.told
        reports = Reports(told, told) if self._doubled else Reports(told)

        def client(config: ServerConfig) -> OllamaClient:
            return self._make(config, self.sim, self.network)

        config = configured({HOST: self._wishes})
        parts = Parts(reports, self._store, LoopClock(), client, lambda: configured({HOST: self._wishes}))
        self._daemon = Daemon(config, parts)
        self.record.wishes.append((self.loop.time(), self._wishes))
        self._life = self.loop.create_task(self._daemon.run())

    async def _stop(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is None or self._life is None:
            return
        daemon.ask_to_stop("SIGTERM")
        (died,) = await asyncio.gather(self._life, return_exceptions=True)
        self.record.trouble += [f"it died: {died!r}"] if died else []

    # --- what is shown, and what is true ------------------------------------------------------------------------------

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(SAMPLE_S)
            if self._daemon is not None:
                self.record.samples.append(self._sampled(self._daemon))

    def _sampled(self, daemon: Daemon) -> Sample:
        memory, now = daemon.servers[0].memory, LoopClock().now()
        states: dict[str, tuple[str, str]] = {}
        for model in memory.models:
            state, reason = state_of(model, memory, now)
            states[model.model] = state.value, str(reason.value if reason is not None else "")
        names = {key: name for name, key in self.record.keys.items()}
        runners = self.sim.state.runners
        listed = frozenset(names[runner.key] for runner in runners if runner.loading is None)
        resident = frozenset(name for name in listed if self.sim.is_resident(name))
        return Sample(self.loop.time(), states, listed, resident, memory.state is ServerState.UP)


def run_day(scene: Scene, **given: Any) -> Record:
    """One day in a loop of its own, in virtual time."""

    async def whole() -> Record:
        return await Day(scene, **given).live()

    return in_virtual_time(whole, scene.ends_s + SPARE_S)


def in_virtual_time(whole: Callable[[], Any], limit_s: float) -> Any:
    """Runs a coroutine function in a loop of its own, and leaves nothing behind."""
    loop = QuickLoop(limit_s)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(whole())
    finally:
        left = asyncio.all_tasks(loop)  # a keeper of the negative controls may have lost hold of some
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()


def _ask(sim: Simulator, ask: Ask) -> asyncio.Task[Answer]:
    tokens = ask.tokens or None
    prompt = "" if tokens else "what is this about?"
    keep_alive, context = ask.keep_alive, ask.context
    return sim.client(ask.model, prompt=prompt, tokens=tokens, keep_alive=keep_alive, num_ctx=context, path=ask.path)


__all__ = ["Day", "Record", "Sample", "Told", "in_virtual_time", "quick_client", "replace", "run_day"]
