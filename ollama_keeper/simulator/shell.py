"""The shell of one simulated server: it feeds events to the pure machine, and wakes it when something is due.

The only clock is the running loop's, so that it runs in virtual time as in real time.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import count

from ollama_keeper.core.names import ModelName, parse_name
from ollama_keeper.simulator.answers import Problem
from ollama_keeper.simulator.downloads import Downloads
from ollama_keeper.simulator.effects import (
    Arrived,
    ChildDied,
    Effect,
    Event,
    Granted,
    Leaked,
    Left,
    LoadEnded,
    LoadStarted,
    NeedsSlot,
    Refused,
    SlotGranted,
    Stored,
    Tick,
    UnloadAnswered,
    UnloadAsked,
    Unloaded,
)
from ollama_keeper.simulator.history import History
from ollama_keeper.simulator.listing import Listed, blocked, listing
from ollama_keeper.simulator.scheduler import next_due, step
from ollama_keeper.simulator.state import SECOND, Child, Settings, State, StoredModel, Wanted


class RunnerDied(Exception):
    """Raised in a generation whose child is gone; the text is that of the error answer."""


DIED = "an error was encountered while running the model: unexpected EOF"


class Shell:
    """State, time and record of one server."""

    def __init__(
        self, models: Iterable[StoredModel], settings: Settings | None = None, registry: Iterable[StoredModel] = ()
    ) -> None:
        """Args: models: what is stored. settings: how the server is started. registry: what can be pulled beside."""
        self.state = State(settings=settings or Settings(), models=tuple(models))
        self.history = History()
        self.downloads = Downloads()
        self._ids = count(1)
        self._phantoms = count(-1, -1)
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._slots: dict[int, asyncio.Future[None]] = {}
        self._deaths: dict[int, asyncio.Future[str]] = {}
        self._changed: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._index: dict[ModelName, StoredModel] = {}
        self._registry = {parse_name(model.name): model for model in registry}
        self._bound = False
        self._reindex()

    # --- time ---------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Nanoseconds of the loop's clock."""
        now = round(asyncio.get_running_loop().time() * SECOND)
        if not self._bound:
            self._bound = True
            self.state = self._with_offset(time.time_ns() - now)
        return now

    def wall(self) -> int:
        """Nanoseconds of the server's wall clock."""
        now = self.now()
        return now + self.state.wall_offset

    def shift_wall(self, nanoseconds: int) -> None:
        """Move the server's wall clock; its timers do not notice, dates already set stay (OLLAMA.md 1)."""
        self.now()
        self.state = self._with_offset(self.state.wall_offset + nanoseconds)

    # --- the machine --------------------------------------------------------------------------------------------------

    def step(self, event: Event, now: int | None = None) -> None:
        """Feed one event, and do what comes of it."""
        now = self.now() if now is None else now  # which sets the wall clock, at the first call
        self.state, effects = step(self.state, event, now)
        for effect in effects:
            self._apply(effect)
        if isinstance(event, Stored):
            self._reindex()
        self._rearm()
        self._tell_change()

    async def acquire(self, wanted: Wanted) -> None:
        """Wait for a runner; to be ended by `leave`.

        Raises:
            Problem: the server refuses, or the load failed.
        """
        answer = self._answers[wanted.id] = asyncio.get_running_loop().create_future()
        self.step(Arrived(wanted))
        await answer

    async def ask_unload(self, request: int, key: str, who: str) -> None:
        """Tell a runner to go; returns when it has been told."""
        answer = self._answers[request] = asyncio.get_running_loop().create_future()
        self.step(UnloadAsked(request, key, who))
        await answer

    async def slot(self, request: int) -> None:
        """Wait for one of the runner's slots; to be ended by `leave`."""
        waiting = self._slots[request] = asyncio.get_running_loop().create_future()
        self._deaths[request] = asyncio.get_running_loop().create_future()
        self.step(NeedsSlot(request))
        await asyncio.wait({waiting, self._deaths[request]}, return_when=asyncio.FIRST_COMPLETED)
        await self.work(request, 0)

    async def work(self, request: int, nanoseconds: int) -> None:
        """Compute for so long; for ever on a wedged child.

        Raises:
            RunnerDied: the child has gone meanwhile.
        """
        death = self._deaths[request]
        await asyncio.wait({death}, timeout=nanoseconds / SECOND)
        if not death.done() and self._child(request) is Child.WEDGED:
            await asyncio.wait({death})
        if death.done():
            raise RunnerDied(death.result())

    def leave(self, request: int) -> None:
        """A request is over, however."""
        if request not in self._answers:
            return
        for pending in (self._answers, self._slots, self._deaths):
            future = pending.pop(request, None)
            if future is not None and not future.done():
                future.cancel()
        self.step(Left(request))

    def halt(self) -> None:
        """Nothing happens by itself any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def kill_work(self, requests: Iterable[int], text: str = DIED) -> None:
        """Let generations fail with a text."""
        for request in requests:
            death = self._deaths.get(request)
            if death is not None and not death.done():
                death.set_result(text)

    @property
    def computing(self) -> tuple[int, ...]:
        """Requests that compute, or wait for a slot."""
        return tuple(self._deaths)

    async def listing(self) -> tuple[Listed, ...]:
        """What `/api/ps` shows, once no lock keeps it."""
        while blocked(self.state):
            await self.change()
        return listing(self.state, self.now())

    async def change(self) -> None:
        """Wait until something happens in the machine."""
        if self._changed is None or self._changed.done():
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    # --- what is stored -----------------------------------------------------------------------------------------------

    def stored(self, name: ModelName) -> StoredModel | None:
        """The model stored under a name, in any case of letters."""
        return self._index.get(name)

    def pullable(self, name: ModelName) -> StoredModel | None:
        """The model that the registry has under a name."""
        return self._registry.get(name)

    def store(self, *models: StoredModel) -> None:
        """Replace what is stored."""
        self.step(Stored(models))

    def next_id(self) -> int:
        """A new request's id."""
        return next(self._ids)

    def phantom(self) -> int:
        """A new id for what a mishap pretends."""
        return next(self._phantoms)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _with_offset(self, wall_offset: int) -> State:
        return replace(self.state, wall_offset=wall_offset)

    def _reindex(self) -> None:
        self._index = {parse_name(model.name): model for model in self.state.models}

    def _child(self, request: int) -> Child:
        grant = self.state.grant(request)
        runner = self.state.runner(grant.key) if grant else None
        return runner.child if runner else Child.DEAD

    def _rearm(self) -> None:
        self.halt()
        due = next_due(self.state)
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due / SECOND, self._wake, due)

    def _wake(self, due: int) -> None:
        self._timer = None
        self.step(Tick(), max(self.now(), due))

    def _tell_change(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _apply(self, effect: Effect) -> None:
        match effect:
            case Granted(_, request) | UnloadAnswered(_, request):
                _resolve(self._answers.get(request))
            case Refused(_, request, status, text):
                _resolve(self._answers.get(request), Problem(status, text))
            case SlotGranted(_, request):
                _resolve(self._slots.get(request))
            case ChildDied(_, requests):
                self.kill_work(requests)
            case LoadStarted() | LoadEnded() | Unloaded():
                self.history.note(effect)
            case Leaked():
                pass


def _resolve(future: asyncio.Future[None] | None, problem: Problem | None = None) -> None:
    if future is None or future.done():
        return
    if problem is None:
        future.set_result(None)
    else:
        future.set_exception(problem)
