"""Whether a model is to be kept now: not while it is paused, outside its hours, or where the budget goes to others."""

from datetime import datetime, timedelta

from ollama_keeper.core.budget import over_budget
from ollama_keeper.core.calendar import active, opens_at
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, Pause, ServerMemory
from ollama_keeper.core.reasons import Reason, State
from ollama_keeper.core.record import record

AHEAD_MARGIN_S = 30.0


@record
class Unwanted:
    """Why a model is not to be kept now.

    Attributes:
        until: when that ends by itself; None when only an event ends it.
    """

    state: State
    reason: Reason
    until: datetime | None = None


def not_to_be_kept(model: ModelMemory, memory: ServerMemory, now: Instant) -> Unwanted | None:
    """Why the model is not to be kept now, the first that holds of CONTRACT 3; None when it is to be kept."""
    return not_asked_for(model, now) or crowded_out(model, memory, now)


def not_asked_for(model: ModelMemory, now: Instant) -> Unwanted | None:
    """The same, of what is said of this model alone: a pause, or its hours."""
    pause = paused(model, now)
    if pause is not None:
        return Unwanted(State.PAUSED, Reason.BY_COMMAND, pause.until)
    windows = model.policy.active
    if active(windows, now.wall) or active(windows, now.wall + timedelta(seconds=ahead_s(model))):
        return None
    opens = opens_at(windows, now.wall)
    return Unwanted(State.OFF_HOURS, Reason.OUTSIDE_HOURS, opens)


def claimants(memory: ServerMemory, now: Instant) -> tuple[ModelMemory, ...]:
    """The models that are asked for now, by rank: those that share the budget."""
    return tuple(model for model in memory.models if not_asked_for(model, now) is None)


def paused(model: ModelMemory, now: Instant) -> Pause | None:
    """The pause that holds now; it ends by itself."""
    pause = model.pause
    return pause if pause is not None and (pause.until is None or now.wall < pause.until) else None


def ahead_s(model: ModelMemory) -> float:
    """How long before its hours a model is loaded; `auto` is the load time known and 30 s."""
    if model.policy.ahead_s is not None:
        return model.policy.ahead_s
    return (model.longest_load_s or 0.0) + AHEAD_MARGIN_S


def crowded_out(model: ModelMemory, memory: ServerMemory, now: Instant) -> Unwanted | None:
    """The same, of a model that is asked for: the budget goes to others."""
    if memory.budget is None:
        return None
    reason = over_budget(model, claimants(memory, now), memory)
    return Unwanted(State.OVER_BUDGET, reason) if reason else None
