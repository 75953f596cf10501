"""The first goroutine (sched:processPending): loads, evictions and reloads, strictly one request after another."""

from dataclasses import replace

from ollama_keeper.simulator.completed import condemn
from ollama_keeper.simulator.effects import Leaked
from ollama_keeper.simulator.handlers import use
from ollama_keeper.simulator.loading import begin
from ollama_keeper.simulator.memory import fits
from ollama_keeper.simulator.options import difference
from ollama_keeper.simulator.state import (
    FOREVER,
    HEALTH_TIMEOUT,
    Child,
    Doom,
    Phase,
    Runner,
    State,
    Turn,
)

MODELS_PER_GPU = 3
DEAD_CHILD = "child_dead"
WEDGED_CHILD = "child_wedged"


def progress(state: State, now: int) -> State:
    """The next thing that can be done without waiting; the same state where there is nothing.

    1. No request at hand: take the first of the queue; one whose client has gone is dropped without an answer.
    2. Waiting for unloads: any unload counts, not only the victim's.
    3. Out of memory: evict all others, and wait for as many unloads.
    4. Look at the request afresh: serve, reload, evict, or load.
    """
    turn = state.turn
    if turn is None:  # (1)
        return _take(state, now)
    if turn.phase is Phase.AWAIT:  # (2)
        return _woken(state, turn)
    if turn.phase is not Phase.CONSIDER:
        return state
    if turn.retried and turn.unloads:  # (3)
        return _evict_all(state, turn, now)
    return _consider(state, turn, now)  # (4)


def end_check(state: State, turn: Turn, now: int) -> State:
    """The health check of a wedged child has run out in the scheduler: it is replaced."""
    runner = state.runner(turn.wanted.key)
    if runner is None:
        return state.with_turn(replace(turn, phase=Phase.CONSIDER, until=None))
    return _reload(state, replace(turn, until=None), runner, WEDGED_CHILD, now)


def victim(state: State) -> Runner | None:
    """Who goes: the shortest duration first, ties by blob; the first idle one, else the first (sched:1664, 1557)."""
    order = sorted(state.runners, key=_rank) if state.version.since(0, 6, 6) else sorted(state.runners, key=_duration)
    return next((runner for runner in order if runner.uses == 0), order[0] if order else None)


def _take(state: State, now: int) -> State:
    if state.unload_events:
        return replace(state, unload_events=0)
    if not state.queue:
        return state
    wanted, *rest = state.queue
    state = replace(state, queue=tuple(rest))
    return state.emit(Leaked(now, wanted.id)) if wanted.gone else state.with_turn(Turn(wanted))


def _woken(state: State, turn: Turn) -> State:
    heard = min(turn.unloads, state.unload_events)
    if not heard:
        return state
    left = turn.unloads - heard
    turn = replace(turn, unloads=left, phase=Phase.AWAIT if left else Phase.CONSIDER)
    return replace(state, turn=turn, unload_events=state.unload_events - heard)


def _consider(state: State, turn: Turn, now: int) -> State:
    wanted = turn.wanted
    runner = state.runner(wanted.key)
    if runner is not None:
        return state if state.locked(wanted.key) else _reuse(state, turn, runner, now)
    limit = state.settings.max_loaded_models or state.limit
    if limit and len(state.runners) >= limit:
        return _evict(state, turn, now)
    limit = limit or MODELS_PER_GPU * max(state.settings.gpus, 1)
    state = state if state.limit == limit else replace(state, limit=limit)  # the same state tells that all wait
    if not state.runners or fits(wanted, state):
        return begin(state, turn, now)
    return _evict_all(state, turn, now) if turn.retried else _evict(state, turn, now)


def _reuse(state: State, turn: Turn, runner: Runner, now: int) -> State:
    unlike = difference(runner, turn.wanted, state.settings)
    if unlike or runner.child is Child.DEAD:
        return _reload(state, turn, runner, unlike or DEAD_CHILD, now)
    if runner.child is Child.WEDGED:
        return state.with_turn(replace(turn, phase=Phase.CHECK, until=now + HEALTH_TIMEOUT))
    return use(state.with_turn(None), runner, turn.wanted, now)


def _reload(state: State, turn: Turn, runner: Runner, why: str, now: int) -> State:
    waiting = replace(turn, reload=why, phase=Phase.AWAIT, unloads=1)
    return condemn(state.with_turn(waiting), runner, Doom("reload", turn.wanted.who), now)


def _evict(state: State, turn: Turn, now: int) -> State:
    """Choose a victim and wait; the choice takes each runner's lock, so that one held anywhere delays it."""
    if any(state.locked(runner.key) for runner in state.runners):
        return state
    chosen = victim(state)
    if chosen is None:
        return state
    waiting = replace(turn, phase=Phase.AWAIT, unloads=1)
    return condemn(state.with_turn(waiting), chosen, Doom("evicted", turn.wanted.who), now)


def _evict_all(state: State, turn: Turn, now: int) -> State:
    if any(state.locked(runner.key) for runner in state.runners):
        return state
    others = [runner for runner in state.runners if runner.key != turn.wanted.key]
    phase = Phase.AWAIT if others else Phase.CONSIDER
    state = state.with_turn(replace(turn, phase=phase, unloads=len(others)))
    for runner in others:
        state = condemn(state, runner, Doom("memory_sweep", turn.wanted.who), now)
    return state


def _duration(runner: Runner) -> int:
    return runner.duration % (2 * (FOREVER + 1))  # compared unsigned, so that an overflown one comes last


def _rank(runner: Runner) -> tuple[int, str]:
    return _duration(runner), runner.key
