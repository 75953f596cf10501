"""What the world around does: people, clients, trouble. The walk tries each of them wherever it can happen."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from ollama_keeper.core.facts import Failed, Paused, Resumed
from ollama_keeper.core.reasons import Failure as Reason
from ollama_keeper.simulator.effects import ChildKilled, Left, Reset
from ollama_keeper.simulator.state import Child, Failure, Phase, Runner
from tests.worlds.scene import EPOCH_NS, GUEST, MODELS, WANTED
from tests.worlds.served import ask_as_client, free_id, serve, unload_as_client
from tests.worlds.world import Client, World

CLIENTS_MOST = 2
OTHER_CONTEXT = 2048


class Kind(StrEnum):
    """What happens, as a path tells it."""

    STOP = "somebody stops {}"
    OTHER = "a client loads {} with another context"
    LEASE = "a client asks for {} with keep_alive 5m"
    BRIEF = "a client asks for {} with keep_alive 2s"
    PIN = "a client pins {}"
    GENERATE = "a client has {} generate"
    CHAT = "a client has {} generate, with keep_alive 5m"
    END = "the generation of {} ends"
    KILL = "the runner of {} dies"
    OOM = "the load of {} runs out of memory"
    CRASH = "the load of {} crashes"
    RESTART = "the server restarts"
    PAUSE = "somebody pauses {}"
    FREE = "somebody pauses {}, to be unloaded"
    RESUME = "somebody resumes {}"
    LOSE_LOOK = "the next look is lost"
    LATE_LOOK = "the next look is late"
    LATE_ANSWER = "the next answer is late"


TROUBLES = {Kind.LOSE_LOOK: "lost_look", Kind.LATE_LOOK: "late_look", Kind.LATE_ANSWER: "late_answer"}
REQUESTS: dict[Kind, tuple[dict[str, object], int | None, bool]] = {
    Kind.OTHER: ({"num_ctx": OTHER_CONTEXT}, None, False),
    Kind.LEASE: ({}, 300, False),
    Kind.BRIEF: ({}, 2, False),
    Kind.PIN: ({}, -1, False),
    Kind.GENERATE: ({}, None, True),
    Kind.CHAT: ({}, 300, True),
}
COMMANDS = frozenset({Kind.PAUSE, Kind.FREE, Kind.RESUME})
OF_WANTED = (Kind.OTHER, Kind.LEASE, Kind.BRIEF, Kind.GENERATE, Kind.CHAT)
OF_GUEST = (Kind.LEASE, Kind.PIN, Kind.GENERATE)


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happens; `model` is empty where it concerns none."""

    kind: Kind
    model: str = ""

    def __str__(self) -> str:
        """In words."""
        return self.kind.format(self.model)


def possible(world: World) -> Iterator[Happening]:
    """All that can happen now."""
    for model in (*WANTED, GUEST):
        yield from _of_model(world, model)
    for model in WANTED:
        kinds = (Kind.RESUME,) if model in dict(world.paused) else (Kind.PAUSE, Kind.FREE)
        yield from (Happening(kind, model) for kind in kinds)
    turn = world.server.turn
    if turn is not None and turn.phase is Phase.LOAD and turn.loading is not None and turn.loading.failure is None:
        yield Happening(Kind.OOM, turn.wanted.model.name[0])
        yield Happening(Kind.CRASH, turn.wanted.model.name[0])
    if world.server.runners or turn is not None:
        yield Happening(Kind.RESTART)
    if not world.lost_look and not world.late_look:
        yield Happening(Kind.LOSE_LOOK)
        yield Happening(Kind.LATE_LOOK)
    if not world.late_answer:
        yield Happening(Kind.LATE_ANSWER)


def happen(world: World, happening: Happening) -> World:
    """The world in which it has happened; what follows at this moment is still to come."""
    kind, model = happening.kind, happening.model
    if kind in TROUBLES:
        return world.but(**{TROUBLES[kind]: True})
    if kind in COMMANDS:
        return _command(world, kind, model)
    if kind in REQUESTS:
        options, keep_alive, generates = REQUESTS[kind]
        return ask_as_client(
            world, Client(free_id(world), model, generates=generates, since=world.now), options, keep_alive
        )
    match kind:
        case Kind.STOP:
            return unload_as_client(world, model)
        case Kind.END:
            return _end(world, model)
        case Kind.KILL:
            return serve(world, ChildKilled(MODELS[model].key))
        case Kind.RESTART:
            return _restart(world)
        case _:
            return _fail(world, Failure.OUT_OF_MEMORY if kind is Kind.OOM else Failure.CRASH)


def undisturbed(world: World) -> World:
    """The same with all generations ended and the network mended; from here on nothing more happens."""
    world = world.but(lost_look=False, late_look=False, late_answer=False)
    for client in world.clients:
        clients = tuple(other for other in world.clients if other.id != client.id)
        if client.running or client.generates:
            world = serve(world.but(clients=clients), Left(client.id))
    return world


def _of_model(world: World, model: str) -> Iterator[Happening]:
    runner = world.server.runner(MODELS[model].key)
    running = any(client.model == model and client.running for client in world.clients)
    if runner is not None:
        yield Happening(Kind.STOP, model)
        if runner.child is Child.ALIVE and model != GUEST:
            yield Happening(Kind.KILL, model)
    if running:
        yield Happening(Kind.END, model)
    if len(world.clients) >= CLIENTS_MOST:
        return
    for kind in OF_GUEST if model == GUEST else OF_WANTED:
        if not (running and REQUESTS[kind][2]) and not _makes_no_difference(kind, runner):
            yield Happening(kind, model)


def _makes_no_difference(kind: Kind, runner: Runner | None) -> bool:
    """A request for what is there already, by which nothing changes but a date."""
    return kind is Kind.OTHER and runner is not None and runner.options.num_ctx == OTHER_CONTEXT


def _command(world: World, kind: Kind, model: str) -> World:
    """What was wished of the models is another thing from now on."""
    others = tuple(paused for paused in world.paused if paused[0] != model)
    if kind is Kind.RESUME:
        return world.but(paused=others, commands=(Resumed((model,), "somebody"),), costs=())
    frees = kind is Kind.FREE
    fact = Paused((model,), None, "somebody", unload=frees)
    return world.but(paused=tuple(sorted((*others, (model, frees)))), commands=(fact,), costs=())


def _end(world: World, model: str) -> World:
    client = next(client for client in world.clients if client.model == model and client.running)
    clients = tuple(other for other in world.clients if other is not client)
    return serve(world.but(clients=clients), Left(client.id))


def _fail(world: World, failure: Failure) -> World:
    """The load under way fails now."""
    turn = world.server.turn
    if turn is None or turn.loading is None:
        return world
    loading = replace(turn.loading, failure=failure, until=world.now)
    return world.but(server=world.server.with_turn(replace(turn, loading=loading)))


def _restart(world: World) -> World:
    """A new process: nothing is loaded, connections are cut, and the version tells nothing."""
    world = serve(world, Reset(world.server.settings))
    world = world.but(clients=(), late=(), reconnected=True, costs=(), reloads=())
    world = world.but(server=replace(world.server, wall_offset=EPOCH_NS))
    for task in world.open_requests():
        if task.request is not None:
            cut = Failed(task.request, Reason.RESET)
            world = world.with_task(replace(task, waits=None, wake=None, outcome=cut))
    return world
