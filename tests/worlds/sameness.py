"""When two worlds count as one: all that matters, and of instants the thresholds that their ages and times left meet.

Merging ages that lie between the same thresholds is what makes the worlds finite; of worlds so merged the first is
walked on. What only words are made of is left out.
"""

from bisect import bisect
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any

from ollama_keeper.core.facts import LoadRequest
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Pause, ServerMemory
from ollama_keeper.core.names import ModelName
from ollama_keeper.simulator.state import SECOND, Expired, Runner, State, Wanted
from tests.worlds.scene import instant, wall
from tests.worlds.world import Task, World

THRESHOLDS = (0.0001, 0.015, 1.0, 5.0, 30.0, 60.0, 300.0, 3_600.0, 80_000.0)
OF_LOOKS = (50.0,)  # where in an interval we are is no difference
_TOLD = "born last_seen returned say_waiting displaced_by took_s armed changed used failure quarrelled told_at"
_CONSTANT = "server policy shown pulled asked_digest digest weights size size_vram disk_size learned_size best_gpu"
_ALIKE = "longest_load_s shortest_load_s good tagged skew_s retry_after_s"
LEFT_OUT = frozenset(f"{_TOLD} {_CONSTANT} {_ALIKE} client_reloads unloads".split())
ON_THE_CLOCK = frozenset({"failed_loads", "displacements", "outbid", "reloads"})
Maker = Callable[[Any, Instant], object]
PLAIN = (str, int, bool, type(None), Enum, ModelName, LoadRequest)


def key(world: World) -> int:
    """Equal for worlds that count as one."""
    return hash((_server(world.server, world.now), _memory(world), _shell(world), _around(world)))


def _memory(world: World) -> object:
    return _form(world.memory, instant(world.now))


def _form(value: Any, now: Instant) -> object:
    kind = type(value)
    make = _MAKERS.get(kind)
    if make is None:
        make = _MAKERS[kind] = _plain if issubclass(kind, PLAIN) else _of_parts(kind)
    return make(value, now)


def _plain(value: Any, _: Instant) -> object:
    return value


def _of_parts(kind: type) -> Maker:
    left_out = LEFT_OUT | ({"since"} if kind in {ServerMemory, Pause} else frozenset())
    names = [field.name for field in fields(kind) if field.name not in left_out]
    read = attrgetter(*names, names[0])
    clocked = tuple(place for place, name in enumerate(names) if name in ON_THE_CLOCK)

    def form(value: Any, now: Instant) -> object:
        parts = list(read(value))
        for place in clocked:
            parts[place] = tuple(_passed(now.mono - at) for at in parts[place])
        return tuple([None if part is None else _form(part, now) for part in parts])

    return form


_MAKERS: dict[type, Maker] = {
    Instant: lambda value, now: _passed(now.mono - value.mono),
    datetime: lambda value, now: _passed((now.wall - value).total_seconds()),
    tuple: lambda value, now: tuple([_form(item, now) for item in value]) if value else value,
    float: lambda value, _: round(value),
}


def _passed(seconds: float) -> int:
    """Between which thresholds an age lies, or, below 0, a time left."""
    return bisect(THRESHOLDS, seconds) if seconds >= 0 else -1 - bisect(THRESHOLDS, -seconds)


def _in(moment: int | None, now: int) -> int | None:
    return None if moment is None else _passed((now - moment) / SECOND)


def _server(state: State, now: int) -> object:
    turn, closing = state.turn, state.closing
    load = turn.loading if turn else None
    return (
        tuple(sorted(_runner(runner, state, now) for runner in state.runners)),
        tuple(_wanted(wanted) for wanted in state.queue),
        turn and (turn.phase, _wanted(turn.wanted), turn.unloads, turn.retried, turn.reload, _in(turn.until, now)),
        load and (_in(load.until, now), load.failure),
        tuple((given.id, given.key, given.slot) for given in state.grants),
        tuple(getattr(item, "id", 0) for item in state.at_lock),
        tuple((_in(item.at, now), item.key, isinstance(item, Expired) and item.pid) for item in state.inbox),
        closing and (closing.key, closing.settling),
        state.unload_events,
    )


def _runner(runner: Runner, state: State, now: int) -> tuple[object, ...]:
    shown_for = None if runner.expires_at is None else _in(runner.expires_at - state.wall_offset, now)
    doom = runner.doom.cause if runner.doom else ""
    return (
        *(runner.key, runner.uses, runner.child.value, doom, bool(runner.expiring), runner.pid),
        *(runner.options.num_ctx, _passed(runner.duration / SECOND), shown_for is None, shown_for or 0),
        _in(runner.timer, now) or 0,
    )


def _wanted(wanted: Wanted) -> tuple[object, ...]:
    return wanted.id, wanted.key, wanted.keep_alive, wanted.options.num_ctx, wanted.gone, wanted.who


def _shell(world: World) -> object:
    look = world.look
    return (
        tuple(_task(task, world) for task in world.tasks),
        look and (look.models is None, _in(look.due, world.now), _listing_moved(world)),
        bisect(OF_LOOKS, (world.now - world.looked) / SECOND),
    )


def _task(task: Task, world: World) -> object:
    known = world.memory.get(task.request.model) if task.request else None
    before = task.before is not None and known is not None and known.listed is not None
    moved = before and known is not None and known.listed is not None and known.listed.expires_at != task.before
    wake = _in(task.wake, world.now) if task.waits is None else _in(task.opened, world.now)
    name = task.name.split()[0]
    return name, task.work, wake, task.looks, task.waits, moved, type(task.outcome).__name__, task.idle


def _listing_moved(world: World) -> object:
    """How a late look differs from the last one."""
    models = world.look.models if world.look else None
    return models is not None and tuple((entry.text, _left(world, entry.expires_at)) for entry in models)


def _around(world: World) -> object:
    return (
        tuple((client.id, client.model, client.generates, client.running) for client in world.clients),
        tuple((late.id, type(late.outcome).__name__, _in(late.due, world.now)) for late in world.late),
        (world.reconnected, world.lost_look, world.late_look, world.late_answer),
        tuple((seen.listed.text, _in(seen.moved, world.now)) for seen in world.seen),
        (
            tuple(name for name, _ in world.mine),
            tuple(name for name, _ in world.proving),
            world.costs,
            world.reloads,
            world.began,
            world.paused,
        ),
    )


def _left(world: World, date: datetime) -> int:
    return _passed((wall(world.now + world.server.wall_offset) - date).total_seconds())
