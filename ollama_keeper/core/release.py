"""Giving a model back: what is sent for one that is not to be kept any more, and when nothing is left to send.

A pin would stay for ever, so it is lowered once, after the idle test, to what Ollama itself would have given; a lease
is only not renewed. `release: unload` takes the model out at once. Only what is ours is touched (CONTRACT 1, 2.3).
"""

from ollama_keeper.core.facts import LoadRequest
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.ownership import Claim, claim
from ollama_keeper.core.policy import Release
from ollama_keeper.core.requests import release_request, unload_request
from ollama_keeper.core.wishes import not_to_be_kept


def release(model: ModelMemory, memory: ServerMemory, now: Instant) -> LoadRequest | None:
    """The request that gives a resident model back; None where nothing is owed.

    Nothing is, when the load is not ours, when it was given back already, when another kept name has the same runner,
    and when it is a lease that may expire by itself.
    """
    if model.given_back or claim(model, memory, now) is not Claim.OURS or kept_under_other_name(model, memory, now):
        return None
    if how(model) is Release.UNLOAD:
        return unload_request(model)
    if model.record is None or model.record.lease_s is not None:
        return None
    return release_request(model, model.record.options)


def owed(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether a model that is not to be kept still takes memory by our doing, and that is to end yet.

    A load of ours is under way, or its pin is not lowered, or it is not unloaded as it should be, or no look has shown
    that yet. A lease runs out by itself.
    """
    if not memory.is_leaving(model) and not_to_be_kept(model, memory, now) is None:
        return False
    if memory.opened(model.model) is not None or model.pending is not None:
        return True
    if not model.given_back:
        return release(model, memory, now) is not None
    looked = memory.good is not None and (model.touched is None or memory.good.mono > model.touched.mono)
    return model.listed is not None and (model.record is not None or not looked)


def how(model: ModelMemory) -> Release:
    """How a model is given back: as its pause says, else as its policy does."""
    return Release.UNLOAD if model.pause is not None and model.pause.unload else model.policy.release


def without_released(memory: ServerMemory, now: Instant) -> ServerMemory:
    """The memory without the models that left the configuration and for which nothing is left to do."""
    if not memory.leaving:
        return memory
    still = tuple(model for model in memory.leaving if _still_leaving(model, memory, now))
    return memory if len(still) == len(memory.leaving) else memory.with_leaving(still)


def _still_leaving(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    if memory.opened(model.model) is not None or model.pending is not None:
        return True
    if memory.good is None:  # it is not known yet whether the load that the store tells of is still there
        return model.record is not None
    if model.present is not None and model.given_back and model.policy.release is Release.UNLOAD:
        return True
    return release(model, memory, now) is not None


def kept_under_other_name(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether another name that is to be kept now has the same runner."""
    key = model.present.key if model.present else None
    others = (other for other in memory.models if other.model != model.model and other.present is not None)
    same = (other for other in others if other.present is not None and other.present.key == key)
    return any(not_to_be_kept(other, memory, now) is None for other in same)
