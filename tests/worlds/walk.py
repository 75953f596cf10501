"""The walk: every world that can be reached by so many happenings at whatever moments, the shortest ways first."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from ollama_keeper.core.facts import Configured
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import fresh_memory
from ollama_keeper.core.reasons import State as Told
from ollama_keeper.core.states import state_of
from ollama_keeper.simulator.state import SECOND, Child, Expired, Phase, State
from tests.worlds.events import Happening, Kind, happen, possible, undisturbed
from tests.worlds.keeper import Keeper
from tests.worlds.rules import Violation
from tests.worlds.sameness import key
from tests.worlds.scene import EPOCH_NS, MODELS, WANTED, Scene, instant
from tests.worlds.shell import Endless, learn, next_moment, run
from tests.worlds.world import World

QUIET = (
    2_000 * SECOND
)  # longer than any wait of the keeper's that shows nowhere: what has not changed by then is at rest
STEADY_FOR = 400 * SECOND  # at rest is what stays so over a ping
DEADLINE = 3_600 * SECOND  # longer than any wait that a few disturbances may begin, two breakers in a row included
LINES_MOST = 200
MOMENTS_MOST = 20_000
Reached = tuple[World, int]
PINNED = 20 * 365 * 86_400 * SECOND
STEADY = "an undisturbed world becomes steady"


def first_world(scene: Scene, keeper: Keeper) -> World:
    """A keeper that has just started, beside a server that has nothing loaded."""
    memory = fresh_memory("small", instant(0))
    server = State(settings=scene.settings, models=tuple(MODELS.values()), wall_offset=EPOCH_NS)
    world = World(scene, server, memory)
    return run(learn(world, keeper, Configured(scene.policies)), keeper)


def wait(world: World, keeper: Keeper, before: int) -> tuple[World, int] | None:
    """The world at the next moment at which it is another one than `before`, with its key; None when it is at rest.

    Raises:
        Violation: a rule is broken meanwhile, or the shell spins.
    """
    until = world.now + QUIET
    for _ in range(MOMENTS_MOST):
        moment = next_moment(world)
        if moment is None or moment > until:
            return None
        world = run(world.but(now=moment), keeper)
        if (after := key(world)) != before:
            return world, after
    raise Violation("the shell sleeps", f"{MOMENTS_MOST} moments in {QUIET // SECOND} s")


def steady(world: World) -> bool:
    """Whether every wanted model is where it should be, or cannot be, and is told to."""
    states = [_told(world, model) for model in WANTED]
    kept = [state for state in states if state is not Told.PAUSED]
    there = not kept or (Told.READY in kept and all(state in {Told.READY, Told.CONTENDED} for state in kept))
    if hangs(world.server) and not there:
        return world.memory.hung is not None or world.memory.abandoned is not None
    return there and not world.open_requests()


def hangs(server: State) -> bool:
    """Whether the scheduler waits for an unload that nothing will bring (#17408): a client may do that."""
    soon = (runner.timer is not None and runner.duration < PINNED for runner in server.runners)
    turn = server.turn
    going = any(isinstance(item, Expired) for item in server.inbox)
    if turn is None or turn.phase is not Phase.AWAIT or going or server.closing or server.unload_events:
        return False
    return not any(soon) and not any(runner.doom for runner in server.runners)


def _told(world: World, name: str) -> Told | None:
    """The state of a model, where the server bears it out."""
    model = world.memory.model(name)
    state, _ = state_of(model, world.memory, instant(world.now))
    if state is not Told.READY:
        return state
    runner = world.server.runner(MODELS[name].key)
    kept = runner is not None and (runner.duration > PINNED or model.policy.lease_s is not None)
    return state if runner is not None and kept and runner.child is Child.ALIVE and not runner.doom else None


# --- the walk ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A broken rule, and the shortest way to it: happenings, and None for time that passes."""

    rule: str
    what: str
    path: tuple[Happening | None, ...]
    undisturbed: bool = False


@dataclass
class Walk:
    """One walk.

    Attributes:
        known: worlds reached, each with how: from which other, by which happening.
        well: worlds that become steady when left alone.
        found: the first of each broken rule.
        ends, steps_most, wanted_rule: when to stop: monotonic seconds, steps, or a rule that was broken.
        kinds: what may happen.
        complete: depths walked to their end; `worlds` a depth.
    """

    scene: Scene
    keeper: Keeper = field(default_factory=Keeper)
    ends: float = float("inf")
    steps_most: int | None = None
    wanted_rule: str = ""
    kinds: frozenset[Kind] = frozenset(Kind)
    known: dict[int, tuple[int, Happening | None]] = field(default_factory=dict)
    well: set[int] = field(default_factory=set)
    found: dict[str, Found] = field(default_factory=dict)
    worlds: list[int] = field(default_factory=list)
    steps: int = 0
    complete: int = -1

    def to(self, depth: int) -> "Walk":
        """Walk to a depth, or until the time is over."""
        layer: list[Reached] = []
        start = first_world(self.scene, self.keeper)
        this = key(start)
        self.known[this] = (0, None)
        self._follow(start, this, layer)
        self.worlds.append(len(layer))
        self.complete = 0
        for number in range(1, depth + 1):
            layer, ended = self._disturb(layer)
            self.worlds.append(len(layer))
            if not ended:
                break
            self.complete = number
        return self

    @property
    def over(self) -> bool:
        """Whether the time or the steps are over, or the rule that is wanted is broken."""
        enough = self.steps_most is not None and self.steps >= self.steps_most
        broken = bool(self.wanted_rule) and any(found.rule == self.wanted_rule for found in self.found.values())
        return enough or broken or time.monotonic() >= self.ends

    def _disturb(self, layer: list[Reached]) -> tuple[list[Reached], bool]:
        """Every happening in every world of a layer; the worlds that are new, and whether all were tried."""
        new: list[Reached] = []
        for world, parent in layer:
            for happening in filter(lambda one: one.kind in self.kinds, possible(world)):
                if self.over:
                    return new, False
                reached = self._try(world, happening, parent)
                if reached is not None:
                    self._follow(*reached, new)
        return new, True

    def _try(self, world: World, happening: Happening, parent: int) -> Reached | None:
        self.steps += 1
        try:
            reached = run(happen(world.but(notes=()), happening), self.keeper)
        except (Violation, Endless) as broken:
            self._find(broken, (*self._path(parent), happening))
            return None
        this = key(reached)
        if this in self.known:
            return None
        self.known[this] = (parent, happening)
        return reached, this

    def _follow(self, world: World, this: int, layer: list[Reached]) -> None:
        """A new world, and what becomes of it by time alone, until that is known."""
        later: dict[int, Reached | None] = {}
        while not self.over:
            layer.append((world.but(notes=()), this))
            self._leave_alone(world, this, later)
            try:
                next_one = self._wait(world, this, later)
            except (Violation, Endless) as broken:
                self._find(broken, (*self._path(this), None))
                return
            if next_one is None or next_one[1] in self.known:
                return
            self.known[next_one[1]] = (this, None)
            world, this = next_one

    def _wait(self, world: World, this: int, later: dict[int, Reached | None]) -> Reached | None:
        if this not in later:
            self.steps += 1
            later[this] = wait(world.but(notes=()), self.keeper, this)
        return later[this]

    def _leave_alone(self, world: World, this: int, later: dict[int, Reached | None]) -> None:
        """From here on nothing happens: is it steady in time, and does it stay so?"""
        try:
            self.well.update(self._way_to_rest(run(undisturbed(world), self.keeper), later))
        except (Violation, Endless) as broken:
            self._find(broken, self._path(this), alone=True)

    def _way_to_rest(self, world: World, later: dict[int, Reached | None]) -> set[int]:
        """The worlds through which one comes to rest, or to one that is known to.

        Raises:
            Violation: it does not, or breaks another rule on the way.
        """
        way: set[int] = set()
        this, began, rests = key(world), world.now, None
        while this not in self.well:
            again = this in way
            way.add(this)
            rests = (world.now if rests is None else rests) if steady(world) else None
            if world.now - began > DEADLINE:
                raise Violation(STEADY, f"not within {DEADLINE // SECOND} s: {describe(world)}")
            if rests is not None and world.now - rests >= STEADY_FOR:
                break
            next_one = wait(world.but(notes=()), self.keeper, this) if again else self._wait(world, this, later)
            if next_one is None and rests is None:
                raise Violation(STEADY, f"at rest, but {describe(world)}")
            if next_one is None:
                break
            world, this = next_one
        return way

    def _find(self, broken: Violation | Endless, path: tuple[Happening | None, ...], *, alone: bool = False) -> None:
        rule, what = (broken.rule, broken.what) if isinstance(broken, Violation) else (str(broken), "")
        self.found.setdefault(f"{rule}: {what}", Found(rule, what, path, undisturbed=alone))

    def _path(self, this: int) -> tuple[Happening | None, ...]:
        path: list[Happening | None] = []
        while (parent := self.known[this])[0]:
            path.append(parent[1])
            this = parent[0]
        return tuple(reversed(path))


def describe(world: World) -> str:
    """The states of the wanted models, and what the server has loaded."""
    now: Instant = instant(world.now)
    states = [state_of(world.memory.model(name), world.memory, now) for name in WANTED]
    told = ", ".join(f"{name} {' '.join(filter(None, state))}" for name, state in zip(WANTED, states, strict=True))
    loaded = " and ".join(runner.model.name[0] for runner in world.server.runners) or "nothing"
    return f"{told}; loaded: {loaded}"


def retold(found: Found, scene: Scene, keeper: Keeper) -> Iterator[str]:
    """The way to a broken rule, line by line: when, what happened, and what followed."""
    world = first_world(scene, keeper)
    try:
        for happening in found.path:
            if happening is not None:
                yield _line(world, f"** {happening}")
            world = _moved(world, happening, keeper)
            yield from _lines(world)
        if found.undisturbed:
            yield "            from here on nothing more happens"
            world = run(undisturbed(world.but(notes=())), keeper)
            yield from _lines(world)
            for _ in range(LINES_MOST):
                world = _moved(world, None, keeper)
                yield from _lines(world)
    except (Violation, Endless):
        pass
    yield f"BROKEN {found.rule}: {found.what}"


def _moved(world: World, happening: Happening | None, keeper: Keeper) -> World:
    if happening is not None:
        return run(happen(world.but(notes=()), happening), keeper)
    later = wait(world.but(notes=()), keeper, key(world))
    return later[0] if later else world.but(notes=())


def _lines(world: World) -> Iterator[str]:
    if world.notes:
        yield _line(world, "; ".join(world.notes))


def _line(world: World, words: str) -> str:
    return f"{world.now / SECOND:10.4f} s {words}"
