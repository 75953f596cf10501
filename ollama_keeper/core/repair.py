"""`repair: reload`: loading a degraded model anew, and freeing a scheduler that hangs; seldom, and never into a user.

Both unload one idle model of ours: what is wrong with its place or its options is settled only by a load (OLLAMA.md 9).
Where other weights were pulled under its name, that name unloads nothing any more: the new ones are loaded (5).
"""

from ollama_keeper.core.facts import LoadRequest
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import HOUR_S, REPAIR_IDLE_S
from ollama_keeper.core.ownership import Claim, claim, pulled_anew
from ollama_keeper.core.policy import Repair
from ollama_keeper.core.requests import unload_request
from ollama_keeper.core.states import lacks_gpu, misplacement


def repair(model: ModelMemory, memory: ServerMemory, now: Instant) -> LoadRequest | None:
    """The unload with which a model is repaired; None where nothing is to be repaired, or not now."""
    if model.policy.repair is not Repair.RELOAD or claim(model, memory, now) is not Claim.OURS:
        return None
    return unload_request(model) if _hangs(model, memory, now) or _degraded(model, memory, now) else None


def refresh_due(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether a listed model is to be loaded as it was pulled anew: other weights, which only a load brings in.

    The old ones stay beside them until they are evicted: they can be addressed no more.
    """
    asked = model.policy.repair is Repair.RELOAD and claim(model, memory, now) is Claim.OURS
    other = asked and pulled_anew(model) and same_weights(model, memory) is False
    return other and _degraded(model, memory, now)


def same_weights(model: ModelMemory, memory: ServerMemory) -> bool | None:
    """Whether what was pulled anew runs the weights that are loaded, so that its name still unloads them.

    None where that is not known, as after a restart of the keeper; then nothing is sent.
    """
    loaded = dict(memory.weights).get(model.listed.digest) if model.listed else None
    pulled = model.shown.weights if model.shown and model.asked_digest == model.pulled else None
    return None if loaded is None or pulled is None else loaded == pulled


def _degraded(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """At most once an hour, after a minute in which nobody used it, never while others wait.

    A GPU that is missing since the server started comes back with no reload.
    """
    reason = misplacement(model, memory)
    if reason is None or lacks_gpu(reason, memory):
        return False
    if model.repaired is not None and now.since(model.repaired) < HOUR_S:
        return False
    others_wait = bool(memory.open) or any(other.present is None for other in memory.models)
    return not others_wait and _unused_s(model, now) >= REPAIR_IDLE_S


def _hangs(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether this is the model that frees a hung scheduler: the least important of ours, once a hang (#17408)."""
    if memory.hung is None or memory.freed:
        return False
    ours = [other for other in memory.models if claim(other, memory, now) is Claim.OURS]
    return bool(ours) and ours[-1].model == model.model


def _unused_s(model: ModelMemory, now: Instant) -> float:
    """Seconds since anybody but us used the model; our own pings move its expiry too."""
    if model.present is None:
        return 0.0
    began = model.present.appeared
    return now.since(began if model.used is None else max(model.used, began))
