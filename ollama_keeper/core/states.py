"""`state_of`: exactly one state a model and server, the first row of CONTRACT 3's table that holds, with its reason."""

from collections.abc import Callable, Sequence

from ollama_keeper.core.holds import Hold, holds
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import DOWN_AFTER, PROBE_FAILURES, STUCK_AFTER_S
from ollama_keeper.core.ownership import pulled_anew
from ollama_keeper.core.policy import ContextRule
from ollama_keeper.core.reasons import ON_CPU, Cause, Reason, ServerState, State, StateReason
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.wishes import crowded_out, not_asked_for

GOOD_ENOUGH = 0.995  # of the GPU share: sizes are summed from log lines and may differ by rounding
STALE_INTERVALS = 3

Told = tuple[State, StateReason]
States = Callable[[ServerMemory, Instant], Sequence[Told]]
"""The states of all models of a server, in their order."""


def state_of(model: ModelMemory, memory: ServerMemory, now: Instant) -> Told:
    """The model's state and the reason for it."""
    for row in _ROWS:
        told = row(model, memory, now)
        if told is not None:
            return told
    return State.QUEUED, Reason.BEHIND_LOAD


def states_of(memory: ServerMemory, now: Instant) -> tuple[Told, ...]:
    """The states of all models of a server, in their order."""
    return tuple(state_of(model, memory, now) for model in memory.models)


def resident(model: ModelMemory) -> bool:
    """Whether the model is in memory and answered our load, if we loaded it; told beside the state."""
    return model.present is not None and model.pending is None


def misplacement(model: ModelMemory, memory: ServerMemory) -> Reason | None:
    """What about a listed model is not as wanted; None when all is."""
    listed = model.listed
    if listed is None:
        return None
    wanted, share = wanted_gpu_fraction(model, memory), listed.gpu_fraction
    if wanted is not None and share is not None and share < wanted * GOOD_ENOUGH:
        return Reason.ON_CPU if share == 0.0 else Reason.PARTLY_ON_CPU
    context = wanted_context(model)
    if context is not None and listed.context_length is not None and listed.context_length != context:
        return Reason.OTHER_CONTEXT
    return Reason.OTHER_DIGEST if pulled_anew(model) else None


def gpu_missing(memory: ServerMemory) -> bool:
    """Whether the server had a GPU, and has loaded what belongs there on the CPU since it started (OLLAMA.md 9)."""
    if not memory.gpu_seen or memory.gpu_since:
        return False
    return any(misplacement(model, memory) is Reason.ON_CPU for model in memory.models)


def lacks_gpu(reason: StateReason, memory: ServerMemory) -> bool:
    """Whether a model is misplaced for that, so that no reload of it helps."""
    return reason in ON_CPU and gpu_missing(memory)


def wanted_context(model: ModelMemory) -> int | None:
    """The context that the operator asked for, as the server will list it: at most the trained one (OLLAMA.md 0)."""
    context = model.policy.context
    if isinstance(context, ContextRule):
        return None
    trained = model.shown.trained_context if model.shown else None
    return min(context, trained) if trained else context


def wanted_gpu_fraction(model: ModelMemory, memory: ServerMemory) -> float | None:
    """The least GPU share wanted; for `auto` the best seen of this model, once the server has shown a GPU."""
    if model.policy.min_gpu_fraction is not None:
        return model.policy.min_gpu_fraction
    return model.best_gpu if memory.gpu_seen else None


def _refused(model: ModelMemory, memory: ServerMemory, _: Instant) -> Told | None:
    reason = refusal(model, memory)
    return (State.REFUSED, reason) if reason else None


def _not_now(model: ModelMemory, _memory: ServerMemory, now: Instant) -> Told | None:
    unwanted = not_asked_for(model, now)
    return (unwanted.state, unwanted.reason) if unwanted else None


def _over_budget(model: ModelMemory, memory: ServerMemory, now: Instant) -> Told | None:
    unwanted = crowded_out(model, memory, now)
    return (unwanted.state, unwanted.reason) if unwanted else None


def _missing(model: ModelMemory, _memory: ServerMemory, _now: Instant) -> Told | None:
    if not model.missing:
        return None
    pulled = model.download is not None and model.download.since is not None
    return State.MISSING, Reason.BEING_PULLED if pulled else Reason.NOT_PULLED


def _unknown(model: ModelMemory, memory: ServerMemory, now: Instant) -> Told | None:
    never = memory.state is ServerState.WAITING and memory.failures >= DOWN_AFTER
    if memory.state is ServerState.DOWN or never:
        return State.UNKNOWN, Reason.SERVER_DOWN
    if memory.good is None:
        return State.UNKNOWN, Reason.FIRST_LOOK
    limit = STALE_INTERVALS * model.policy.interval_s + memory.look_timeout_s
    return (State.UNKNOWN, Reason.STALE) if now.since(memory.good) > limit else None


def _stuck(model: ModelMemory, memory: ServerMemory, now: Instant) -> Told | None:
    if model.listed is not None and model.probe_failures >= PROBE_FAILURES:
        return State.STUCK, Reason.PROBE_FAILED
    load = memory.opened(model.model)
    if load is None or model.listed is None or now.since(load.since) <= STUCK_AFTER_S:
        return None
    past = memory.remaining_s(model.listed, now) <= 0
    return (State.STUCK, Reason.NEVER_ANSWERS) if past else None


def _loading(model: ModelMemory, memory: ServerMemory, _: Instant) -> Told | None:
    load = memory.opened(model.model)
    if load is not None and load.cause is not None:
        return State.LOADING, load.cause
    absent = load is not None and model.present is None
    if absent or (model.pending is not None and model.present is None):
        gone = model.departure
        return State.LOADING, gone.cause if gone else Cause.UNOBSERVED
    return None


def _listed(model: ModelMemory, memory: ServerMemory, _: Instant) -> Told | None:
    if model.present is None:
        return None
    reason = misplacement(model, memory)
    return (State.DEGRADED, reason) if reason else (State.READY, None)


def _held(model: ModelMemory, memory: ServerMemory, now: Instant) -> Told | None:
    first: Hold | None = next(iter(holds(model, memory, now)), None)
    return (first.state, first.reason) if first else None


_ROWS: tuple[Callable[[ModelMemory, ServerMemory, Instant], Told | None], ...] = (
    _refused,
    _not_now,
    _missing,
    _unknown,
    _over_budget,
    _stuck,
    _loading,
    _listed,
    _held,
)
