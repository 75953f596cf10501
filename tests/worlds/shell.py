"""The shell of one server (server.py), one step at a time: what it awaits is data here, so that a world can be forked.

A look and a load-only are answered at once, unless the walk makes them late. Steps have server.py's order and names.
"""

from dataclasses import replace
from datetime import datetime

from ollama_keeper.core.decide import Act, Decision, any_ping_due
from ollama_keeper.core.facts import (
    Described,
    Fact,
    Failed,
    IdleTested,
    LoadRequest,
    Looked,
    LookFailed,
    LookSilent,
    Opened,
    Pulled,
    Send,
    Tagged,
    Versioned,
)
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.numbers import RECHECK_S, SUSPECT_AFTER_S
from ollama_keeper.core.pace import fresh_for_s, look_after_s, tags_due, to_describe
from ollama_keeper.core.reasons import Cause, Failure, ServerState
from ollama_keeper.core.requests import warm_request
from ollama_keeper.core.turn import next_hold_ends
from ollama_keeper.server import IDLE_TEST_GAP_S, SHORTEST_WAIT_S
from ollama_keeper.simulator.effects import Left
from ollama_keeper.simulator.listing import blocked
from ollama_keeper.simulator.scheduler import next_due
from ollama_keeper.simulator.state import SECOND
from tests.worlds.keeper import Keeper
from tests.worlds.rules import judge_request, proven_by_next_look, shown
from tests.worlds.scene import MODELS, VERSION, WANTED, instant
from tests.worlds.scene import shown as described
from tests.worlds.served import LATE, ask, deliver, free_id, listed, serve, tick
from tests.worlds.world import (
    Compare,
    Conclude,
    Edges,
    Ended,
    Learn,
    Look,
    LookAnew,
    LookFresh,
    Nap,
    Open,
    Remember,
    Task,
    Tested,
    Touch,
    World,
)

LANE, WATCH = "lane", "watch"
INTERVAL = 15 * SECOND
STEPS_MOST = 2_000


class Endless(Exception):
    """The shell never comes to rest within one moment."""


def run(world: World, keeper: Keeper) -> World:
    """Everything that happens at this moment.

    Raises:
        Endless: it does not end.
    """
    for _ in range(STEPS_MOST):
        moved = _step(world, keeper)
        if moved is None:
            return world
        world = moved
    raise Endless("the shell never comes to rest within one moment")


def next_moment(world: World) -> int | None:
    """When something happens by itself; always after now."""
    moments = [next_due(world.server), *(task.wake for task in world.tasks), *(late.due for late in world.late)]
    moments.append(world.next_check)
    if world.look is not None:
        moments += [world.look.due, world.look.recheck]
    elif world.task(WATCH) is None:
        moments.append(_look_due(world))
    if world.task(LANE) is None:
        moments.append(_hold_ends(world))
    return min((max(moment, world.now + 1) for moment in moments if moment is not None), default=None)


def learn(world: World, keeper: Keeper, fact: Fact) -> World:
    """Fold a fact and tell what it changed."""
    memory, changes = keeper.learn(world.memory, fact, instant(world.now))
    world = world.but(memory=memory)
    for change in changes:
        world = world.note(f"told: {change.event} {getattr(change, 'model', None) or ''}".strip())
    return world


def _look_due(world: World) -> int:
    return world.looked + round(look_after_s(world.memory) * SECOND)


def _hold_ends(world: World) -> int | None:
    now = instant(world.now)
    ends = next_hold_ends(world.memory, now)
    return None if ends is None else world.now + round(max(ends - now.mono, SHORTEST_WAIT_S) * SECOND) + 1


# --- the order of things at one moment --------------------------------------------------------------------------------


def _step(world: World, keeper: Keeper) -> World | None:
    """The next thing that happens now; None when all waits."""
    if world.commands:
        return _command(world, keeper)
    ticked = tick(world)
    if ticked is not None:
        return ticked
    late = next((late for late in world.late if late.due <= world.now), None)
    if late is not None:
        kept = tuple(other for other in world.late if other is not late)
        return deliver(world.but(late=kept), late.id, late.outcome)
    if world.look is not None:
        looked = _go_on_looking(world, world.look, keeper)
        if looked is not None:
            return looked
    task = next((task for task in world.tasks if _ready(task, world)), None)
    if task is not None:
        return _go_on(world, task, keeper)
    return _begin(world, keeper)


def _command(world: World, keeper: Keeper) -> World:
    """A command is learnt, and its models are checked at once."""
    fact, rest = world.commands[0], world.commands[1:]
    world = learn(world.but(commands=rest), keeper, fact)
    for model in fact.models:
        world = _check(world, model)
    return world


def _check(world: World, model: str) -> World:
    if world.task(f"check {model}") is not None:
        return world
    return world.with_task(Task(f"check {model}", (LookFresh(), Edges(), Touch(model))))


def _ready(task: Task, world: World) -> bool:
    return task.runnable or (task.wake is not None and task.wake <= world.now)


def _begin(world: World, keeper: Keeper) -> World | None:
    """What the jobs, the watch and the load lane begin."""
    if world.next_check <= world.now:
        world = world.but(next_check=world.next_check + INTERVAL)
        for model in WANTED:
            world = _check(world, model)
        return world
    if world.task(WATCH) is None and _look_due(world) <= world.now:
        return _join_look(world.with_task(Task(WATCH, (Edges(),), looks=1)))
    if world.task(LANE) is None:
        name = keeper.next_load(world.memory, instant(world.now))
        if name is not None:
            absent = world.memory.model(name)
            cause = absent.departure.cause if absent.departure else Cause.FIRST_SEEN
            return world.with_task(Task(LANE, (Open(warm_request(absent), cause),)))
    return None


# --- looks ------------------------------------------------------------------------------------------------------------


def _join_look(world: World) -> World:
    return world if world.look is not None else world.but(look=Look(asked=world.now))


def _go_on_looking(world: World, look: Look, keeper: Keeper) -> World | None:
    """The next step of the look under way; None while it waits."""
    if look.models is None:
        return _ask_look(world, look, keeper)
    if look.due is not None and look.due > world.now:
        return _suspect(world, look, keeper)
    return _looked(world, look, keeper)


def _ask_look(world: World, look: Look, keeper: Keeper) -> World | None:
    memory = world.memory
    if blocked(world.server):
        return None
    if memory.version is None or memory.disturbed or memory.state is not ServerState.UP:
        world = learn(world, keeper, Versioned(VERSION))
    if world.lost_look:
        world = world.but(lost_look=False, reconnected=False).note("a look is lost")
        return _end_look(learn(world, keeper, LookFailed(Failure.RESET)))
    late = world.late_look
    due = world.now + LATE if late else None
    recheck = world.now + round(SUSPECT_AFTER_S * SECOND) if late else None
    world = world.note("a look is late") if late else world
    return world.but(look=Look(look.asked, listed(world), due, recheck), late_look=False)


def _suspect(world: World, look: Look, keeper: Keeper) -> World | None:
    if look.recheck is None or look.recheck > world.now:
        return None
    if not world.memory.silent:
        world = learn(world, keeper, LookSilent())
    world = learn(world, keeper, Versioned(VERSION))
    return world.but(look=replace(look, recheck=world.now + round(RECHECK_S * SECOND)))


def _looked(world: World, look: Look, keeper: Keeper) -> World:
    models = look.models or ()
    if world.reconnected:
        world = learn(world, keeper, Versioned(VERSION))
    fact = Looked(models, reconnected=world.reconnected, asked=instant(look.asked), skew_s=0.0)
    world = shown(world.but(reconnected=False), models, look.asked)
    return _end_look(_inquire(learn(world, keeper, fact), keeper))


def _inquire(world: World, keeper: Keeper) -> World:
    now = instant(world.now)
    if tags_due(world.memory, now, ping_due=lambda: any_ping_due(world.memory, now)):
        pulled = tuple(Pulled(parse_name(name), MODELS[name].digest, size=MODELS[name].size) for name in MODELS)
        world = learn(world, keeper, Tagged(pulled))
    while (asked := to_describe(world.memory, now)) is not None:
        name = parse_name(asked[0])
        world = learn(world, keeper, Described(name, asked[1], described(name.model)))
    return world


def _end_look(world: World) -> World:
    tasks = tuple(replace(task, looks=max(task.looks - 1, 0)) for task in world.tasks)
    another = Look(world.now) if any(task.looks for task in tasks) else None
    return world.but(look=another, looked=world.now, tasks=tasks)


# --- tasks ------------------------------------------------------------------------------------------------------------


def _go_on(world: World, task: Task, keeper: Keeper) -> World:
    if task.waits is not None:
        return _give_up(world, task)
    if not task.work:
        return world.without_task(task.name)
    op, rest = task.work[0], task.work[1:]
    task = replace(task, work=rest, wake=None)
    match op:
        case LookFresh() | LookAnew() | Edges() | Touch() | Nap():
            return _common(world, task, op, keeper)
        case Open() | Ended() | Learn():
            return _exchange(world, task, op, keeper)
        case _:
            return _idle_test(world, task, op, keeper)


def _common(world: World, task: Task, op: LookFresh | LookAnew | Edges | Touch | Nap, keeper: Keeper) -> World:
    match op:
        case LookFresh():
            return _look_fresh(world, task)
        case LookAnew():
            looks = 1 if world.look is None else 2
            return _join_look(world.with_task(replace(task, looks=looks)))
        case Edges():
            memory, _ = keeper.announce(world.memory, instant(world.now))
            return world.but(memory=memory).with_task(task)
        case Touch(model):
            return _touch(world.with_task(task), model, keeper)
        case Nap():
            return world.with_task(replace(task, wake=world.now + round(IDLE_TEST_GAP_S * SECOND)))


def _look_fresh(world: World, task: Task) -> World:
    memory, world = world.memory, world.with_task(task)
    if memory.state not in {ServerState.UP, ServerState.BUSY} or memory.failures:
        return world
    young = world.now - world.looked < round(fresh_for_s(memory) * SECOND)
    if world.look is None and young:
        return world
    return _join_look(world.with_task(replace(task, looks=1)))


def _touch(world: World, model: str, keeper: Keeper) -> World:
    decision = _decision(world, model, keeper)
    if decision.request is None or world.task(f"test {model}") is not None:
        return world
    request = decision.request
    if decision.act is Act.IDLE_TEST:
        work = (LookAnew(), Remember(model, request))
        return world.with_task(Task(f"test {model}", work)).note(f"an idle test of {model} begins")
    if decision.act in {Act.PING, Act.UNLOAD}:
        return world.with_task(Task(f"{request.send} {model} {world.now}", (Open(request),)))
    return world


def _decision(world: World, model: str, keeper: Keeper) -> Decision:
    return keeper.decide(world.memory.model(model), world.memory, instant(world.now))


def _exchange(world: World, task: Task, op: Open | Ended | Learn, keeper: Keeper) -> World:
    """A request, its answer, and the looks that belong to it."""
    request = op.request
    match op:
        case Open():
            return _open(world, task, op, keeper)
        case Ended():
            failed = isinstance(task.outcome, Failed) and request.send is Send.WARM
            work = ((LookAnew(),) if failed else ()) + (Learn(request), *task.work)
            return world.with_task(replace(task, work=work))
        case Learn():
            outcome = task.outcome or Failed(request, Failure.LOAD_FAILED)
            world = proven_by_next_look(learn(world, keeper, outcome), outcome)
            if world.memory.model(request.model).pending is None:
                return world.with_task(replace(task, outcome=None))
            return world.with_task(replace(task, outcome=None, work=(LookAnew(), *task.work)))


def _open(world: World, task: Task, op: Open, keeper: Keeper) -> World:
    request = op.request
    judge_request(world, task, request)
    tested = task.opened
    world = learn(world.note(f"we send: {_words(request)}"), keeper, Opened(request, op.cause))
    patience = world.now + round(world.scene.policy(request.model).load_timeout_s * SECOND)
    task = replace(task, work=(Ended(request), *task.work), request=request, opened=world.now, wake=patience)
    number = free_id(world)
    return ask(world.with_task(replace(task, waits=number)), request, number, tested=tested)


def _words(request: LoadRequest) -> str:
    kept = "" if request.keep_alive is None else f", keep_alive {request.keep_alive}"
    options = "".join(f", {name} {value}" for name, value in request.options)
    return f"{request.send} of {request.model}{kept}{options}"


def _give_up(world: World, task: Task) -> World:
    """`load_timeout` has passed: the one load that we end ourselves."""
    number, request = task.waits, task.request
    if number is None or request is None:
        return world
    ended = replace(task, waits=None, wake=None, outcome=Failed(request, Failure.LOAD_TIMEOUT))
    world = world.with_task(ended).but(costs=()).note(f"we give up the load of {request.model}")
    return serve(world, Left(number))


def _expiry(world: World, model: str) -> datetime | None:
    known = world.memory.model(model).listed
    return known.expires_at if known is not None and not world.memory.failures else None


def _idle_test(world: World, task: Task, op: object, keeper: Keeper) -> World:
    """The steps of `_test_and_keep` and `_idle`."""
    match op:
        case Remember(model, ping):
            before = _expiry(world, model)
            work = (Nap(), Tested(model, idle=False))
            if before is not None:
                work = (Nap(), LookAnew(), Compare(model, ping))  # type: ignore[assignment]
            return world.with_task(replace(task, before=before, work=work))
        case Compare(model, ping):
            return _compare(world, task, model, ping, keeper)
        case Conclude(model):
            after = _expiry(world, model)
            idle = after is not None and after != task.before
            return world.with_task(replace(task, work=(Tested(model, idle=idle),)))
        case Tested(model, idle):
            world = learn(
                world.note(f"the idle test says {'idle' if idle else 'busy'}"), keeper, IdleTested(model, idle)
            )
            return _once_idle(world, task, model, idle=idle, keeper=keeper)
    raise AssertionError(op)


def _compare(world: World, task: Task, model: str, ping: LoadRequest, keeper: Keeper) -> World:
    if _expiry(world, model) != task.before:
        return world.with_task(replace(task, work=(Tested(model, idle=False),)))
    if _decision(world, model, keeper).act is not Act.IDLE_TEST:
        return world.without_task(task.name)
    work = (Open(ping), Nap(), LookAnew(), Conclude(model))
    return world.with_task(replace(task, work=work))


def _once_idle(world: World, task: Task, model: str, *, idle: bool, keeper: Keeper) -> World:
    decision = _decision(world, model, keeper)
    if decision.request is None or decision.act is not Act.KEEP:
        return world.without_task(task.name)
    return world.with_task(replace(task, idle=idle, work=(Open(decision.request),)))
