"""`step`: one event into a server, the new state and what came of it out. Pure; nothing here knows a clock or HTTP.

A step first lets everything happen that was due before the event, each thing at its own instant, so that it does not
matter how late the shell wakes.
"""

from collections.abc import Callable
from dataclasses import replace

from ollama_keeper.simulator import completed, handlers, loading, pending
from ollama_keeper.simulator.effects import Arrived, Effect, Event, Left, NeedsSlot, Tick, UnloadAsked
from ollama_keeper.simulator.mishaps import befall
from ollama_keeper.simulator.state import Loading, State, Turn, UnloadRequest

Act = Callable[[State, int], State]
Due = tuple[int, Act]


def step(state: State, event: Event, now: int) -> tuple[State, tuple[Effect, ...]]:
    """The server after an event at `now`, nanoseconds; what it brought about, in order."""
    state = settle(_apply(advance(state, now), event, now), now)
    return replace(state, out=()), state.out


def next_due(state: State) -> int | None:
    """When something happens by itself; None when nothing will."""
    return min((at for at, _ in _dues(state)), default=None)


def advance(state: State, now: int) -> State:
    """Let everything happen that is due."""
    while True:
        at, act = min(_dues(state), key=lambda due: due[0], default=(None, None))
        if at is None or act is None or at > now:
            return state
        state = settle(act(state, at), at)


def settle(state: State, now: int) -> State:
    """Let the goroutines run until each waits for something."""
    while True:
        moved = pending.progress(handlers.release(completed.process(state, now), now), now)
        if moved is state:
            return state
        state = moved


def _dues(state: State) -> list[Due]:
    dues: list[Due] = [(check.until, _check(check.wanted.id)) for check in state.checks]
    for runner in state.runners:
        if runner.timer is not None:
            dues.append((runner.timer, _timer(runner.key)))
        if runner.loading is not None and runner.loading.until is not None:
            dues.append((runner.loading.until, _in_map(runner.key, runner.loading)))
    at, turn = completed.due(state), state.turn
    if at is not None:
        dues.append((at, completed.process))
    if turn is not None and turn.until is not None:
        dues.append((turn.until, _scheduler_check(turn)))
    if turn is not None and turn.loading is not None and turn.loading.until is not None:
        dues.append((turn.loading.until, _load(turn, turn.loading)))
    return dues


def _timer(key: str) -> Act:
    def fire(state: State, now: int) -> State:
        runner = state.runner(key)
        return completed.fire_timer(state, runner, now) if runner else state

    return fire


def _check(request: int) -> Act:
    def end(state: State, now: int) -> State:
        return handlers.end_check(state, next(check for check in state.checks if check.wanted.id == request), now)

    return end


def _in_map(key: str, load: Loading) -> Act:
    def end(state: State, now: int) -> State:
        runner = state.runner(key)
        return loading.done_in_map(state, runner, load, now) if runner else state

    return end


def _scheduler_check(turn: Turn) -> Act:
    return lambda state, now: pending.end_check(state, turn, now)


def _load(turn: Turn, load: Loading) -> Act:
    return lambda state, now: loading.done(state, turn, load, now)


def _apply(state: State, event: Event, now: int) -> State:
    match event:
        case Tick():
            return state
        case Arrived(wanted):
            return handlers.arrive(state, wanted, now)
        case Left(request):
            return handlers.leave(state, request, now)
        case NeedsSlot(request):
            return handlers.need_slot(state, request, now)
        case UnloadAsked(request, key, who):
            return handlers.ask_unload(state, UnloadRequest(request, key, who), now)
        case _:
            return befall(state, event, now)
