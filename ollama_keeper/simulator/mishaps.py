"""What befalls a server from outside: its child processes, its GPU, its process, its settings."""

from dataclasses import replace

from ollama_keeper.simulator.completed import condemn
from ollama_keeper.simulator.effects import (
    ChildDied,
    ChildKilled,
    ChildWedged,
    Deadlocked,
    GpuLost,
    Mishap,
    NeverIdle,
    Reconfigured,
    Reset,
    RuntimeOom,
    Stored,
    Unloaded,
)
from ollama_keeper.simulator.loading import failed
from ollama_keeper.simulator.state import Child, Doom, Failure, Grant, Phase, Settings, State, Turn


def befall(state: State, mishap: Mishap, now: int) -> State:
    """The server after a mishap."""
    match mishap:
        case Stored(models):
            return replace(state, models=models)
        case Reset(settings):
            return _reset(state, settings, now)
        case Reconfigured(settings):
            return replace(state, settings=settings)
        case GpuLost():
            return replace(state, settings=replace(state.settings, gpus=0, vram=0))
        case RuntimeOom(by):
            return _runtime_oom(state, by, now)
        case Deadlocked(wanted):
            return state.with_turn(Turn(wanted, phase=Phase.AWAIT, unloads=1))
        case _:
            return _strike(state, mishap, now)


def _strike(state: State, mishap: NeverIdle | ChildKilled | ChildWedged, now: int) -> State:
    match mishap:
        case NeverIdle(key, request):
            return _never_idle(state, key, request)
        case ChildWedged(key):
            return _child(state, key, Child.WEDGED)
        case ChildKilled(key):
            return _killed(state, key, now)


def _killed(state: State, key: str, now: int) -> State:
    """A child that loads takes its load with it; one that computes, its generations; one that idles, nothing at all."""
    turn = state.turn
    if turn is not None and turn.phase is Phase.LOAD and turn.wanted.key == key:
        return failed(state, turn, Failure.CRASH, now)
    state = _checks_end(_child(state, key, Child.DEAD), key, now)
    computing = tuple(given.id for given in state.grants if given.key == key and given.slot is not None)
    return state.emit(ChildDied(now, computing)) if computing else state


def _child(state: State, key: str, child: Child) -> State:
    runner = state.runner(key)
    return state if runner is None else state.with_runner(replace(runner, child=child))


def _checks_end(state: State, key: str, now: int) -> State:
    """A dead child refuses the connection: whoever waits for its health knows at once."""
    checks = tuple(replace(check, until=now) if check.wanted.key == key else check for check in state.checks)
    turn = state.turn
    if turn is not None and turn.phase is Phase.CHECK and turn.wanted.key == key:
        turn = replace(turn, until=now)
    return replace(state, checks=checks, turn=turn)


def _runtime_oom(state: State, by: str, now: int) -> State:
    for runner in state.runners:
        state = condemn(state, runner, Doom("runtime_oom", by), now)
    return state


def _never_idle(state: State, key: str, request: int) -> State:
    runner = state.runner(key)
    if runner is None:
        return state
    busy = replace(runner, uses=runner.uses + 1, timer=None)
    return replace(state.with_runner(busy), grants=(*state.grants, Grant(request, key, runner.pid, "client")))


def _reset(state: State, settings: Settings, now: int) -> State:
    gone = tuple(Unloaded(now, runner.model.name, runner.key, "restart", "") for runner in state.runners)
    fresh = State(settings=settings, models=state.models, wall_offset=state.wall_offset, next_pid=state.next_pid)
    return fresh.emit(*state.out, *gone)
