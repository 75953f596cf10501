"""What is wrong now, of all servers and models: the conditions of the alerts, read off the states that exist.

A healthy server or model yields nothing. What cannot be told now is named as unknown, for unknown is not well.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from ollama_keeper.core.announce import hung_after_s
from ollama_keeper.core.facts import Send
from ollama_keeper.core.holds import rival
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import HOUR_S, QUARREL_RELOADS
from ollama_keeper.core.outlook import outlook
from ollama_keeper.core.reasons import ON_CPU, Alert, By, Cause, Failure, Reason, ServerState, State, StateReason
from ollama_keeper.core.states import States, Told, gpu_missing, lacks_gpu, misplacement, states_of

SKEW_S = 60.0
BUSY_BY_ITSELF_S = 1_800.0  # a server that says itself that it has too much to do is given so long
SLOW_HEALING_S = 120.0  # on top of the age at which an open warm shows a hung scheduler: that alert comes first
HEALING_MOST_S = 1_200.0
QUEUED_MOST_S = 1_800.0
COLD_START_FOR_S = 900.0

Details = tuple[tuple[str, str | int | float], ...]


class Aspect(StrEnum):
    """What of a server or model can be wrong in one way at a time."""

    ABSENT = "absent"
    DEGRADED = "degraded"
    STUCK = "stuck"
    COLD_START = "cold_start"
    OPTIONS = "options"
    DOWN = "down"
    BUSY = "busy"
    HUNG = "hung"
    CLOCK = "clock"
    GPU = "gpu"
    CONFIG = "config"
    KEEPER = "keeper"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """Whose trouble it is: of a model on a server, of a server, or of the keeper, where both names are empty."""

    server: str
    model: str
    aspect: Aspect


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong now.

    Attributes:
        since: when it came to be so, as far as that is known.
        reason: in the words of the closed lists.
        details: what a message tells beside it.
        waits: it mends itself as it usually does, so that it is not worth a message yet.
    """

    subject: Subject
    alert: Alert
    since: Instant
    reason: StateReason = None
    details: Details = ()
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at one moment.

    Attributes:
        findings: what is wrong, by its subject.
        unknown: models of which nothing can be told now, as server and model.
        idle: models that are not to be kept now, with the state that says why.
        wanted: models that are configured; `servers` those that are looked at.
        appeared: since when each resident model is listed.
    """

    findings: dict[Subject, Finding] = field(default_factory=dict)
    unknown: set[tuple[str, str]] = field(default_factory=set)
    idle: dict[tuple[str, str], State] = field(default_factory=dict)
    wanted: set[tuple[str, str]] = field(default_factory=set)
    servers: set[str] = field(default_factory=set)
    appeared: dict[tuple[str, str], Instant] = field(default_factory=dict)


def observed(servers: Iterable[ServerMemory], now: Instant, states: States = states_of) -> Seen:
    """Everything that is wrong with the servers and their models.

    Args:
        states: of all models of a server, where somebody has them already.
    """
    seen = Seen()
    for memory in servers:
        seen.servers.add(memory.server)
        _add(seen, _of_server(memory, now))
        for model, told in zip(memory.models, states(memory, now), strict=True):
            _observe(seen, model, memory, told=told, now=now)
    return seen


def _observe(seen: Seen, model: ModelMemory, memory: ServerMemory, *, told: Told, now: Instant) -> None:
    key = memory.server, model.model
    state, reason = told
    seen.wanted.add(key)
    if state is State.UNKNOWN:
        seen.unknown.add(key)
        return
    if state in NOT_NOW:
        seen.idle[key] = state
        return
    if model.present is not None and model.returned is not None and model.returned.cause in CAUSES_OF_COLD_STARTS:
        seen.appeared[key] = model.present.appeared
    _add(seen, _of_model(model, memory, state, reason, now))


def _add(seen: Seen, findings: Iterable[Finding]) -> None:
    for finding in findings:
        seen.findings[finding.subject] = finding


# --- servers ----------------------------------------------------------------------------------------------------------


def _of_server(memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    name = memory.server
    if memory.state in {ServerState.WAITING, ServerState.DOWN}:
        details = _details(failures=memory.failures or None, version=memory.version)
        yield Finding(_subject(name, Aspect.DOWN), Alert.SERVER_DOWN, memory.since, memory.failure, details)
    if memory.state is ServerState.BUSY:
        patient = memory.failure in BUSY_SIGNS and now.since(memory.since) < BUSY_BY_ITSELF_S
        reason, details = memory.failure or Failure.READ_TIMEOUT, _details(version=memory.version)
        yield Finding(_subject(name, Aspect.BUSY), Alert.SERVER_BUSY, memory.since, reason, details, waits=patient)
    if memory.hung is not None:
        yield _hung(memory, memory.hung, now)
    if gpu_missing(memory):
        yield _without_gpu(memory)
    if memory.skew_s is not None and abs(memory.skew_s) > SKEW_S:
        details = _details(skew_s=round(memory.skew_s))
        yield Finding(_subject(name, Aspect.CLOCK), Alert.CLOCK_SKEW, memory.good or memory.since, None, details)


def _hung(memory: ServerMemory, since: Instant, now: Instant) -> Finding:
    load = next((load for load in memory.open if load.request.send is Send.WARM), None)
    longest_s = memory.longest_load_s
    details = _details(
        loading=load.request.model if load else None,
        open_s=round(now.since(load.since)) if load else None,
        longest_load_s=round(longest_s, 1) if longest_s is not None else None,
    )
    return Finding(_subject(memory.server, Aspect.HUNG), Alert.SCHEDULER_HUNG, since, Reason.SCHEDULER_HUNG, details)


def _without_gpu(memory: ServerMemory) -> Finding:
    """Once for the server: no reload of a model brings its GPU back."""
    there = [model.present for model in memory.models if misplacement(model, memory) in ON_CPU and model.present]
    since = min((present.appeared for present in there), default=memory.since)
    return Finding(
        _subject(memory.server, Aspect.GPU), Alert.DEGRADED, since, Reason.ON_CPU, _details(models=len(there))
    )


def _subject(server: str, aspect: Aspect, model: str = "") -> Subject:
    return Subject(server, model, aspect)


# --- models -----------------------------------------------------------------------------------------------------------


def _of_model(
    model: ModelMemory, memory: ServerMemory, state: State, reason: StateReason, now: Instant
) -> Iterator[Finding]:
    absent = _absence(model, state, reason)
    if absent is not None:
        since = model.departure.at if model.departure else memory.born
        waits = reason is Reason.BEING_PULLED or (absent is not Alert.MISSING and _heals(model, memory, state, now))
        details = _told(model, memory, state, now)
        yield Finding(_subject(memory.server, Aspect.ABSENT, model.model), absent, since, reason, details, waits)
    if state in LISTED and model.present is not None and not lacks_gpu(reason, memory):
        aspect, alert = LISTED[state]
        details = _told(model, memory, state, now)
        yield Finding(_subject(memory.server, aspect, model.model), alert, model.present.appeared, reason, details)
    yield from _cold_start(model, memory, now)
    yield from _disagreement(model, memory, now)


def _absence(model: ModelMemory, state: State, reason: StateReason) -> Alert | None:
    """The alert of a model that is not there, the most telling one; None where it is there, or need not be."""
    if state in {State.READY, State.DEGRADED, State.STUCK} or reason in {Reason.RELEASED, *REFUSED_BY_NATURE}:
        return None
    if state is State.MISSING:
        return Alert.MISSING
    if state is State.CONTENDED:
        return Alert.CONTENDED
    breaker = model.breaker
    return Alert.BREAKER_OPEN if breaker is not None and not breaker.closed else Alert.MODEL_LOST


def _heals(model: ModelMemory, memory: ServerMemory, state: State, now: Instant) -> bool:
    """Whether it is on its way back: being loaded, or next after a load, for no longer than that usually takes."""
    gone_s = now.since(model.departure.at) if model.departure else now.since(memory.born)
    if state not in {State.LOADING, State.QUEUED} or gone_s > QUEUED_MOST_S:
        return False
    loads = [load for load in memory.open if load.request.send is not Send.UNLOAD]
    known = {one.model: one for one in memory.known}
    return bool(loads) and all(
        now.since(load.since)
        < min(hung_after_s(known.get(load.request.model, model), memory) + SLOW_HEALING_S, HEALING_MOST_S)
        for load in loads
    )


def _cold_start(model: ModelMemory, memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    """A model that was lost came back by a slow load of ours: whoever asked meanwhile had to wait."""
    back, present = model.returned, model.present
    if back is None or present is None or back.by is not By.KEEPER or back.cause not in CAUSES_OF_COLD_STARTS:
        return
    slow = back.load_s is not None and back.load_s >= model.policy.slow_load_s
    if not slow or now.since(present.appeared) >= COLD_START_FOR_S:
        return
    details = _details(load_s=round(back.load_s or 0.0, 1), outage_s=back.outage_s)
    subject = _subject(memory.server, Aspect.COLD_START, model.model)
    yield Finding(subject, Alert.COLD_START, present.appeared, back.cause, details)


def _disagreement(model: ModelMemory, memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    """Clients have reloaded the model with other options; over once an hour has fewer such reloads."""
    recent = [at for at in model.client_reloads if now.mono - at < HOUR_S]
    if len(recent) < QUARREL_RELOADS:
        return
    listed = model.listed
    details = _details(reloads=len(recent), context_length=listed.context_length if listed else None)
    since = now.later(recent[0] - now.mono)
    yield Finding(_subject(memory.server, Aspect.OPTIONS, model.model), Alert.OPTIONS_DISAGREE, since, None, details)


def _told(model: ModelMemory, memory: ServerMemory, state: State, now: Instant) -> Details:
    """What a message tells of a model: what it is doing, who took its place, sizes, and what comes next."""
    gone, listed, coming = model.departure, model.listed, outlook(model, memory, now)
    rival = _rival(model, memory, state)
    return _details(
        state=state.value,
        cause=gone.cause.value if gone else None,
        displaced_by=gone.displaced_by if gone else None,
        size_bytes=model.size or None,
        with_=rival,
        with_size_bytes=_size(memory, rival),
        failure=model.failure.value if model.failure and model.failures else None,
        failures=model.failures or None,
        gpu_fraction=listed.gpu_fraction if listed else None,
        context_length=listed.context_length if listed else None,
        next=coming.step.value if coming else None,
        next_s=round(coming.in_s) if coming and coming.in_s is not None else None,
    )


def _rival(model: ModelMemory, memory: ServerMemory, state: State) -> str | None:
    """The model that it cannot be kept beside."""
    other = rival(model, memory) if state is State.CONTENDED else None
    return other.model if other is not None else None


def _size(memory: ServerMemory, name: str | None) -> int | None:
    other = memory.get(name) if name else None
    return (other.size or None) if other else None


def _details(**told: str | int | float | None) -> Details:
    """What is known of all that may be told."""
    return tuple((name.rstrip("_"), value) for name, value in told.items() if value is not None)


NOT_NOW = frozenset({State.PAUSED, State.OFF_HOURS, State.OVER_BUDGET})
BUSY_SIGNS = frozenset({Failure.HTTP_429, Failure.SERVER_BUSY})
REFUSED_BY_NATURE = (Reason.CLOUD_MODEL, Reason.IMAGE_MODEL, Reason.SAME_WEIGHTS)
"""Refusals that the configuration itself is to blame for: `check`, `status` and the log tell of them."""
CAUSES_OF_COLD_STARTS = frozenset(
    {Cause.UNOBSERVED, Cause.EXPIRED, Cause.DISPLACED, Cause.MEMORY_SWEEP, Cause.UNLOADED}
)
"""Losses; a restarted server is told as such, and what was asked for needs no alert."""
LISTED = {State.DEGRADED: (Aspect.DEGRADED, Alert.DEGRADED), State.STUCK: (Aspect.STUCK, Alert.STUCK)}
