"""How large a model will be when it is loaded: as it was last time, else as the server itself would estimate."""

from dataclasses import dataclass

from ollama_keeper.core.memory import LearnedSize, ModelMemory
from ollama_keeper.core.policy import ContextRule
from ollama_keeper.core.requests import warm_options

DEFAULT_CONTEXT = 4_096  # of a server below 23 GiB of GPU memory; larger ones take more (OLLAMA.md 3)
KV_BYTES = 2  # f16


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of one model, and whether they were seen or are an estimate."""

    size: int
    learned: bool


def size_of(model: ModelMemory) -> Size | None:
    """What a model takes, or would take with its next load; None where nothing is known of it."""
    if model.listed is not None and model.listed.size:
        return Size(model.listed.size, learned=True)
    learned = model.learned_size
    if learned is not None and learned == learned_now(model, learned.size):
        return Size(learned.size, learned=True)
    estimate = estimated(model)
    return Size(estimate, learned=False) if estimate else None


def learned_now(model: ModelMemory, size: int) -> LearnedSize:
    """A size as it was learned of the weights that are pulled and the options of the next warm."""
    return LearnedSize(model.pulled or "", warm_options(model), size)


def estimated(model: ModelMemory) -> int | None:
    """Weights and KV cache by the server's own formula (OLLAMA.md 6): 2 x layers x kv heads x width / heads x context.

    For one slot: `OLLAMA_NUM_PARALLEL` is 1 since 0.10.0, and no endpoint tells another.
    """
    shown = model.shown
    if not model.disk_size:
        return None
    if shown is None or not (shown.layers and shown.kv_heads and shown.heads and shown.width):
        return model.disk_size
    per_token = 2 * shown.layers * shown.kv_heads * (shown.width // shown.heads) * KV_BYTES
    return model.disk_size + per_token * _context(model)


def _context(model: ModelMemory) -> int:
    context = model.policy.context
    if isinstance(context, ContextRule):
        own = model.shown.own_context if model.shown else None
        context = model.learned_context or model.own_context or own or DEFAULT_CONTEXT
    trained = model.shown.trained_context if model.shown else None
    return min(context, trained) if trained else context
