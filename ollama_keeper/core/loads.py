"""Folding the loads of ours: sent, answered, failed; and the idle test."""

from datetime import datetime

from ollama_keeper.core.changes import (
    BreakerClosed,
    Change,
    ModelLost,
    ModelReleased,
    ModelRenewed,
    ModelRepinned,
    PingFailed,
    ServerRecovered,
    WarmFailed,
    WarmStarted,
)
from ollama_keeper.core.facts import Answered, Failed, IdleTested, LoadRequest, Opened, Send
from ollama_keeper.core.failures import breaker_due, breaker_opened, open_breaker, warm_failed
from ollama_keeper.core.holds import retry_in_s
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.makeway import makes_way
from ollama_keeper.core.memory import Departure, Full, MadeWay, ModelMemory, OpenLoad, Pending, ServerMemory
from ollama_keeper.core.numbers import HOUR_S, RELOAD_FLOOR_S, RELOAD_FRACTION
from ollama_keeper.core.ownership import pinned
from ollama_keeper.core.policy import Release
from ollama_keeper.core.reasons import TRANSPORT_FAILURES, Cause, Failure, State
from ollama_keeper.core.record import replace
from ollama_keeper.core.release import without_released
from ollama_keeper.core.wishes import not_to_be_kept

REPAIR = "repair"

Folded = tuple[ServerMemory, tuple[Change, ...]]


def fold_opened(memory: ServerMemory, fact: Opened, now: Instant) -> Folded:
    """A load of ours was sent."""
    request = fact.request
    if memory.get(request.model) is None:
        return memory, ()
    model = memory.model(request.model)
    comes = makes_way(model, memory, now) if request.send is Send.UNLOAD else None
    way_for = comes.model if comes is not None else None
    load = OpenLoad(request, since=now, cause=fact.cause, listed=model.present is not None, way_for=way_for)
    memory = replace(memory, open=(*memory.open, load))
    if request.send is not Send.WARM:
        return memory, ()
    repaired = now if load.listed else model.repaired
    memory = memory.with_model(replace(model, told=(State.LOADING, fact.cause), repaired=repaired))
    started = WarmStarted(
        server=memory.server, model=model.model, state=State.LOADING, cause=fact.cause, attempt=model.failures + 1
    )
    return memory, (started,)


def fold_answered(memory: ServerMemory, fact: Answered, now: Instant) -> Folded:
    """A load of ours was answered as loaded; a warm is ready only when the next look lists it."""
    memory, load, recovered = _close(memory, fact.request, now)
    if load is None or memory.get(fact.request.model) is None:
        return memory, recovered
    took_s = now.since(load.since)
    model = memory.model(fact.request.model)
    match load.request.send:
        case Send.WARM:
            folded, told = _warmed(memory, model, load, took_s=took_s, now=now)
        case Send.RELEASE | Send.UNLOAD:
            folded, told = _given_back(memory, model, load, now)
        case _:
            folded, told = _touched(memory, model, load, took_s=took_s, now=now)
    return without_released(folded, now), (*recovered, *told)


def fold_failed(memory: ServerMemory, fact: Failed, now: Instant) -> Folded:
    """A load of ours failed."""
    given_up = fact.reason is Failure.LOAD_TIMEOUT
    memory, load, recovered = _close(memory, fact.request, now, given_up=given_up)
    if load is None or fact.stopping or memory.get(fact.request.model) is None:
        return memory, recovered
    if given_up:
        memory = replace(memory, abandoned=now)
    took_s = now.since(load.since)
    fold = _warm_failed if fact.request.send is Send.WARM else _touch_failed
    folded, told = fold(memory, fact, load, took_s=took_s, now=now)
    return folded, (*recovered, *told)


def fold_idle_tested(memory: ServerMemory, fact: IdleTested, now: Instant) -> Folded:
    """The idle test of a model ended."""
    if memory.get(fact.model) is None:
        return memory, ()
    return memory.with_model(replace(memory.model(fact.model), idle_tested=now, idle=fact.idle)), ()


def _close(
    memory: ServerMemory, request: LoadRequest, now: Instant, *, given_up: bool = False
) -> tuple[ServerMemory, OpenLoad | None, tuple[Change, ...]]:
    """Takes a load off the open ones; a scheduler that hung has moved, unless it was we who hung up."""
    load = next((load for load in memory.open if load.request == request), None)
    memory = replace(memory, open=tuple(other for other in memory.open if other is not load))
    queued = load is not None and (load.request.send is Send.WARM or load.vanished)
    if load is None or given_up or not queued:  # what is resident is answered beside the queue
        return memory, load, ()
    memory, recovered = hangs_no_more(memory, now.since(load.since))
    return memory, load, recovered


def hangs_no_more(memory: ServerMemory, open_s: float) -> Folded:
    """The scheduler has moved after it hung; `open_s` is how long our load was, or had been, open."""
    if memory.hung is None:
        return memory, ()
    change = ServerRecovered(server=memory.server, open_s=open_s, longest_load_s=memory.longest_load_s)
    return replace(memory, hung=None, freed=False), (change,)


# --- warms ------------------------------------------------------------------------------------------------------------


def _warmed(memory: ServerMemory, model: ModelMemory, load: OpenLoad, *, took_s: float, now: Instant) -> Folded:
    pending = Pending(load.request, at=now, took_s=took_s, cause=load.cause)
    changes: tuple[Change, ...] = ()
    if model.breaker is not None and not model.breaker.closed:
        closed = BreakerClosed(
            server=memory.server,
            model=model.model,
            open_s=now.since(model.breaker.opened),
            failures=model.breaker.failures,
        )
        model, changes = replace(model, breaker=replace(model.breaker, closed=True)), (closed,)
    model = replace(
        model,
        pending=pending,
        touched=now,
        failures=0,
        failed=None,
        failure=None,
        retry_after_s=None,
        shortest_load_s=min(model.shortest_load_s or took_s, took_s),
        longest_load_s=max(model.longest_load_s or took_s, took_s),
    )
    memory = replace(memory, longest_load_s=max(memory.longest_load_s or took_s, took_s))
    return memory.with_model(model), changes


def _warm_failed(memory: ServerMemory, fact: Failed, load: OpenLoad, *, took_s: float, now: Instant) -> Folded:
    model = memory.model(fact.request.model)
    model = warm_failed(model, fact.reason, now=now, retry_after_s=fact.retry_after_s)
    counted = fact.reason not in {Failure.NOT_FOUND, Failure.BAD_REQUEST, Failure.SERVER_BUSY, *TRANSPORT_FAILURES}
    recent = tuple(at for at in memory.failed_loads if now.mono - at < HOUR_S)
    memory = replace(memory, failed_loads=(*recent, now.mono))
    collateral = _collateral(memory, load)
    changes: tuple[Change, ...] = ()
    if counted and breaker_due(model, collateral=bool(collateral)):
        model = open_breaker(model, memory.server, now=now, failures=model.failures)
        changes = (breaker_opened(model, memory.server),)
    before = memory.full
    memory = _swept(_not_full_for_nothing(memory.with_model(model), load), model, collateral, now=now)
    failed = _failed_change(model, fact, collateral, server=memory.server, took_s=took_s)
    if memory.full is not None and memory.full is not before:
        failed = replace(failed, retry_s=None)  # it is contended from now on
    return memory, (failed, *changes)


def _failed_change(
    model: ModelMemory, fact: Failed, collateral: tuple[str, ...], *, server: str, took_s: float
) -> WarmFailed:
    final = model.rejected or model.missing
    breaker_s = model.breaker.open_s if model.breaker and not model.breaker.closed else 0.0
    return WarmFailed(
        server=server,
        model=model.model,
        reason=fact.reason,
        hint=HINTS.get(fact.reason, fact.detail or None),
        attempt=model.failures,
        took_s=took_s,
        status=fact.status,
        collateral=collateral or None,
        retry_s=None if final else max(retry_in_s(model, server), breaker_s),
    )


def _collateral(memory: ServerMemory, load: OpenLoad) -> tuple[str, ...]:
    """The wanted models that vanished while a load of ours was open."""
    return tuple(
        model.model
        for model in memory.models
        if model.model != load.request.model
        and model.departure is not None
        and model.departure.cause in {Cause.DISPLACED, Cause.MEMORY_SWEEP}
        and model.departure.at.mono >= load.since.mono
    )


def _not_full_for_nothing(memory: ServerMemory, load: OpenLoad) -> ServerMemory:
    """A server that seemed full because of this load is not: the load failed, and what it cost may come back."""
    doubt = memory.doubt
    if doubt is None or doubt.loser != load.request.model or doubt.since.mono < load.since.mono:
        return memory
    return replace(memory, doubt=None)


def _swept(memory: ServerMemory, model: ModelMemory, collateral: tuple[str, ...], *, now: Instant) -> ServerMemory:
    """A failed load that swept better models away must not be repeated: the server is full for it (OLLAMA.md 4.2)."""
    better = [memory.model(name) for name in collateral if memory.model(name).policy.rank < model.policy.rank]
    if not better:
        return memory
    lost = better[0]
    full = Full(now, model.policy.rank, model.model, lost.model, model.size, lost.size, sweep=True)
    return replace(memory, full=full)


# --- pings, re-pins, take-overs ---------------------------------------------------------------------------------------


def _touched(memory: ServerMemory, model: ModelMemory, load: OpenLoad, *, took_s: float, now: Instant) -> Folded:
    slow = _slow_as_a_load(model, took_s)
    keeps = load.request.send is not Send.PING
    remaining_s = memory.remaining_s(model.listed, now) if model.listed else 0.0
    model = _rearmed(replace(model, touched=now, ping_failed=None), memory.server_time(now))
    if slow or load.vanished or keeps:
        pending = Pending(load.request, at=now, took_s=took_s, cause=load.cause, slow=slow, vanished=load.vanished)
        model = replace(model, pending=pending, idle=False)
    if keeps:
        change: Change = ModelRepinned(server=memory.server, model=model.model, remaining_s=remaining_s, took_s=took_s)
    else:
        left = None if pinned(remaining_s) else remaining_s
        change = ModelRenewed(server=memory.server, model=model.model, remaining_s=left, took_s=took_s)
    return memory.with_model(model), (change,)


def _given_back(memory: ServerMemory, model: ModelMemory, load: OpenLoad, now: Instant) -> Folded:
    """A pin that was lowered is told at once; an unload when a look shows that it has happened."""
    if load.request.send is Send.UNLOAD and not_to_be_kept(model, memory, now) is None and not memory.is_leaving(model):
        if load.way_for is not None:
            return _unloaded_for_another(memory, model, load.way_for, now)
        return _unloaded_for_repair(memory, model, now)
    memory = memory.with_model(replace(model, given_back=True, touched=now, ping_failed=None, idle=False))
    if load.request.send is Send.UNLOAD:
        return memory, ()
    memory = memory.with_model(replace(memory.model(model.model), record=None))
    return memory, (ModelReleased(server=memory.server, model=model.model, how=Release.EXPIRE.value),)


def _unloaded_for_another(memory: ServerMemory, model: ModelMemory, better: str, now: Instant) -> Folded:
    """An unload that makes way: told once a look shows that it has left, which it may have done before the answer."""
    model = replace(model, made_way=MadeWay(better, now), touched=now, idle=False)
    if model.present is not None:
        return memory.with_model(model), ()
    gone = Departure(Cause.DISPLACED, now, model.last_seen, displaced_by=better, by_us=True)
    last_seen_s = now.since(model.last_seen) if model.last_seen else None
    lost = ModelLost(
        server=memory.server, model=model.model, cause=gone.cause, displaced_by=better, last_seen_s=last_seen_s
    )
    return memory.with_model(replace(model, record=None, returned=None, departure=gone, told=None)), (lost,)


def _unloaded_for_repair(memory: ServerMemory, model: ModelMemory, now: Instant) -> Folded:
    """An unload of a model that is to be kept: it will be loaded anew, or it frees a scheduler that hangs."""
    memory = memory.with_model(replace(model, repaired=now, unloading=model.present is not None, idle=False))
    memory = replace(memory, freed=memory.freed or memory.hung is not None)
    return memory, (ModelReleased(server=memory.server, model=model.model, how=REPAIR),)


def _rearmed(model: ModelMemory, at: datetime) -> ModelMemory:
    """Any answered request re-arms the runner's timer, so a lease counts from then (OLLAMA.md 1)."""
    return model if model.record is None else replace(model, record=replace(model.record, armed=at))


def _slow_as_a_load(model: ModelMemory, took_s: float) -> bool:
    if model.shortest_load_s is None:
        return False
    return took_s >= max(RELOAD_FRACTION * model.shortest_load_s, RELOAD_FLOOR_S)


def _touch_failed(memory: ServerMemory, fact: Failed, load: OpenLoad, *, took_s: float, now: Instant) -> Folded:
    model = replace(memory.model(fact.request.model), ping_failed=now)
    if load.vanished and model.present is None and model.departure is None:
        model = replace(model, departure=Departure(Cause.UNLOADED, at=now, last_seen=model.last_seen), record=None)
    if fact.reason is Failure.NOT_FOUND:
        model = replace(model, missing=True)
    change = PingFailed(
        server=memory.server,
        model=model.model,
        reason=fact.reason,
        hint=HINTS.get(fact.reason, fact.detail or None),
        took_s=took_s,
        status=fact.status,
    )
    return memory.with_model(model), (change,)


HINTS = {
    Failure.OUT_OF_MEMORY: "too large for the memory left: a smaller context_length, fewer models, or a smaller model",
    Failure.NOT_FOUND: "not pulled: ollama pull NAME",
    Failure.SERVER_BUSY: "Ollama's queue is full (OLLAMA_MAX_QUEUE)",
    Failure.LOAD_STALLED: "the load made no progress for OLLAMA_LOAD_TIMEOUT; a slow disk, or too little memory",
    Failure.LOAD_TIMEOUT: "longer than load_timeout; raise load_timeout if this model really takes so long",
}
"""What an operator can do about a failed load, by reason."""
