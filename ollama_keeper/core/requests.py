"""Which request does what: the options and the keep_alive of each load (CONTRACT 1; OLLAMA.md 3, 13)."""

from ollama_keeper.core.facts import Kind, Listed, LoadRequest, Send
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.policy import ContextRule, Options
from ollama_keeper.core.versions import echo_safe

CONTEXT_OPTION = "num_ctx"
RELEASED_KEEP_ALIVE = "5m"


def warm_request(model: ModelMemory) -> LoadRequest:
    """The request that loads an absent model, pinned or leased as its policy says."""
    return LoadRequest(Send.WARM, model.model, model.kind, model.policy.keep_alive, warm_options(model))


def lease_of(request: LoadRequest) -> float | None:
    """Seconds that a request gives a model; None where it pins, or says nothing."""
    given = request.keep_alive
    return float(given) if isinstance(given, int | float) and given >= 0 else None


def warm_options(model: ModelMemory) -> Options:
    """Runner options of the next warm: the configured ones, and the context configured or learned from clients."""
    context = model.policy.context
    if context is ContextRule.ADOPT:
        context = model.learned_context or ContextRule.SERVER
    if isinstance(context, ContextRule):
        return model.policy.options
    return tuple(sorted((*model.policy.options, (CONTEXT_OPTION, context))))


def ping_request(model: ModelMemory, options: Options) -> LoadRequest:
    """A load-only without keep_alive: finds a dead runner and renews a lease, and can do nothing else."""
    return LoadRequest(Send.PING, model.model, model.kind, None, options)


def keep_request(send: Send, model: ModelMemory, options: Options) -> LoadRequest:
    """A re-pin or take-over: the wanted keep_alive again. Only after the idle test (OLLAMA.md 4.1)."""
    return LoadRequest(send, model.model, model.kind, model.policy.keep_alive, options)


def release_request(model: ModelMemory, options: Options) -> LoadRequest:
    """Lowers a pin of ours to what Ollama would have given by itself. Only after the idle test (OLLAMA.md 4.1)."""
    return LoadRequest(Send.RELEASE, model.model, model.kind, RELEASED_KEEP_ALIVE, options)


def unload_request(model: ModelMemory) -> LoadRequest:
    """Unloads a model at once, or when its last request has ended: `/api/generate` for any kind (OLLAMA.md 2)."""
    return LoadRequest(Send.UNLOAD, model.model, model.kind, 0)


def takeover_options(model: ModelMemory, memory: ServerMemory, listed: Listed) -> Options | None:
    """Options with which a client's load can be asked for without reloading it; None where none are safe.

    Ours, when the listed context is the one that our own load got; else the listed context itself (CONTRACT 1).
    """
    if model.own_options is not None and listed.context_length == model.own_context:
        return model.own_options
    if model.shown is not None and model.shown.mlx:
        return ()
    if not can_echo(model, memory, listed.context_length) or listed.context_length is None:
        return None
    return ((CONTEXT_OPTION, listed.context_length),)


def can_echo(model: ModelMemory, memory: ServerMemory, context: int | None) -> bool:
    """Whether a listed context can be sent as `num_ctx` without a reload now or by the next client (OLLAMA.md 3)."""
    shown = model.shown
    if shown is None or context is None:
        return False
    return echo_safe(memory.version, shown.kind, context=context, trained=shown.trained_context, mlx=shown.mlx)


def needs_embed(request: LoadRequest) -> bool:
    """Whether the request goes to `/api/embed`: `/api/generate` refuses embedders (OLLAMA.md 2)."""
    return request.kind is Kind.EMBEDDER and request.send is not Send.UNLOAD
