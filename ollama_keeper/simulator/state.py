"""The whole of a simulated server as one hashable value.

Times are nanoseconds: `now` and every deadline on a clock that never steps, `expires_at` on the server's wall clock,
which is that clock plus `State.wall_offset`. Durations are Go's: int64 nanoseconds, the largest one meaning for ever.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ollama_keeper.simulator.versions import Version

if TYPE_CHECKING:
    from ollama_keeper.simulator.effects import Effect

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
FOREVER = 2**63 - 1
FIVE_MINUTES = 300 * SECOND
HEALTH_TIMEOUT = 10 * SECOND  # sched:needsReload; a wedged child costs it twice (OLLAMA.md 5)

Scalar = str | int | float | bool | None
Parameter = Scalar | tuple[Scalar, ...]


class Kind(StrEnum):
    """What a stored model is good for."""

    COMPLETION = "completion"
    EMBEDDER = "embedder"
    IMAGE = "image"
    MLX = "mlx"
    CLOUD = "cloud"


class Child(StrEnum):
    """How a runner's process is; nothing but a health check ever looks (OLLAMA.md 5)."""

    ALIVE = "alive"
    DEAD = "dead"
    WEDGED = "wedged"


class Failure(StrEnum):
    """How a load ends that does not succeed."""

    CRASH = "crash"
    OUT_OF_MEMORY = "out_of_memory"
    STALL = "stall"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A name under which something is stored.

    Attributes:
        name: as stored, shortest form with its tag.
        digest: of the manifest, bare hex; what `/api/ps` and `/api/tags` show.
        blob: file of the weights, or of the manifest for MLX; names with one blob share one runner.
        size, weights: bytes on disk with all layers; bytes of the weights alone.
        memory, memory_per_token: bytes of a loaded runner without context, and per token of context.
        parameters: of the Modelfile.
        info: `model_info` of `/api/show`.
        load_s, tokens_per_s, answer_tokens: how long a load lasts, how fast and how long it talks.
        failure, failure_after_s, failure_text: how its loads fail, after how long (None: `load_s`), with which words.
        engine: runs on Ollama's own engine on 0.11.5 to 0.24, and is listed while it loads there.
    """

    name: str
    digest: str
    blob: str
    kind: Kind = Kind.COMPLETION
    capabilities: tuple[str, ...] = ("completion",)
    format: str = "gguf"
    family: str = "llama"
    families: tuple[str, ...] = ("llama",)
    parent_model: str = ""
    parameter_size: str = ""
    quantization: str = ""
    trained_context: int = 8192
    embedding_length: int = 0
    layers: int = 0
    size: int = 0
    weights: int = 0
    memory: int = 0
    memory_per_token: int = 0
    parameters: tuple[tuple[str, Parameter], ...] = ()
    adapters: tuple[str, ...] = ()
    projectors: tuple[str, ...] = ()
    template: str = ""
    system: str = ""
    license: str = ""
    info: tuple[tuple[str, Scalar], ...] = ()
    tensors: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    modified_at: int = 0
    remote_host: str = ""
    remote_model: str = ""
    load_s: float = 1.0
    tokens_per_s: float = 20.0
    answer_tokens: int = 200
    failure: Failure | None = None
    failure_after_s: float | None = None
    failure_text: str = ""
    engine: bool = False

    @property
    def key(self) -> str:
        """Ollama's key of the runner: the path of the weights, for MLX the manifest (sched:schedulerModelKey)."""
        return f"digest:{self.digest}" if self.kind is Kind.MLX else self.blob

    @property
    def completes(self) -> bool:
        """Whether it can answer a prompt."""
        return "completion" in self.capabilities

    def parameter(self, name: str) -> Parameter:
        """A parameter of the Modelfile; None where it has none."""
        return dict(self.parameters).get(name)


@dataclass(frozen=True, slots=True)
class Delays:
    """What the server's own work takes, in nanoseconds, as measured on loopback (OLLAMA.md 1, 2, 4, 11).

    Attributes:
        finish: end of an answer until the runner knows it.
        expire: a timer's firing until the runner is taken down; a request between is served, and the runner then goes.
        unload: taking a child down.
        settle: waiting for the memory of a discrete GPU to come back, up to 5 s.
    """

    finish: int = 800_000
    expire: int = 500_000
    unload: int = 500_000
    settle: int = 0
    version: int = 600_000
    listing: int = 700_000
    tags: int = 1_400_000
    show: int = 2_100_000
    load_only: int = 2_500_000
    prompt_token: int = MILLISECOND
    embedding: int = 2 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server was started, and on what.

    Attributes:
        max_loaded_models: OLLAMA_MAX_LOADED_MODELS; 0 is 3 a GPU, at least 3.
        keep_alive: OLLAMA_KEEP_ALIVE in nanoseconds; `FOREVER` and 0 are the extremes.
        context_length: OLLAMA_CONTEXT_LENGTH; 0 leaves it to the version and the GPUs.
        load_timeout: OLLAMA_LOAD_TIMEOUT in nanoseconds; 0 or less is never.
        gpus, vram: number of GPUs and bytes of all of them; 0 is a host without.
        vram_taken: bytes taken by others than this server.
        host_check: refuse foreign Host headers, as a server bound to loopback does.
        cloud: whether cloud models are let through; without, they are 403.
    """

    version: Version = field(default_factory=lambda: Version("0.33.0"))
    max_loaded_models: int = 0
    keep_alive: int = FIVE_MINUTES
    context_length: int = 0
    num_parallel: int = 1
    max_queue: int = 512
    load_timeout: int = FIVE_MINUTES
    gpus: int = 0
    vram: int = 0
    vram_taken: int = 0
    host_check: bool = True
    cloud: bool = False
    delays: Delays = field(default_factory=Delays)


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """The options that are fixed when a model is loaded; a difference in any of them is a reload (OLLAMA.md 3)."""

    num_ctx: int = 4096
    num_batch: int = 512
    num_gpu: int = -1
    main_gpu: int | None = None
    use_mmap: bool | None = None
    num_thread: int = 0
    draft_num_predict: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request on its way to a runner.

    Attributes:
        id: of the request; unique, and negative for what a mishap pretends.
        keep_alive: nanoseconds, None where the request has none.
        auto_context, auto_batch: whether num_ctx and num_batch come from nobody's wish.
        gone: its client has hung up.
    """

    id: int
    model: StoredModel
    options: RunnerOptions
    keep_alive: int | None = None
    auto_context: bool = False
    auto_batch: bool = False
    shift: bool = True
    who: str = ""
    gone: bool = False

    @property
    def key(self) -> str:
        """Of the runner it wants."""
        return self.model.key


@dataclass(frozen=True, slots=True)
class Loading:
    """A load under way: what it will become, when it ends, and how (None: well)."""

    wanted: Wanted
    since: int
    until: int | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Doom:
    """Why a runner is to go, and on whose account."""

    cause: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Runner:
    """A loaded model.

    Attributes:
        model: as it was stored under the name that loaded it first.
        duration: its keep-alive; 0 also marks a runner that the scheduler wants gone (OLLAMA.md 4.1).
        uses: requests on it; the timer runs only at 0.
        expires_at: what `/api/ps` shows, wall clock; None until its first request has finished.
        auto_context, auto_batch, auto_mmap: whether these options come from nobody's wish.
        free_at_load: bytes of GPU memory that its child saw free at its load; None where nobody asks it.
        timer: when it fires.
        loading: set while it is in the map before it is ready (MLX, and older versions).
        doom: why it is condemned, for the record only.
        expiring: its expiry came while it was busy, and comes again when it is idle, whatever happens until then.
    """

    pid: int
    model: StoredModel
    options: RunnerOptions
    duration: int
    size: int
    size_vram: int
    auto_context: bool = False
    auto_batch: bool = False
    auto_mmap: bool = False
    free_at_load: int | None = None
    shift: bool = True
    uses: int = 0
    expires_at: int | None = None
    timer: int | None = None
    child: Child = Child.ALIVE
    loading: Loading | None = None
    doom: Doom | None = None
    expiring: Doom | None = None

    @property
    def key(self) -> str:
        """Of the runner in the scheduler's map."""
        return self.model.key


class Phase(StrEnum):
    """Where the scheduler stands with the one request it works on."""

    CONSIDER = "consider"
    CHECK = "check"
    LOAD = "load"
    AWAIT = "await"


@dataclass(frozen=True, slots=True)
class Turn:
    """The request that the scheduler works on; all others wait behind it.

    Attributes:
        loading: the load, in phase LOAD.
        until: end of the health check, in phase CHECK.
        unloads: how many unload events are awaited, in phase AWAIT: of whichever runners.
        retried: the one retry after an out-of-memory is spent.
        reload: why the resident runner had to go, empty for a cold load.
    """

    wanted: Wanted
    phase: Phase = Phase.CONSIDER
    loading: Loading | None = None
    until: int | None = None
    unloads: int = 0
    retried: bool = False
    reload: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A request that has its runner.

    Attributes:
        slot: None while it needs none, False while it waits for one, True while it computes.
    """

    id: int
    key: str
    pid: int
    who: str
    slot: bool | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A request whose handler waits for a wedged child's health check, holding the runner's lock."""

    wanted: Wanted
    until: int


@dataclass(frozen=True, slots=True)
class UnloadRequest:
    """An explicit unload that waits for the runner's lock."""

    id: int
    key: str
    who: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A request's end on its way to the second goroutine."""

    at: int
    key: str


@dataclass(frozen=True, slots=True)
class Expired:
    """A runner's end on its way to the second goroutine; it keeps coming back until the runner is idle."""

    at: int
    key: str
    pid: int
    doom: Doom


@dataclass(frozen=True, slots=True)
class Closing:
    """The unload that the second goroutine is busy with: taking the child down, then `settling` of GPU memory."""

    key: str
    until: int
    doom: Doom
    settling: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A server between two events.

    Attributes:
        queue: requests for the scheduler, first come first served.
        at_lock: handlers that wait for a runner's lock.
        inbox: what the second goroutine has to do, in order.
        unload_events: unloads done that nobody has waited for yet; they wake the scheduler whichever runner it was.
        limit: of loaded models, fixed at the first load.
        out: what the step at hand has brought about.
    """

    settings: Settings = field(default_factory=Settings)
    models: tuple[StoredModel, ...] = ()
    wall_offset: int = 0
    runners: tuple[Runner, ...] = ()
    queue: tuple[Wanted, ...] = ()
    turn: Turn | None = None
    grants: tuple[Grant, ...] = ()
    at_lock: tuple[Wanted | UnloadRequest, ...] = ()
    checks: tuple[Check, ...] = ()
    inbox: tuple[Finished | Expired, ...] = ()
    closing: Closing | None = None
    unload_events: int = 0
    limit: int | None = None
    next_pid: int = 1001
    out: tuple["Effect", ...] = ()

    @property
    def version(self) -> Version:
        """Of the server."""
        return self.settings.version

    def runner(self, key: str) -> Runner | None:
        """The runner in the map under `key`."""
        return next((runner for runner in self.runners if runner.key == key), None)

    def grant(self, request: int) -> Grant | None:
        """What a request holds."""
        return next((grant for grant in self.grants if grant.id == request), None)

    def with_runner(self, runner: Runner) -> "State":
        """With the runner of that pid replaced."""
        return replace(self, runners=tuple(runner if old.pid == runner.pid else old for old in self.runners))

    def without_runner(self, key: str) -> "State":
        """Without the runner under `key`."""
        return replace(self, runners=tuple(runner for runner in self.runners if runner.key != key))

    def with_turn(self, turn: Turn | None) -> "State":
        """With another turn."""
        return replace(self, turn=turn)

    def emit(self, *effects: "Effect") -> "State":
        """With more effects."""
        return replace(self, out=(*self.out, *effects))

    def locked(self, key: str) -> bool:
        """Whether somebody holds the lock of the runner: a health check, a load in the map, an unload."""
        runner, turn = self.runner(key), self.turn
        checking = turn is not None and turn.phase is Phase.CHECK and turn.wanted.key == key
        loading = runner is not None and runner.loading is not None
        closing = self.closing is not None and self.closing.key == key and not self.closing.settling
        return checking or loading or closing or any(check.wanted.key == key for check in self.checks)
