"""The server's side of a world: events into the simulator's scheduler, and what comes of them out."""

from collections.abc import Mapping
from dataclasses import replace

from ollama_keeper.core.facts import Answered, Failed, Listed, LoadRequest
from ollama_keeper.core.names import parse_name
from ollama_keeper.ollama.classify import said_failure
from ollama_keeper.simulator.effects import (
    Arrived,
    ChildDied,
    Effect,
    Event,
    Granted,
    Left,
    LoadEnded,
    LoadStarted,
    NeedsSlot,
    Refused,
    Tick,
    UnloadAsked,
    Unloaded,
)
from ollama_keeper.simulator.keepalive import parse_keep_alive
from ollama_keeper.simulator.listing import listing
from ollama_keeper.simulator.options import resolve
from ollama_keeper.simulator.scheduler import next_due, step
from ollama_keeper.simulator.state import SECOND, Expired, State, Wanted
from tests.worlds.rules import OURS, judge_arrival, judge_end, judge_start, judge_unload
from tests.worlds.scene import MODELS, NAMES, wall
from tests.worlds.world import Client, Late, World

LATE = 10 * SECOND
CLIENT = "client"


def ask(world: World, request: LoadRequest, number: int, *, tested: int) -> World:
    """Send a request of ours, for whose answer a task waits; `tested` is when its idle test sent the ping."""
    judge_arrival(world, request, tested)
    options, who = dict(request.options), OURS + request.model
    wanted = _wanted(world, number, request.model, who=who, options=options, keep_alive=request.keep_alive)
    return serve(world, Arrived(wanted))


def ask_as_client(world: World, client: Client, options: Mapping[str, object], keep_alive: object = None) -> World:
    """Send a request of somebody else."""
    wanted = _wanted(world, client.id, client.model, who=CLIENT, options=options, keep_alive=keep_alive)
    return serve(world.but(clients=(*world.clients, client)), Arrived(wanted))


def unload_as_client(world: World, model: str) -> World:
    """`ollama stop`."""
    return serve(world, UnloadAsked(free_id(world), MODELS[model].key, CLIENT))


def serve(world: World, event: Event) -> World:
    """The world after an event at the server."""
    state, effects = step(world.server, event, world.now)
    world = world.but(server=_renumbered(state))
    for effect in effects:
        world = _follow(world, effect)
    return world


def tick(world: World) -> World | None:
    """What is due at the server by now; None when nothing is."""
    due = next_due(world.server)
    return serve(world, Tick()) if due is not None and due <= world.now else None


def listed(world: World) -> tuple[Listed, ...]:
    """The answer of `/api/ps`."""
    return tuple(
        Listed(
            name=parse_name(entry.model.name),
            text=entry.model.name,
            digest=entry.model.digest,
            size=entry.size,
            size_vram=entry.size_vram,
            context_length=entry.context,
            expires_at=wall(entry.expires_at),
        )
        for entry in listing(world.server, world.now)
    )


def free_id(world: World) -> int:
    """The lowest number that no request has that anybody still remembers."""
    server = world.server
    used = {client.id for client in world.clients} | {late.id for late in world.late}
    used |= {task.waits for task in world.tasks if task.waits is not None}
    used |= {wanted.id for wanted in server.queue} | {given.id for given in server.grants}
    used |= {check.wanted.id for check in server.checks} | {server.turn.wanted.id if server.turn else 0}
    used |= {waiting.id for waiting in server.at_lock}
    return next(number for number in range(1, len(used) + 2) if number not in used)


def deliver(world: World, number: int, outcome: Answered | Failed) -> World:
    """Bring an answer to the task that waits for it; not yet, where the network holds it."""
    if world.late_answer:
        world = world.but(late_answer=False, late=(*world.late, Late(number, outcome, world.now + LATE)))
        return world.note("that answer is late")
    task = next((task for task in world.tasks if task.waits == number), None)
    return world if task is None else world.with_task(replace(task, waits=None, wake=None, outcome=outcome))


def _wanted(
    world: World, number: int, model: str, *, who: str, options: Mapping[str, object], keep_alive: object
) -> Wanted:
    resolved = resolve(options, MODELS[model], world.server.settings)
    return Wanted(
        number,
        MODELS[model],
        resolved.options,
        parse_keep_alive({"keep_alive": keep_alive}, world.server.version),
        auto_context=resolved.auto_context,
        auto_batch=resolved.auto_batch,
        who=who,
    )


def _follow(world: World, effect: Effect) -> World:
    match effect:
        case Granted(_, number):
            return _granted(world, number)
        case Refused(_, number, _, text):
            return _refused(world, number, text)
        case ChildDied(_, numbers):
            for number in numbers:
                world = serve(_without_client(world, number), Left(number))
            return world
        case LoadStarted():
            world = world.note(f"{_whose(effect.who)} load of {NAMES[effect.key]} begins")
            return judge_start(world, effect)
        case LoadEnded():
            judge_end(world, effect, _request(world, effect.id) is not None)
            return world.note(f"a load ends: {effect.outcome}")
        case Unloaded():
            return judge_unload(world.note(f"{NAMES[effect.key]} leaves: {effect.cause}"), effect)
        case _:
            return world


def _granted(world: World, number: int) -> World:
    request = _request(world, number)
    if request is not None:
        world = serve(world.note(f"our {request.send} of {request.model} is answered"), Left(number))
        return deliver(world, number, Answered(request))
    client = next((client for client in world.clients if client.id == number), None)
    if client is None:
        return world
    if not client.generates:
        return serve(_without_client(world, number), Left(number))
    running = replace(client, running=True)
    clients = tuple(running if other is client else other for other in world.clients)
    return serve(world.but(clients=clients), NeedsSlot(number))


def _refused(world: World, number: int, text: str) -> World:
    request = _request(world, number)
    if request is None:
        return _without_client(world, number)
    world = world.note(f"our {request.send} of {request.model} fails")
    return deliver(world, number, Failed(request, said_failure(text), 500))


def _request(world: World, number: int) -> LoadRequest | None:
    """Ours with that number."""
    return next((task.request for task in world.tasks if task.waits == number), None)


def _without_client(world: World, number: int) -> World:
    return world.but(clients=tuple(client for client in world.clients if client.id != number))


def _whose(who: str) -> str:
    return "our" if who.startswith(OURS) else "a client's"


def _renumbered(state: State) -> State:
    """Processes counted from 1, so that two servers that are alike are equal."""
    number = {runner.pid: place for place, runner in enumerate(state.runners, 1)}
    if state.next_pid == len(number) + 1 and all(pid == place for pid, place in number.items()):
        return state
    return replace(
        state,
        runners=tuple(replace(runner, pid=number[runner.pid]) for runner in state.runners),
        grants=tuple(replace(given, pid=number.get(given.pid, 0)) for given in state.grants),
        inbox=tuple(
            replace(item, pid=number.get(item.pid, 0)) if isinstance(item, Expired) else item for item in state.inbox
        ),
        next_pid=len(number) + 1,
    )
