"""The history: events, how long each model was in which state, and when it was used, handed to the store.

A consumer of changes and a watcher of states. Taking is a row put into the store's queue: it waits for no disk. At rest
nothing is written but the summary of the hour; what was last seen, and when, goes along with whatever is written.
"""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ollama_keeper.core.changes import Change, KeeperStopped, LogDropped
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.reasons import State
from ollama_keeper.core.record import replace
from ollama_keeper.core.states import States, resident, states_of
from ollama_keeper.core.tally import DAYS, Shares, Tally
from ollama_keeper.core.timeline import Share, Span, counted
from ollama_keeper.core.uses import GUEST, Used, uses
from ollama_keeper.core.view import since
from ollama_keeper.report.flood import Flood
from ollama_keeper.report.plain import plain
from ollama_keeper.report.words import sentence
from ollama_keeper.store import Entry, Resumed, Store, Use, entry

GAP_S = (
    30.0  # nobody looked for so long, as the machine slept: what was before it is over, and the time between unknown
)
FLUSH_USES_S = 600.0
RECALL_AGAIN_S = 60.0
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
TICK = timedelta(milliseconds=1)

Key = tuple[str, str]
How = tuple[str, str | None, bool | None]


@dataclass(slots=True)
class _Open:
    """How a model is, and since when."""

    how: How
    begin: datetime


class History:
    """Hands to the store what happened, and knows how much of the time each model was warm.

    Args:
        states: of all models of a server, where somebody has them already.
    """

    def __init__(self, store: Store, *, states: States = states_of) -> None:
        self._store = store
        self._states = states
        self._flood = Flood()
        self._open: dict[str, dict[str, _Open]] = {}
        self._tallies: dict[Key, Tally] = {}
        self._uses = _Uses()
        self._seen: Instant | None = None
        self._began = asyncio.Event()
        self._lost = 0

    @property
    def dropped(self) -> int:
        """Records that could not be kept so far, as the disk did not keep up."""
        return self._store.records_lost

    def shares(self, server: str, model: str, now: datetime) -> Shares:
        """How much of its wanted time a model was warm."""
        tally = self._tallies.get((server, model))
        return Shares() if tally is None else tally.shares(now)

    # --- events -------------------------------------------------------------------------------------------------------

    def take(self, change: Change, at: datetime) -> None:
        """Keeps what the log tells at its usual level: no debug lines, of a flood a few and their count."""
        told = self._flood.told(change, at)
        self._store.append(*(_entry(*one) for one in told if one[0].level != "debug"))
        if isinstance(change, KeeperStopped):
            self._store.append(*self._uses.flushed())
            self._store.saw(self._open, at)

    # --- states -------------------------------------------------------------------------------------------------------

    def see(self, servers: Sequence[ServerMemory], now: Instant) -> None:
        """What is known now: states that changed begin a new span, and the time since is added to the shares."""
        elapsed_s = self._elapsed_s(now)
        self._store.saw((memory.server for memory in servers), now.wall)
        for memory in servers:
            self._see(memory, now, elapsed_s)
        self._end_gone(servers, now.wall)
        self._store.append(*self._uses.see(servers, now))
        self._tell_losses(now.wall)
        self._seen = now
        self._began.set()

    def _elapsed_s(self, now: Instant) -> float:
        """Seconds since the last time; 0 after a gap, at which all spans end."""
        if self._seen is None:
            return 0.0
        if 0 <= (now.wall - self._seen.wall).total_seconds() <= GAP_S:
            return now.since(self._seen)
        self._end_all(self._seen.wall)
        self._seen = now
        return 0.0

    def _see(self, memory: ServerMemory, now: Instant, elapsed_s: float) -> None:
        known = self._open.get(memory.server)
        if known is None:
            known = self._open[memory.server] = {}
            self._store.append(Resumed(memory.server))
        for model, (state, reason) in zip(memory.models, self._states(memory, now), strict=True):
            here = None if state is State.UNKNOWN else resident(model)
            how = (state.value, reason.value if reason else None, here)
            self._count((memory.server, model.model), how, elapsed_s, now.wall)
            if model.model not in known or known[model.model].how != how:
                self._turn(known, model, memory, how=how, now=now)

    def _turn(
        self, known: dict[str, _Open], model: ModelMemory, memory: ServerMemory, *, how: How, now: Instant
    ) -> None:
        """Ends a span where the next begins: when the new state came to be, as far as that is known."""
        old = known.get(model.model)
        first = memory.born.wall if self._seen is None else self._seen.wall
        earliest = first if old is None else max(first, old.begin + TICK)
        begin = max(min(since(model, memory, State(how[0])).wall, now.wall), earliest)
        if old is not None:
            self._store.append(_span(memory.server, model.model, old, begin))
        known[model.model] = _Open(how, begin)
        self._store.append(Span(*how, begin, begin, memory.server, model.model))

    def _count(self, key: Key, how: How, elapsed_s: float, now: datetime) -> None:
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        wanted, warm = counted(how[0], how[1])
        if wanted and elapsed_s > 0:
            tally.add(now, Share(elapsed_s, elapsed_s * warm))

    def _end_all(self, at: datetime) -> None:
        for server, models in self._open.items():
            self._store.append(*(_span(server, model, old, at) for model, old in models.items()))
            models.clear()

    def _end_gone(self, servers: Sequence[ServerMemory], at: datetime) -> None:
        """Ends the spans of what is not kept any more."""
        kept = {memory.server: {model.model for model in memory.models} for memory in servers}
        for server, models in self._open.items():
            for model in models.keys() - kept.get(server, set()):
                self._store.append(_span(server, model, models.pop(model), at))
                self._tallies.pop((server, model), None)
        for server in self._open.keys() - kept.keys():
            del self._open[server]

    def _tell_losses(self, at: datetime) -> None:
        lost, self._lost = self._store.records_lost - self._lost, self._store.records_lost
        if lost:
            self._store.append(_entry(LogDropped(records=lost), at, 0))

    # --- work of its own ----------------------------------------------------------------------------------------------

    def configure(self, _: object) -> None:
        """Nothing of a configuration concerns it."""

    async def run(self) -> None:
        """Recalls what was before, once the start is over; then waits for its end."""
        await self._began.wait()
        if self._seen is not None:
            await self._recall(self._seen.wall)
        await asyncio.Event().wait()

    async def _recall(self, until: datetime) -> None:
        while True:
            try:
                older = await asyncio.to_thread(recalled, self._store, until)
            except (sqlite3.Error, OSError, RuntimeError):  # the writer tells of it; or no descriptor or thread is left
                await asyncio.sleep(RECALL_AGAIN_S)
            else:
                break
        for key, tally in older.items():
            self._tallies.setdefault(key, Tally()).join(tally)


def recalled(store: Store, until: datetime) -> dict[Key, Tally]:
    """What the store knows of the last 30 days, by server and model.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    found: dict[Key, Tally] = {}
    for span in store.past.spans(since=until - timedelta(days=DAYS), until=until):
        if span.begin < until:
            found.setdefault((span.server, span.model), Tally()).add_span(replace(span, end=min(span.end, until)))
    return found


class _Uses:
    """Counts the minutes in which models were used; what was used before it looked the first time is not counted."""

    def __init__(self) -> None:
        self._last: dict[str, dict[str, Instant | None]] = {}
        self._of: dict[str, ServerMemory] = {}
        self._minutes: dict[Key, int] = {}
        self._pending: dict[tuple[str, str, int], Use] = {}
        self._met: set[str] = set()
        self._flushed: Instant | None = None
        self._day = -1

    def see(self, servers: Iterable[ServerMemory], now: Instant) -> list[Use]:
        """What is to be written now: what is kept, at the start and once a day; uses every ten minutes."""
        of = {memory.server: memory for memory in servers}
        for server, memory in of.items():
            if self._of.get(server) is not memory:
                self._last[server] = {used.name: self._look(memory, used, now) for used in uses(memory)}
            if memory.good is not None:
                self._met.add(server)
        self._of = of
        self._last = {server: last for server, last in self._last.items() if server in of}
        self._minutes = {key: minute for key, minute in self._minutes.items() if key[1] in self._last.get(key[0], ())}
        return self._due(now)

    def flushed(self) -> list[Use]:
        """What waits."""
        waiting, self._pending = list(self._pending.values()), {}
        return waiting

    def _look(self, memory: ServerMemory, used: Used, now: Instant) -> Instant | None:
        """Counts a use that is new; gives when it was."""
        key, last = (memory.server, used.name), self._last.get(memory.server, {})
        if used.name not in last and used.kind != GUEST:
            self._add(key, used, now, minutes=0)
        if used.at is None or used.at == last.get(used.name) or memory.server not in self._met:
            return used.at
        minute = int(used.at.wall.timestamp()) // MINUTE_S
        if self._minutes.get(key) != minute:
            self._minutes[key] = minute
            self._add(key, used, used.at, minutes=1)
        return used.at

    def _add(self, key: Key, used: Used, at: Instant, *, minutes: int) -> None:
        hour = int(at.wall.timestamp()) // HOUR_S
        old = self._pending.get((*key, hour))
        begins = datetime.fromtimestamp(hour * HOUR_S, UTC)
        so_far = minutes + (old.minutes if old else 0)
        self._pending[(*key, hour)] = Use(*key, begins, used.kind, so_far, used.size or (old.size if old else None))

    def _due(self, now: Instant) -> list[Use]:
        day = int(now.wall.timestamp()) // DAY_S
        if day != self._day:
            self._day, self._of = day, {}
            self._last = {
                server: {name: at for name, at in last.items() if at is not None} for server, last in self._last.items()
            }
        if self._flushed is not None and now.since(self._flushed) < FLUSH_USES_S:
            return []
        self._flushed = now
        return self.flushed()


def _entry(change: Change, at: datetime, repeated: int) -> Entry:
    told: dict[str, Any] = {name: plain(value) for name, value in change.told().items()}
    more = {"repeated": repeated} if repeated else {}
    return entry(at, change.event, change.level, told | more, sentence(change))


def _span(server: str, model: str, old: _Open, at: datetime) -> Span:
    return Span(*old.how, old.begin, max(at, old.begin + TICK), server, model)
