"""The closed lists: states, causes and reasons (CONTRACT 3 and 4). Every outcome has one of these.

The value is what is logged, counted, shown and tested. `REASONS_OF` says which reason may stand beside which state; a
test holds it to `docs/reference.md`.
"""

from enum import StrEnum


class State(StrEnum):
    """State of one wanted model on one server, in the order of the table: the first that holds."""

    REFUSED = "refused"
    PAUSED = "paused"
    OFF_HOURS = "off_hours"
    MISSING = "missing"
    UNKNOWN = "unknown"
    OVER_BUDGET = "over_budget"
    STUCK = "stuck"
    LOADING = "loading"
    DEGRADED = "degraded"
    READY = "ready"
    CONTENDED = "contended"
    YIELDING = "yielding"
    BACKING_OFF = "backing_off"
    QUEUED = "queued"
    COLD = "cold"


class ServerState(StrEnum):
    """State of one server."""

    WAITING = "waiting"
    UP = "up"
    BUSY = "busy"
    DOWN = "down"


class Cause(StrEnum):
    """Why a model left, and so why it is warmed; the last three are causes of a warm only."""

    SERVER_RESTARTED = "server_restarted"
    UNOBSERVED = "unobserved"
    EXPIRED = "expired"
    DISPLACED = "displaced"
    MEMORY_SWEEP = "memory_sweep"
    UNLOADED = "unloaded"
    FIRST_SEEN = "first_seen"
    BY_COMMAND = "by_command"
    AHEAD_OF_HOURS = "ahead_of_hours"


LOSSES = tuple(Cause)[:6]
UNEXPLAINED = frozenset({Cause.MEMORY_SWEEP, Cause.UNLOADED})
"""Losses that may turn out to have made room for what is loading yet."""


class Reason(StrEnum):
    """Why a model is in its state, where that is neither a cause nor a failure."""

    CLOUD_MODEL = "cloud_model"
    IMAGE_MODEL = "image_model"
    SAME_WEIGHTS = "same_weights"
    BAD_REQUEST = "bad_request"
    NOT_PULLED = "not_pulled"
    BEING_PULLED = "being_pulled"
    FIRST_LOOK = "first_look"
    STALE = "stale"
    SERVER_DOWN = "server_down"
    BY_COMMAND = "by_command"
    OUTSIDE_HOURS = "outside_hours"
    MEMORY_BUDGET = "memory_budget"
    MODEL_BUDGET = "model_budget"
    ON_CPU = "on_cpu"
    PARTLY_ON_CPU = "partly_on_cpu"
    OTHER_CONTEXT = "other_context"
    OTHER_DIGEST = "other_digest"
    PROBE_FAILED = "probe_failed"
    NEVER_ANSWERS = "never_answers"
    EVICTS_WANTED = "evicts_wanted"
    SWEEPS_WANTED = "sweeps_wanted"
    SERVER_FULL = "server_full"
    GUEST_ACTIVE = "guest_active"
    BREAKER_OPEN = "breaker_open"
    HOUR_LIMIT = "hour_limit"
    UNLOAD_GRACE = "unload_grace"
    RELEASED = "released"
    SERVER_BUSY = "server_busy"
    SCHEDULER_HUNG = "scheduler_hung"
    OBSERVED_ONLY = "observed_only"
    BEHIND_LOAD = "behind_load"


ON_CPU = frozenset({Reason.ON_CPU, Reason.PARTLY_ON_CPU})


class Failure(StrEnum):
    """Why a request failed: first the transport, then the load (CONTRACT 4)."""

    DNS = "dns"
    CONNECT_REFUSED = "connect_refused"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    RESET = "reset"
    TLS = "tls"
    READ_TIMEOUT = "read_timeout"
    HTTP_4XX = "http_4xx"
    HTTP_429 = "http_429"
    HTTP_5XX = "http_5xx"
    REDIRECT = "redirect"
    NOT_JSON = "not_json"
    BAD_SHAPE = "bad_shape"
    TOO_LARGE = "too_large"
    HOST_REJECTED = "host_rejected"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    SERVER_BUSY = "server_busy"
    OUT_OF_MEMORY = "out_of_memory"
    RUNNER_DIED = "runner_died"
    LOAD_STALLED = "load_stalled"
    LOAD_FAILED = "load_failed"
    LOAD_TIMEOUT = "load_timeout"


TRANSPORT_FAILURES = tuple(Failure)[:15]
LOAD_FAILURES = tuple(Failure)[15:]


class Unpulled(StrEnum):
    """Why a pull came to nothing, as Ollama tells it; else it is a failure of the transport."""

    NOT_IN_REGISTRY = "not_in_registry"
    DISK_FULL = "disk_full"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    REGISTRY_REFUSED = "registry_refused"
    PULL_STALLED = "pull_stalled"
    PULL_FAILED = "pull_failed"


class Reloaded(StrEnum):
    """Why a resident model was loaded anew."""

    OTHER_OPTIONS = "other_options"
    RUNNER_DIED = "runner_died"


class By(StrEnum):
    """Who brought a model back, or reloaded it."""

    KEEPER = "keeper"
    CLIENT = "client"
    FOUND = "found"


class Alert(StrEnum):
    """What an operator is told of: a state that lasts, of a model, a server or the keeper (CONTRACT 5)."""

    MODEL_LOST = "model_lost"
    COLD_START = "cold_start"
    CONTENDED = "contended"
    DEGRADED = "degraded"
    STUCK = "stuck"
    MISSING = "missing"
    BREAKER_OPEN = "breaker_open"
    OPTIONS_DISAGREE = "options_disagree"
    SERVER_DOWN = "server_down"
    SERVER_BUSY = "server_busy"
    SCHEDULER_HUNG = "scheduler_hung"
    CLOCK_SKEW = "clock_skew"
    CONFIG_REJECTED = "config_rejected"
    KEEPER_UNHEALTHY = "keeper_unhealthy"


class Undelivered(StrEnum):
    """Why a notification did not arrive."""

    CLIENT_ERROR = "client_error"
    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"


StateReason = Reason | Cause | Failure | None

_HOLDS: dict[State, tuple[Reason | Cause | Failure, ...]] = {
    State.REFUSED: (Reason.CLOUD_MODEL, Reason.IMAGE_MODEL, Reason.SAME_WEIGHTS, Reason.BAD_REQUEST),
    State.MISSING: (Reason.NOT_PULLED, Reason.BEING_PULLED),
    State.UNKNOWN: (Reason.FIRST_LOOK, Reason.STALE, Reason.SERVER_DOWN),
    State.PAUSED: (Reason.BY_COMMAND,),
    State.OFF_HOURS: (Reason.OUTSIDE_HOURS,),
    State.OVER_BUDGET: (Reason.MEMORY_BUDGET, Reason.MODEL_BUDGET),
    State.DEGRADED: (Reason.ON_CPU, Reason.PARTLY_ON_CPU, Reason.OTHER_CONTEXT, Reason.OTHER_DIGEST),
    State.STUCK: (Reason.PROBE_FAILED, Reason.NEVER_ANSWERS),
    State.CONTENDED: (Reason.EVICTS_WANTED, Reason.SWEEPS_WANTED, Reason.SERVER_FULL),
    State.YIELDING: (Reason.GUEST_ACTIVE,),
    State.BACKING_OFF: (*Failure, Reason.BREAKER_OPEN, Reason.HOUR_LIMIT),
    State.COLD: (Reason.UNLOAD_GRACE, Reason.RELEASED, Reason.SERVER_BUSY, Reason.SCHEDULER_HUNG, Reason.OBSERVED_ONLY),
    State.QUEUED: (Reason.BEHIND_LOAD,),
    State.LOADING: tuple(Cause),
    State.READY: (),
}
REASONS_OF: dict[State, frozenset[Reason | Cause | Failure]] = {
    state: frozenset(held) for state, held in _HOLDS.items()
}
