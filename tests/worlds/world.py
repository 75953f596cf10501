"""One small world between two moments: server, keeper, shell, network and clients as one value."""

from dataclasses import dataclass, field
from datetime import datetime

from ollama_keeper.core.facts import Answered, Failed, Listed, LoadRequest, Paused, Resumed, Send
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import Cause
from ollama_keeper.simulator.state import State
from tests.worlds.scene import Scene

# --- what a task of the shell has still to do, in the words of server.py ----------------------------------------------


@dataclass(frozen=True, slots=True)
class LookFresh:
    """A look, unless one is young enough."""


@dataclass(frozen=True, slots=True)
class LookAnew:
    """A look that was not asked before now."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Tell what time alone has changed."""


@dataclass(frozen=True, slots=True)
class Touch:
    """Send what is due."""

    model: str


@dataclass(frozen=True, slots=True)
class Nap:
    """The gap of the idle test."""


@dataclass(frozen=True, slots=True)
class Remember:
    """The first date of the idle test."""

    model: str
    ping: LoadRequest


@dataclass(frozen=True, slots=True)
class Compare:
    """The second date of the idle test, and its ping."""

    model: str
    ping: LoadRequest


@dataclass(frozen=True, slots=True)
class Conclude:
    """The third date of the idle test."""

    model: str


@dataclass(frozen=True, slots=True)
class Tested:
    """The end of the idle test, and what it allows."""

    model: str
    idle: bool


@dataclass(frozen=True, slots=True)
class Open:
    """A request goes out."""

    request: LoadRequest
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A request has its answer; a failed warm is looked at first."""

    request: LoadRequest


@dataclass(frozen=True, slots=True)
class Learn:
    """The answer is learnt; an answered load is proven by a look."""

    request: LoadRequest


Op = LookFresh | LookAnew | Edges | Touch | Nap | Remember | Compare | Conclude | Tested | Open | Ended | Learn


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the shell.

    Attributes:
        name: unique; `lane` is the load lane's.
        wake: end of its sleep, or of a load's patience.
        looks: how many looks must end before it goes on.
        waits: id of its request, and `request`, `opened` what and since when.
        before: the first date of an idle test.
        idle: that test has said idle.
    """

    name: str
    work: tuple[Op, ...]
    wake: int | None = None
    looks: int = 0
    waits: int | None = None
    request: LoadRequest | None = None
    opened: int = 0
    before: datetime | None = None
    outcome: Answered | Failed | None = None
    idle: bool = False

    @property
    def runnable(self) -> bool:
        """Whether nothing is waited for."""
        return self.wake is None and not self.looks and self.waits is None


# --- the rest ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """A look under way; `models` is None until the server has answered it, `due` set for an answer that is late."""

    asked: int
    models: tuple[Listed, ...] | None = None
    due: int | None = None
    recheck: int | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A request of somebody else; `running` once it computes."""

    id: int
    model: str
    generates: bool = False
    running: bool = False
    since: int = 0


@dataclass(frozen=True, slots=True)
class Late:
    """An answer of ours that is still on its way."""

    id: int
    outcome: Answered | Failed
    due: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last good look showed, and when that date was first seen."""

    listed: Listed
    moved: int


@dataclass(frozen=True)
class World:
    """Everything, at `now` nanoseconds.

    Attributes:
        looked: end of the last look; `next_check` when the jobs run again.
        reconnected: the server has closed our connections since the last look.
        lost_look, late_look, late_answer: what befalls the next one.
        seen, mine, proving, began: the rules' own bookkeeping: last look; how our loads were listed at their end; whose
            end, and when, is to be shown by the next look; for which a request of ours has begun a load.
        paused: models that somebody has paused, each with whether its memory is to be freed; `commands` not learnt yet.
        costs: (winner, loser, times) of our loads that evicted a better model; `reloads`: (model, times).
        notes: what the last step brought about, in words; no part of the state.
    """

    scene: Scene
    server: State
    memory: ServerMemory
    now: int = 0
    tasks: tuple[Task, ...] = ()
    look: Look | None = None
    looked: int = -(10**18)
    next_check: int = 0
    clients: tuple[Client, ...] = ()
    late: tuple[Late, ...] = ()
    paused: tuple[tuple[str, bool], ...] = ()
    commands: tuple[Paused | Resumed, ...] = ()
    reconnected: bool = False
    lost_look: bool = False
    late_look: bool = False
    late_answer: bool = False
    seen: tuple[Seen, ...] = ()
    mine: tuple[tuple[str, Listed], ...] = ()
    proving: tuple[tuple[str, int], ...] = ()
    began: tuple[str, ...] = ()
    costs: tuple[tuple[str, str, int], ...] = ()
    reloads: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    def but(self, **changes: object) -> "World":
        """The same with other values, as `replace` would do it in ten times the time: walks spend it here."""
        other = object.__new__(World)
        other.__dict__.update(self.__dict__, **changes)
        return other

    def task(self, name: str) -> Task | None:
        """The task of that name."""
        return next((task for task in self.tasks if task.name == name), None)

    def with_task(self, task: Task) -> "World":
        """With a task replaced, or begun."""
        if self.task(task.name) is None:
            return self.but(tasks=(*self.tasks, task))
        return self.but(tasks=tuple(task if old.name == task.name else old for old in self.tasks))

    def without_task(self, name: str) -> "World":
        """Without a task that has ended."""
        return self.but(tasks=tuple(task for task in self.tasks if task.name != name))

    def note(self, words: str) -> "World":
        """With one more thing told."""
        return self.but(notes=(*self.notes, words))

    def open_requests(self) -> tuple[Task, ...]:
        """Tasks whose request is not answered."""
        return tuple(task for task in self.tasks if task.waits is not None)

    def last_seen(self, model: str) -> Seen | None:
        """How the last good look listed a model."""
        return next((seen for seen in self.seen if seen.listed.name.model == model), None)


KEEPS = frozenset({Send.WARM, Send.REPIN, Send.TAKEOVER, Send.RELEASE, Send.UNLOAD})
