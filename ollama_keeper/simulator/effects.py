"""What goes into the machine and what comes out of it."""

from dataclasses import dataclass

from ollama_keeper.simulator.state import Settings, StoredModel, Wanted

# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but time has passed."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request wants a runner."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Left:
    """A request has been answered, or its client has hung up: to the scheduler the same."""

    id: int


@dataclass(frozen=True, slots=True)
class NeedsSlot:
    """A granted request wants to compute."""

    id: int


@dataclass(frozen=True, slots=True)
class UnloadAsked:
    """keep_alive 0 without a prompt."""

    id: int
    key: str
    who: str


@dataclass(frozen=True, slots=True)
class RuntimeOom:
    """A generation ran out of memory."""

    by: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored, or how it behaves, has changed."""

    models: tuple[StoredModel, ...]


@dataclass(frozen=True, slots=True)
class Reset:
    """The server has been started anew: nothing is loaded."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """The surroundings have changed under a running server."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class ChildKilled:
    """A runner's process has died."""

    key: str


@dataclass(frozen=True, slots=True)
class ChildWedged:
    """A runner's process has stopped answering."""

    key: str


@dataclass(frozen=True, slots=True)
class NeverIdle:
    """A generation that never ends is on the runner."""

    key: str
    id: int


@dataclass(frozen=True, slots=True)
class Deadlocked:
    """The scheduler waits for an unload that nothing will bring (OLLAMA.md 4.1)."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class GpuLost:
    """The GPU is gone: what is loaded computes on, what is loaded next does so on the CPU."""


Mishap = RuntimeOom | Stored | Reset | Reconfigured | ChildKilled | ChildWedged | NeverIdle | Deadlocked | GpuLost
Event = Tick | Arrived | Left | NeedsSlot | UnloadAsked | Mishap

# --- effects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Granted:
    """A request has its runner."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A request will not get one; `status` and `text` of the answer."""

    at: int
    id: int
    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Leaked:
    """A request whose client gave up in the queue: dropped, and its handler waits for ever (#17044)."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class SlotGranted:
    """A request may compute."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class UnloadAnswered:
    """The runner, if there was one, has been told to go."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class ChildDied:
    """Requests that were computing on a child that is gone."""

    at: int
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LoadStarted:
    """A child was started; `reload` says why another one had to go for it, empty for a cold load."""

    at: int
    id: int
    model: str
    key: str
    who: str
    reload: str


@dataclass(frozen=True, slots=True)
class LoadEnded:
    """`outcome` is loaded, aborted, crash, out_of_memory or stall."""

    at: int
    id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A runner is gone; `cause` and `by` say why and for whom."""

    at: int
    model: str
    key: str
    cause: str
    by: str


Effect = Granted | Refused | Leaked | SlotGranted | UnloadAnswered | ChildDied | LoadStarted | LoadEnded | Unloaded
