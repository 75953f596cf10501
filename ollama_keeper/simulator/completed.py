"""The second goroutine (sched:processCompleted): ends of requests, timers, unloads; one event at a time."""

from dataclasses import replace

from ollama_keeper.simulator.effects import Unloaded
from ollama_keeper.simulator.state import MILLISECOND, Closing, Doom, Expired, Finished, Runner, State

EXPIRED = Doom("expired")
ZERO_KEEP_ALIVE = Doom("keep_alive_0")
COMES_BACK = 5 * MILLISECOND  # an expiry that found the runner busy is tried anew each 10 ms (sched:419)


def due(state: State) -> int | None:
    """When this goroutine can go on; None when nothing is to do, or a runner's lock keeps it."""
    if state.closing is not None:
        return state.closing.until
    item = _next(state)
    return None if item is None or state.locked(item.key) else item.at


def process(state: State, now: int) -> State:
    """One event, if one is due; the same state otherwise."""
    if state.closing is not None:
        return _closed(state, state.closing, now) if state.closing.until <= now else state
    item = _next(state)
    if item is None or item.at > now or state.locked(item.key):
        return state
    rest = list(state.inbox)
    rest.remove(item)
    state = replace(state, inbox=tuple(rest))
    return _finished(state, item, now) if isinstance(item, Finished) else _expired(state, item, now)


def fire_timer(state: State, runner: Runner, now: int) -> State:
    """A keep-alive has run out: the news is on its way, and nothing stops it any more."""
    state = state.with_runner(replace(runner, timer=None))
    return expire(state, runner, EXPIRED, now + state.settings.delays.expire)


def expire(state: State, runner: Runner, doom: Doom, at: int) -> State:
    """Send word that the runner is to go."""
    return replace(state, inbox=(*state.inbox, Expired(at, runner.key, runner.pid, doom)))


def condemn(state: State, runner: Runner, doom: Doom, now: int) -> State:
    """Mark a runner as to be unloaded: at once if idle, else when its last request ends (sched:338-349).

    Its `expires_at` does not change, so nothing shows it.
    """
    state = state.with_runner(replace(runner, timer=None, duration=0, doom=doom))
    return expire(state, runner, doom, now) if runner.uses <= 0 else state


def _next(state: State) -> Finished | Expired | None:
    return min(state.inbox, key=lambda item: item.at, default=None)


def _finished(state: State, item: Finished, now: int) -> State:
    runner = state.runner(item.key)
    if runner is None:
        return state
    runner = replace(runner, uses=runner.uses - 1)
    if runner.uses > 0:
        return state.with_runner(runner)
    if runner.duration <= 0:
        state = state.with_runner(replace(runner, timer=None))
        state = expire(state, runner, runner.doom or ZERO_KEEP_ALIVE, now)
    else:
        expires_at = now + state.wall_offset + runner.duration
        state = state.with_runner(replace(runner, timer=now + runner.duration, expires_at=expires_at))
    return _come_back(state, runner, now)


def _come_back(state: State, runner: Runner, now: int) -> State:
    return expire(state, runner, runner.expiring, now + COMES_BACK) if runner.expiring else state


def _expired(state: State, item: Expired, now: int) -> State:
    runner = state.runner(item.key)
    if runner is None or runner.pid != item.pid:
        return state
    if runner.uses > 0:
        return state.with_runner(replace(runner, expiring=item.doom))
    return replace(state, closing=Closing(item.key, now + state.settings.delays.unload, item.doom))


def _closed(state: State, closing: Closing, now: int) -> State:
    runner = state.runner(closing.key)
    if closing.settling or runner is None:
        return replace(state, closing=None, unload_events=state.unload_events + 1)
    state = state.without_runner(closing.key)
    state = state.emit(Unloaded(now, runner.model.name, runner.key, closing.doom.cause, closing.doom.by))
    settle = state.settings.delays.settle if runner.size_vram else 0
    return replace(state, closing=Closing(closing.key, now + settle, closing.doom, settling=True))
