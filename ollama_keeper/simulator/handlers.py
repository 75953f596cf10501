"""What a request's own handler does with a runner: the fast path, its locks, and the unload shortcut."""

from dataclasses import replace

from ollama_keeper.simulator.completed import expire
from ollama_keeper.simulator.effects import Granted, Leaked, Refused, SlotGranted, UnloadAnswered
from ollama_keeper.simulator.loading import abort
from ollama_keeper.simulator.options import difference, parallel
from ollama_keeper.simulator.state import (
    HEALTH_TIMEOUT,
    Check,
    Child,
    Doom,
    Finished,
    Grant,
    Runner,
    State,
    UnloadRequest,
    Wanted,
)

QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"


def arrive(state: State, wanted: Wanted, now: int) -> State:
    """A handler asks for a runner (sched:getRunner): fast path from 0.11.5, else the queue."""
    runner = state.runner(wanted.key)
    if not state.version.fast_path or runner is None:
        return enqueue(state, wanted, now)
    if state.locked(wanted.key):
        return replace(state, at_lock=(*state.at_lock, wanted))
    if difference(runner, wanted, state.settings) or runner.child is Child.DEAD:
        return enqueue(state, wanted, now)
    if runner.child is Child.WEDGED:
        return replace(state, checks=(*state.checks, Check(wanted, now + HEALTH_TIMEOUT)))
    return use(state, runner, wanted, now)


def use(state: State, runner: Runner, wanted: Wanted, now: int) -> State:
    """Give a request the runner; a keep_alive overwrites the duration, also a condemned runner's (#17408)."""
    runner = replace(runner, uses=runner.uses + 1, timer=None)
    if wanted.keep_alive is not None:
        runner = replace(runner, duration=wanted.keep_alive, doom=None)
    return grant(state.with_runner(runner), runner, wanted, now)


def grant(state: State, runner: Runner, wanted: Wanted, now: int) -> State:
    """Hand the runner over; to a client that has gone, for no longer than it takes to notice."""
    given = Grant(wanted.id, runner.key, runner.pid, wanted.who)
    state = replace(state, grants=(*state.grants, given)).emit(Granted(now, wanted.id))
    return _end(state, given, now) if wanted.gone else state


def enqueue(state: State, wanted: Wanted, now: int) -> State:
    """Put a request into the scheduler's queue, or refuse it where that is full."""
    if len(state.queue) >= state.settings.max_queue:
        return state.emit(Refused(now, wanted.id, 503, QUEUE_FULL))
    return replace(state, queue=(*state.queue, wanted))


def end_check(state: State, check: Check, now: int) -> State:
    """A wedged child has not answered in time: on to the queue, where the scheduler checks again."""
    state = replace(state, checks=tuple(other for other in state.checks if other is not check))
    return enqueue(state, check.wanted, now)


def release(state: State, now: int) -> State:
    """Let the first handler go on whose runner's lock has become free; the same state where there is none."""
    free = next((waiting for waiting in state.at_lock if not state.locked(waiting.key)), None)
    if free is None:
        return state
    state = replace(state, at_lock=tuple(waiting for waiting in state.at_lock if waiting is not free))
    return _unload(state, free, now) if isinstance(free, UnloadRequest) else arrive(state, free, now)


def ask_unload(state: State, request: UnloadRequest, now: int) -> State:
    """The unload shortcut (sched:expireRunner): answered at once, unless somebody holds the runner's lock.

    A GGUF model that is still loading is not in the map from 0.30 on, so that its unload does nothing.
    """
    if state.locked(request.key):
        return replace(state, at_lock=(*state.at_lock, request))
    return _unload(state, request, now)


def leave(state: State, request: int, now: int) -> State:
    """A request is over: answered, or given up by its client, wherever it stands."""
    given = state.grant(request)
    if given is not None:
        return _end(state, given, now)
    state = replace(state, at_lock=tuple(waiting for waiting in state.at_lock if waiting.id != request))
    queue = tuple(replace(wanted, gone=True) if wanted.id == request else wanted for wanted in state.queue)
    checks = tuple(check for check in state.checks if check.wanted.id != request)
    left = tuple(check for check in state.checks if check.wanted.id == request)
    state = replace(state, queue=queue, checks=checks).emit(*(Leaked(now, check.wanted.id) for check in left))
    return abort(state, request, now)


def need_slot(state: State, request: int, now: int) -> State:
    """A granted request wants to compute: it waits for one of the runner's slots (lls:1536)."""
    grants = tuple(replace(given, slot=False) if given.id == request else given for given in state.grants)
    given = state.grant(request)
    state = replace(state, grants=grants)
    return _fill_slots(state, given.key, now) if given else state


def _unload(state: State, request: UnloadRequest, now: int) -> State:
    state = state.emit(UnloadAnswered(now, request.id))
    runner = state.runner(request.key)
    if runner is None:
        return state
    doom = Doom("unload", request.who)
    condemned = replace(runner, timer=None, duration=0, doom=doom, expires_at=now + state.wall_offset)
    state = state.with_runner(condemned)
    return expire(state, condemned, doom, now) if runner.uses <= 0 else state


def _end(state: State, given: Grant, now: int) -> State:
    grants = tuple(other for other in state.grants if other.id != given.id)
    news = Finished(now + state.settings.delays.finish, given.key)
    state = replace(state, grants=grants, inbox=(*state.inbox, news))
    return _fill_slots(state, given.key, now)


def _fill_slots(state: State, key: str, now: int) -> State:
    runner = state.runner(key)
    if runner is None:
        return state
    free = parallel(runner.model, state.settings) - sum(
        given.slot is True for given in state.grants if given.key == key
    )
    waiting = [given.id for given in state.grants if given.key == key and given.slot is False][: max(free, 0)]
    grants = tuple(replace(given, slot=True) if given.id in waiting else given for given in state.grants)
    return replace(state, grants=grants).emit(*(SlotGranted(now, request) for request in waiting))
