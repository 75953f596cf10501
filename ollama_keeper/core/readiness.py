"""Readiness: whether the required models can serve, and of each that cannot, why and since when (CONTRACT 3)."""

from collections.abc import Iterable
from dataclasses import dataclass

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.names import BadName, ModelName, parse_name
from ollama_keeper.core.states import state_of
from ollama_keeper.core.view import READYZ, since


@dataclass(frozen=True, slots=True)
class Unready:
    """A model that cannot serve.

    Attributes:
        age_s: how long it has been so, as far as that is known.
    """

    server: str
    model: str
    state: str
    reason: str | None
    age_s: float


def unready(memories: Iterable[ServerMemory], now: Instant) -> tuple[Unready, ...]:
    """The required models that are asked for now and cannot serve; empty when all is ready."""
    models = [(model, memory) for memory in memories for model in memory.models if model.policy.required]
    return tuple(_unready(model, memory, now) for model, memory in models if ready(model, memory, now) is False)


def unready_of(name: str, memories: Iterable[ServerMemory], now: Instant) -> tuple[Unready, ...] | None:
    """Where a wanted model, required or not, cannot serve; None when no server is to keep it.

    One that is asked for by its name is not ready outside its hours either.
    """
    meant = _parsed(name)
    found = [(model, memory) for memory in memories for model in memory.models if model.policy.name == meant]
    if not found:
        return None
    return tuple(_unready(model, memory, now) for model, memory in found if not ready(model, memory, now))


def ready(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool | None:
    """Whether a model can serve; None when it is not asked to."""
    return READYZ[state_of(model, memory, now)[0]]


def _unready(model: ModelMemory, memory: ServerMemory, now: Instant) -> Unready:
    state, reason = state_of(model, memory, now)
    age_s = round(now.since(since(model, memory, state)), 1)
    return Unready(memory.server, model.model, state.value, reason.value if reason else None, age_s)


def _parsed(name: str) -> ModelName | None:
    try:
        return parse_name(name)
    except BadName:
        return None
