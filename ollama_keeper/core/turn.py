"""`next_load`: whose turn it is. By rank, one load at a time a server, never into a hold."""

from ollama_keeper.core.decide import Why, decide
from ollama_keeper.core.holds import holds, wants_load
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.makeway import costly, goes, tested
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.pace import to_describe
from ollama_keeper.core.presence import strangers
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.repair import refresh_due
from ollama_keeper.core.wishes import ahead_s, not_to_be_kept


def next_load(memory: ServerMemory, now: Instant) -> str | None:
    """The model to warm now, or None: the best rank that is absent, known, and held by nothing.

    To be asked just before sending: a queue of names goes stale behind a load of ten minutes.
    """
    if memory.state is not ServerState.UP or memory.failures or loading(memory, now):
        return None
    if to_describe(memory, now) is not None or strangers(memory) or _way_is_made(memory, now):
        return None
    due = (model for model in memory.models if wants_load(model, memory) or refresh_due(model, memory, now))
    ready = (model for model in due if not holds(model, memory, now))
    return next((model.model for model in ready if not not_to_be_kept(model, memory, now)), None)


def _way_is_made(memory: ServerMemory, now: Instant) -> bool:
    """Whether a lesser model is about to go for the next one; one that is in use is waited for no longer."""
    model = costly(memory)
    if model is None:
        return False
    return goes(model, now) or tested(model, memory, now) or decide(model, memory, now).why is Why.MAKES_WAY


def loading(memory: ServerMemory, now: Instant) -> bool:
    """Whether a load of ours is open; there is only one a server."""
    return any(load.counts(now) for load in memory.open)


def next_hold_ends(memory: ServerMemory, now: Instant) -> float | None:
    """Monotonic instant at which the first hold of an absent model ends by itself; None when there is none."""
    ends: list[float | None] = [
        max((hold.until for hold in held if hold.until is not None), default=None)
        for model in memory.models
        if wants_load(model, memory) and (held := holds(model, memory, now)) and all(h.until is not None for h in held)
    ]
    ends += [_ends(model, memory, now) for model in memory.models]
    return min((end for end in ends if end is not None), default=None)


def _ends(model: ModelMemory, memory: ServerMemory, now: Instant) -> float | None:
    """When a model is to be kept again by itself: the end of its pause, or `ahead` of its hours."""
    unwanted = not_to_be_kept(model, memory, now)
    if unwanted is None or unwanted.until is None:
        return None
    early_s = ahead_s(model) if unwanted.state is State.OFF_HOURS else 0.0
    return now.mono + max((unwanted.until - now.wall).total_seconds() - early_s, 0.0)
