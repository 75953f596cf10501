"""`Alerts`: sees what is known every few seconds, tells what fires and ends, and has each sink told of it.

Each sink has a task and a lane of its own, so that one that hangs delays neither a look nor another sink. What outlives
a restart are the lanes and what fires: a message is marked as sent only after it was, so that a kill between the two
sends it once more, and never not at all.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from ollama_keeper.clock import Clock
from ollama_keeper.config.effective import AlertSettings, Config, SinkSettings
from ollama_keeper.core.alert_notes import PREFIX, documents, recalled
from ollama_keeper.core.alerting import Incident, noted, step
from ollama_keeper.core.changes import Change, NotificationDelayed, NotificationFailed
from ollama_keeper.core.conditions import Aspect
from ollama_keeper.core.delivery import (
    Delivered,
    Item,
    Lane,
    Manners,
    Outcome,
    after,
    owed,
    planned,
    pruned,
    trimmed,
)
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import ServerState, Undelivered
from ollama_keeper.core.states import States, states_of
from ollama_keeper.report.notify.heartbeat import Heartbeat
from ollama_keeper.report.notify.postman import Postman

if TYPE_CHECKING:
    from ollama_keeper.report.notify.dispatch import Dispatch

LET_FINISH_S = 0.5  # a message that is under way at a stop; without its answer it would be sent once more
BROKEN_S = 60.0  # a sink whose code failed is left alone for so long

Report = Callable[[Change], None]


class Notes(Protocol):
    """Keeps small documents over a restart, as the store does."""

    def note(self, key: str, document: Mapping[str, Any] | None) -> None:
        """Keeps a document; None takes it away."""
        ...

    def notes(self, prefix: str) -> Mapping[str, Mapping[str, Any]]:
        """The documents whose keys begin so."""
        ...


@dataclass(slots=True)
class Sink:
    """One sink at work.

    Attributes:
        wake: set whenever there may be something new for it.
        failures: refused and failed attempts by reason; `sent` those that were taken.
        succeeded: when one was last taken.
        failing: why the last attempt failed; None where it was taken, or none was made.
    """

    settings: SinkSettings
    dispatch: "Dispatch"
    lane: Lane
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    sent: int = 0
    failures: dict[Undelivered, int] = field(default_factory=dict)
    succeeded: datetime | None = None
    failing: Undelivered | None = None


class Alerts:
    """A consumer of changes and a watcher of states.

    Args:
        report: takes the changes that are made here.
        notes: what outlives a restart.
        states: of all models of a server, where somebody has them already.
        postman: in place of the network, for tests.
    """

    def __init__(
        self,
        settings: AlertSettings,
        *,
        notes: Notes,
        clock: Clock,
        report: Report,
        states: States = states_of,
        postman: Postman | None = None,
    ) -> None:
        self._settings = settings
        self._notes = notes
        self._clock = clock
        self._report = report
        self._states = states
        self._postman = postman or Postman()
        self._kept: dict[str, Mapping[str, Any]] = dict(notes.notes(PREFIX))
        self._book, lanes = recalled(self._kept, clock.now())
        self._group: asyncio.TaskGroup | None = None
        self._of_keeper: set[str] = set()
        self._changes: deque[Change] = deque()
        self._sinks: dict[str, Sink] = {}
        self._heartbeat = Heartbeat(self._postman, now=lambda: clock.now().wall, report=report)
        self._apply({lane.sink: lane for lane in lanes})

    @property
    def firing(self) -> tuple[Incident, ...]:
        """The alerts that fire now."""
        return self._book.firing

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """How the sinks stand."""
        return tuple(self._sinks.values())

    def waiting(self, sink: Sink) -> int:
        """How many alerts a sink has not been told of yet."""
        return len(owed(sink.lane, self._book, self._manners, self._clock.now()))

    # --- what it is told ----------------------------------------------------------------------------------------------

    def take(self, change: Change, _: datetime) -> None:
        """A change that no state shows later, from any thread; it is folded in at the next look.

        That a message about the keeper itself failed is not told by another message.
        """
        if isinstance(change, NotificationFailed) and change.sink in self._of_keeper:
            return
        self._changes.append(change)

    def see(self, servers: Sequence[ServerMemory], now: Instant) -> None:
        """What is known: what fires or ends is told, and the sinks look what they owe."""
        while self._changes:
            self._book = noted(self._book, self._changes.popleft(), now)
        self._book, changes = step(self._book, servers, self._settings.rules, now, states=self._states)
        for change in changes:
            self._report(change)
        self._heartbeat.well = not self._book.firing and all(one.state is ServerState.UP for one in servers)
        self._remember()
        for sink in self._sinks.values():
            sink.wake.set()

    def configure(self, config: Config) -> None:
        """Takes a new configuration; every sink keeps its lane, and tries again at once."""
        self._settings = config.alerts
        self._apply({sink.settings.name: sink.lane for sink in self._sinks.values()})

    # --- sinks --------------------------------------------------------------------------------------------------------

    @property
    def _manners(self) -> Manners:
        return Manners(self._settings.repeat_s, self._settings.send_resolved)

    def _apply(self, lanes: Mapping[str, Lane]) -> None:
        """Begins, changes and ends sinks, so that they are those of the settings."""
        wanted = {sink.name: sink for sink in self._settings.sinks}
        for name in [name for name in self._sinks if self._sinks[name].settings != wanted.get(name)]:
            _end(self._sinks.pop(name))
        for name, settings in wanted.items():
            lane = replace(lanes.get(name) or Lane(name, born=self._book.rounds), retry=None)
            if name in self._sinks:
                self._sinks[name].lane = lane
                self._sinks[name].wake.set()
            else:
                self._sinks[name] = self._begun(settings, lane)
        self._heartbeat.configure(self._settings.heartbeat_url_file, self._settings.heartbeat_every_s)

    def _begun(self, settings: SinkSettings, lane: Lane) -> Sink:
        from ollama_keeper.report.notify.dispatch import Dispatch  # a start without sinks does without

        dispatch = Dispatch(settings, self._postman, lambda: self._clock.now().wall)
        sink = Sink(settings, dispatch, lane)
        if self._group is not None:
            sink.task = self._group.create_task(self._guarded(sink), name=f"sink {settings.name}")
        return sink

    async def run(self) -> None:
        """Sends, until cancelled; what has not been sent by then is sent by the next run."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for sink in self._sinks.values():
                    sink.task = group.create_task(self._guarded(sink), name=f"sink {sink.settings.name}")
                await self._heartbeat.beat()
        finally:
            self._group = None
            self._remember()

    async def _guarded(self, sink: Sink) -> None:
        """Serves a sink for ever: a fault of ours in one is told, and stops no other."""
        while True:
            try:
                await self._serve(sink)
            except Exception as error:  # noqa: BLE001 - the one guard around a consumer (DESIGN 3.4)
                self._report(_broken(sink, error))
                await asyncio.sleep(BROKEN_S)

    async def _serve(self, sink: Sink) -> None:
        while True:
            sink.wake.clear()
            now = self._clock.now()
            items = owed(sink.lane, self._book, self._manners, now)
            sink.lane, wait_s = planned(sink.lane, items, now)
            if wait_s is None or wait_s > 0:
                await _woken(sink.wake, wait_s)
            else:
                await self._send(sink, items)

    async def _send(self, sink: Sink, items: tuple[Item, ...]) -> None:
        """One attempt; one that is under way at a stop may still end."""
        from ollama_keeper.report.notify.compose import compose

        letter = compose(items, self._clock.now().wall, self._settings.language, sink.settings.template)
        attempt = asyncio.ensure_future(sink.dispatch.deliver(letter))
        try:
            outcome = await asyncio.shield(attempt)
        except asyncio.CancelledError:
            await _finished(attempt)
            if attempt.done() and not attempt.cancelled() and attempt.exception() is None:
                self._learn(sink, items, attempt.result())
            raise
        self._learn(sink, items, outcome)

    def _learn(self, sink: Sink, items: tuple[Item, ...], outcome: Outcome) -> None:
        now = self._clock.now()
        if isinstance(outcome, Delivered):
            sink.sent += 1
            sink.succeeded, sink.failing = now.wall, None
        else:
            sink.failing = outcome.reason
            sink.failures[outcome.reason] = sink.failures.get(outcome.reason, 0) + 1
        sink.lane, changes = after(sink.lane, items, outcome, now)
        self._remember()
        self._of_keeper = {sink.settings.name} if all(_of_keeper(item) for item in items) else set()
        for change in changes:
            self._report(change)
        self._of_keeper = set()

    # --- what outlives a restart --------------------------------------------------------------------------------------

    def _remember(self) -> None:
        """Hands to the store what has changed; what every sink knows is forgotten."""
        self._book = pruned(self._book, (sink.lane for sink in self._sinks.values()), self._manners)
        for sink in self._sinks.values():
            sink.lane = trimmed(sink.lane, self._book)
        kept = documents(self._book, (sink.lane for sink in self._sinks.values()))
        for key in self._kept.keys() - kept.keys():
            self._notes.note(key, None)
        for key, document in kept.items():
            if self._kept.get(key) != document:
                self._notes.note(key, document)
        self._kept = dict(kept)


def _of_keeper(item: Item) -> bool:
    return item.incident.subject.aspect is Aspect.KEEPER


def _end(sink: Sink) -> None:
    if sink.task is not None:
        sink.task.cancel()


async def _woken(wake: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await wake.wait()


async def _finished(attempt: asyncio.Future[Outcome]) -> None:
    await asyncio.wait([attempt], timeout=LET_FINISH_S)
    if not attempt.done():
        attempt.cancel()
        await asyncio.wait([attempt])


def _broken(sink: Sink, error: Exception) -> NotificationDelayed:
    name = sink.settings.name
    told = f"a fault of ollama-keeper: {type(error).__name__}"
    return NotificationDelayed(
        sink=name, attempts=sink.lane.attempts, retry_s=BROKEN_S, reason=Undelivered.CLIENT_ERROR, hint=told
    )
