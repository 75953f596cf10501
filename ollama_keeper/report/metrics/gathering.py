"""What is known and was counted, as samples: first of the keeper, then of one server after the other."""

import platform
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from ollama_keeper import __version__
from ollama_keeper.core.counts import Counts, Timing
from ollama_keeper.core.facts import Listed, Send
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import Alert, ServerState, State
from ollama_keeper.core.states import resident
from ollama_keeper.core.timeline import NOT_WANTED
from ollama_keeper.report.metrics.counted import Counted, OfModel
from ollama_keeper.report.metrics.labels import NONE, Labels
from ollama_keeper.report.metrics.samples import Samples, Series
from ollama_keeper.report.metrics.voice import Voice

Add = Callable[[str, Labels, float], None]
NOTHING = OfModel()


class ServerAtWork(Protocol):
    """What is read of a server's shell."""

    memory: ServerMemory
    counts: Counts


class Desk(Protocol):
    """What is read of the daemon."""

    @property
    def servers(self) -> Iterable[ServerAtWork]:
        """The servers at work."""
        ...

    @property
    def timing(self) -> Timing:
        """How well the schedule and the loop keep their times."""
        ...


class Known:
    """Labels of servers and models, made once and forgotten with them."""

    def __init__(self) -> None:
        self._labels: dict[tuple[str, ...], Labels] = {}

    def server(self, name: str) -> Labels:
        """The labels of a server."""
        return self._labels.get((name,)) or self._labels.setdefault((name,), Labels(server=name))

    def model(self, server: str, name: str) -> Labels:
        """The labels of a model."""
        key = (server, name)
        return self._labels.get(key) or self._labels.setdefault(key, Labels(server=server, model=name))

    def keep(self, servers: Iterable[ServerMemory]) -> None:
        """Forgets all but these."""
        memories, known = tuple(servers), set[tuple[str, ...]]()
        if len(self._labels) <= sum(len(memory.models) + 1 for memory in memories):
            return
        for memory in memories:
            known |= {(memory.server,), *((memory.server, model.model) for model in memory.models)}
        self._labels = {key: labels for key, labels in self._labels.items() if key in known}


# --- the keeper -------------------------------------------------------------------------------------------------------


def of_keeper(samples: Samples, counted: Counted, timing: Timing, *, dropped: int) -> None:
    """The keeper itself."""
    config = counted.config
    samples.add("build_info", Labels(version=__version__, python_version=platform.python_version()), 1)
    samples.add("config_last_reload_successful", NONE, config.good)
    if config.succeeded is not None:
        samples.add("config_last_reload_success_timestamp_seconds", NONE, config.succeeded.timestamp())
    samples.add("config_reloads_total", NONE, config.reloads)
    samples.add("config_reload_failures_total", NONE, config.failures)
    samples.spread("schedule_lag_seconds", NONE, timing.lag_s)
    samples.add("schedule_missed_total", NONE, timing.missed)
    samples.add("event_loop_lag_seconds", NONE, timing.loop_lag_s)
    samples.add("log_records_dropped_total", NONE, dropped)
    for kind, count in counted.jumps.items():
        samples.add("clock_jumps_total", Labels(kind=kind), count)


def of_voice(samples: Samples, voice: Voice) -> None:
    """Alerts, none left out, and the sinks."""
    firing = [incident.alert for incident in voice.firing]
    for alert in Alert:
        samples.add("alerts_firing", Labels(alert=alert.value), firing.count(alert))
    for sink in voice.sinks:
        labels = Labels(sink=sink.settings.name)
        samples.add("notifications_total", labels, sink.sent)
        samples.add("notification_queue_length", labels, voice.waiting(sink))
        if sink.succeeded is not None:
            samples.add("notification_last_success_timestamp_seconds", labels, sink.succeeded.timestamp())
        for reason, count in sink.failures.items():
            samples.add("notification_failures_total", labels.plus("reason", reason.value), count)


# --- servers ----------------------------------------------------------------------------------------------------------


def of_server(samples: Samples, server: ServerAtWork, counted: Counted, labels: Labels, now: Instant) -> None:
    """One server, without its models."""
    memory, counts, own = server.memory, server.counts, counted.of_server(server.memory.server)
    samples.add("server_up", labels, memory.state is ServerState.UP)
    samples.add("server_state", labels.plus("state", memory.state.value), 1)
    if memory.version is not None:
        samples.add("server_info", labels.plus("version", memory.version), 1)
    if memory.skew_s is not None:
        samples.add("server_clock_skew_seconds", labels, memory.skew_s)
    if memory.good is not None:
        samples.add("last_look_success_timestamp_seconds", labels, memory.good.wall.timestamp())
    ages_s = [now.since(load.since) for load in memory.open if load.request.send is not Send.UNLOAD]
    samples.add("looks_total", labels, counts.looks)
    samples.add("pings_total", labels, counts.pings)
    samples.add("loads_in_flight", labels, len(ages_s))
    samples.add("load_age_seconds", labels, max(ages_s, default=0.0))
    for reason, count in counts.look_failures.items():
        samples.add("look_failures_total", labels.plus("reason", reason.value), count)
    samples.spread("look_duration_seconds", labels, counts.look_s)
    samples.spread_again("load_duration_seconds", labels, own.load_s)
    samples.spread_again("outage_duration_seconds", labels, own.outage_s)


class Apart:
    """Each model has series of its own."""

    def __init__(self, samples: Samples, known: Known) -> None:
        self.add: Add = samples.add
        self.again = samples.again
        self.labels = known.model


class Together:
    """The series of all models of a server are one."""

    def __init__(self, samples: Samples, known: Known) -> None:
        self.add: Add = samples.sum
        self._known = known

    def labels(self, server: str, _: str) -> Labels:
        """The labels of the server."""
        return self._known.server(server)

    def again(self, _: Labels, _key: object, tell: Callable[..., Iterable[Series]], *of: object) -> None:
        """Adds to each."""
        for series in tell(*of):
            self.add(*series)


def of_models(memory: ServerMemory, counted: Counted, now: Instant, place: Apart | Together) -> None:
    """The models of one server."""
    add, again, server = place.add, place.again, memory.server
    for model, (state, _) in zip(memory.models, counted.states(memory, now), strict=True):
        name, breaker = model.policy.model, model.breaker
        labels, own = place.labels(server, name), counted.models.get((server, name), NOTHING)
        listed = model.listed if resident(model) and state is not State.UNKNOWN else None
        holds = int(breaker is not None and breaker.holds(now)) if breaker or own.tripped else None
        sizes = (listed.size, listed.size_vram) if listed else None
        key = (state, sizes, own, own.by.total(), own.repins, holds)
        again(labels, key, _of_model, labels, state, listed, own, holds)
        add("model_wanted_seconds_total", labels, own.wanted_s)
        add("model_warm_seconds_total", labels, own.warm_s)


def _of_model(labels: Labels, state: State, listed: Listed | None, own: OfModel, holds: int | None) -> Iterator[Series]:
    """What is mostly the same from one page to the next: what a model is now, and what has happened to it."""
    yield from _now(labels, state, listed)
    yield from _happened(labels, own, holds)


def _now(labels: Labels, state: State, listed: Listed | None) -> tuple[Series, ...]:
    """What a model is now; `listed` while it is known to be resident."""
    return (
        ("model_wanted", labels, state not in NOT_WANTED),
        ("model_resident", labels, listed is not None),
        ("model_state", labels.plus("state", state.value), 1),
        ("model_size_bytes", labels, listed.size if listed else 0),
        ("model_vram_bytes", labels, listed.size_vram if listed else 0),
    )


def _happened(labels: Labels, own: OfModel, holds: int | None) -> Iterator[Series]:
    """What has happened to a model: counts that only grow, and its breaker, None where it never opened."""
    for (counter, label, value), count in own.by.items():
        yield counter, labels.plus(label, value), count
    if own.repins:
        yield "repins_total", labels, own.repins
    if holds is not None:
        yield "breaker_open", labels, holds
