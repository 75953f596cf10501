"""Clients that load one model with different options: each of their requests reloads it (OLLAMA.md 3)."""

from ollama_keeper.core.changes import Change, ModelOptionsDisagree, ModelReloaded
from ollama_keeper.core.facts import Listed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.numbers import HOUR_S, QUARREL_RELOADS
from ollama_keeper.core.record import replace


def quarrelled(
    model: ModelMemory, before: Listed | None, reloaded: ModelReloaded, *, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    """Counts a reload by a client; the third in an hour is told, once an hour."""
    recent = (*(at for at in model.client_reloads if now.mono - at < HOUR_S), now.mono)
    told = model.quarrelled is not None and now.since(model.quarrelled) < HOUR_S
    model = replace(model, client_reloads=recent)
    if told or len(recent) < QUARREL_RELOADS:
        return model, ()
    contexts = sorted({context for context in (before and before.context_length, reloaded.context_length) if context})
    change = ModelOptionsDisagree(
        server=reloaded.server,
        model=model.model,
        reloads=len(recent),
        context_length=reloaded.context_length,
        context_length_before=before.context_length if before else None,
        hint=_hint(contexts),
    )
    return replace(model, quarrelled=now), (change,)


def _hint(contexts: list[int]) -> str:
    if len(contexts) < 2:
        return "clients ask for it with different runner options (num_gpu, num_batch ...); send the same from all"
    small, large = contexts[0], contexts[-1]
    return (
        f"clients ask for {small} and for {large} tokens: set num_ctx {large} in the Modelfile, or "
        "OLLAMA_CONTEXT_LENGTH on the server, and none in the clients; /v1 clients cannot send any"
    )
