"""What is counted of changes, and of the time in which models were wanted and warm; nothing of who is known no more."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ollama_keeper.core import changes as of
from ollama_keeper.core.changes import Change
from ollama_keeper.core.counts import Histogram
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import By, Cause, Reason
from ollama_keeper.core.states import Told, states_of
from ollama_keeper.core.timeline import counted

LOAD_BOUNDS_S = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_800.0)
OUTAGE_BOUNDS_S = (5.0, 20.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0)
Key = tuple[str, str]
Which = tuple[str, str, str]
"""A counter, and one label of it by name and value."""


@dataclass(slots=True, eq=False)
class OfModel:
    """What was counted of one model on one server; `_s` are seconds."""

    wanted_s: float = 0.0
    warm_s: float = 0.0
    repins: int = 0
    tripped: bool = False
    by: Counter[Which] = field(default_factory=Counter)


@dataclass(slots=True)
class OfServer:
    """What was counted of one server."""

    load_s: Histogram = field(default_factory=lambda: Histogram(LOAD_BOUNDS_S))
    outage_s: Histogram = field(default_factory=lambda: Histogram(OUTAGE_BOUNDS_S))


@dataclass(slots=True)
class OfConfig:
    """How the configuration was read: the first time at the start, then anew."""

    good: bool = True
    succeeded: datetime | None = None
    reloads: int = 0
    failures: int = 0


class Counted:
    """A consumer of changes and a watcher of states. What is wanted and warm time, `core.timeline` says."""

    def __init__(self, now: Instant) -> None:
        """Args: now: when the keeper began."""
        self.models: dict[Key, OfModel] = {}
        self.servers: dict[str, OfServer] = {}
        self.config = OfConfig()
        self.jumps: Counter[str] = Counter(forward=0, back=0)
        self._seen = now
        self._states: dict[str, tuple[ServerMemory, tuple[Told, ...]]] = {}

    def take(self, change: Change, at: datetime) -> None:
        """Counts a change."""
        count = _COUNT.get(type(change))
        if count is not None:
            count(self, change, at)

    def see(self, servers: Sequence[ServerMemory], now: Instant) -> None:
        """Adds the time since the last look at it all to what the models are now, and forgets who is gone."""
        elapsed_s, self._seen = now.since(self._seen), now
        self._states = {memory.server: (memory, states_of(memory, now)) for memory in servers}
        for memory in servers:
            for model, (state, reason) in zip(memory.models, self.states(memory, now), strict=True):
                wanted, warm = counted(state, reason)
                if wanted:
                    own = self.of_model(memory.server, model.model)
                    own.wanted_s += elapsed_s
                    own.warm_s += elapsed_s if warm else 0.0
        self._forget(servers)

    def states(self, memory: ServerMemory, now: Instant) -> tuple[Told, ...]:
        """The states of the models of a server: as last seen, at most a beat ago, if nothing was learnt since."""
        known, states = self._states.get(memory.server, (None, ()))
        if known is not memory:
            states = states_of(memory, now)
            self._states[memory.server] = (memory, states)
        return states

    def of_model(self, server: str, model: str) -> OfModel:
        """What was counted of one model."""
        return self.models.setdefault((server, model), OfModel())

    def of_server(self, server: str) -> OfServer:
        """What was counted of one server."""
        return self.servers.setdefault(server, OfServer())

    def _forget(self, servers: Sequence[ServerMemory]) -> None:
        known = {(memory.server, model.model) for memory in servers for model in memory.known}
        self.models = {key: own for key, own in self.models.items() if key in known}
        names = {memory.server for memory in servers}
        self.servers = {name: own for name, own in self.servers.items() if name in names}

    # --- changes ------------------------------------------------------------------------------------------------------

    def count(self, change: Change, counter: str, label: str, value: str) -> None:
        """Counts one of a model."""
        if change.server is not None and change.model is not None:
            self.of_model(change.server, change.model).by[counter, label, value] += 1

    def lost(self, change: of.ModelLost, _: datetime) -> None:
        """A model that we gave back is no loss."""
        if change.cause is not None and change.reason is not Reason.RELEASED:
            self.count(change, "model_losses_total", "cause", change.cause.value)

    def started(self, change: of.WarmStarted, _: datetime) -> None:
        """A warm was sent."""
        if change.cause is not None:
            self.count(change, "warms_total", "cause", change.cause.value)

    def failed(self, change: of.WarmFailed | of.PingFailed, _: datetime) -> None:
        """A warm or a ping came to nothing."""
        counter = "warm_failures_total" if isinstance(change, of.WarmFailed) else "ping_failures_total"
        if change.reason is not None:
            self.count(change, counter, "reason", change.reason.value)

    def reloaded(self, change: of.ModelReloaded, _: datetime) -> None:
        """A resident model was loaded anew."""
        self.count(change, "model_reloads_total", "by", change.by.value)

    def repinned(self, change: of.ModelRepinned, _: datetime) -> None:
        """The wanted keep_alive was set again."""
        if change.server is not None and change.model is not None:
            self.of_model(change.server, change.model).repins += 1

    def tripped(self, change: of.BreakerOpened, _: datetime) -> None:
        """A breaker opened; whether it still is, its memory tells."""
        if change.server is not None and change.model is not None:
            self.of_model(change.server, change.model).tripped = True

    def came(self, change: of.ModelReady, _: datetime) -> None:
        """A model is resident: after a load of ours, or after an outage."""
        if change.server is None:
            return
        server = self.of_server(change.server)
        if change.by is By.KEEPER and change.load_s is not None:
            server.load_s.take(change.load_s)
        if change.outage_s is not None and change.cause is not Cause.FIRST_SEEN:
            server.outage_s.take(change.outage_s)

    def loaded(self, _: of.ConfigLoaded, at: datetime) -> None:
        """The configuration was taken."""
        self.config.reloads += self.config.succeeded is not None
        self.config.good, self.config.succeeded = True, at

    def rejected(self, _: of.ConfigRejected, _at: datetime) -> None:
        """The new configuration was not taken."""
        self.config.reloads += 1
        self.config.failures += 1
        self.config.good = False

    def jumped(self, change: of.ClockJumped, _: datetime) -> None:
        """The wall clock was set, or the machine slept."""
        self.jumps["forward" if change.delta_s > 0 else "back"] += 1


_COUNT: dict[type[Change], Callable[[Counted, Any, datetime], None]] = {
    of.ModelLost: Counted.lost,
    of.WarmStarted: Counted.started,
    of.WarmFailed: Counted.failed,
    of.PingFailed: Counted.failed,
    of.ModelReloaded: Counted.reloaded,
    of.ModelRepinned: Counted.repinned,
    of.BreakerOpened: Counted.tripped,
    of.ModelReady: Counted.came,
    of.ConfigLoaded: Counted.loaded,
    of.ConfigRejected: Counted.rejected,
    of.ClockJumped: Counted.jumped,
}
