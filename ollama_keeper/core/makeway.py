"""Making way: a lesser model that cost better ones their places goes before those come back beside others.

Ollama evicts whose keep_alive is the shortest (OLLAMA.md 4), not who matters least: a pinned lesser model would stay,
and the better ones would push each other out. That they do not fit together with it was seen when it was loaded.
"""

from ollama_keeper.core.holds import holds, wants_load
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import MAKES_WAY_WITHIN_S, TESTED_WITHIN_S
from ollama_keeper.core.ownership import Claim, claim
from ollama_keeper.core.release import kept_under_other_name
from ollama_keeper.core.room import room_seen
from ollama_keeper.core.wishes import not_to_be_kept


def costly(memory: ServerMemory) -> ModelMemory | None:
    """The one model that may have to make way: its load has cost better ones their places."""
    return memory.get(memory.full.winner) if memory.full is not None else None


def makes_way(model: ModelMemory, memory: ServerMemory, now: Instant) -> ModelMemory | None:
    """The better model for which a resident one is to go; None where it may stay.

    It goes for one that its own load had cost its place, that is next to come back, and that would be beside a third of
    better rank. With nobody beside, the server chooses rightly: there is nobody else to evict. It goes before the first
    of several comes back: a runner tells the server what it saw free when it was loaded, as long as it stays (4).
    """
    comes = _in_whose_way(model, memory, now)
    if comes is None or claim(model, memory, now) is not Claim.OURS or kept_under_other_name(model, memory, now):
        return None
    return comes


def goes(model: ModelMemory, now: Instant) -> bool:
    """Whether a model has just been unloaded to make way, and is listed yet."""
    if model.made_way is None or model.present is None or model.present.appeared > model.made_way.at:
        return False
    return now.since(model.made_way.at) < MAKES_WAY_WITHIN_S


def tested(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether it shows within moments whether a model in the way of another is idle."""
    if _in_whose_way(model, memory, now) is None:
        return False
    just = model.touched is not None and now.since(model.touched) < TESTED_WITHIN_S
    return just or memory.opened(model.model) is not None


def _in_whose_way(model: ModelMemory, memory: ServerMemory, now: Instant) -> ModelMemory | None:
    full = memory.full
    if full is None or full.winner != model.model or model.present is None or memory.hung is not None:
        return None
    better = tuple(memory.better_than(model))
    lost = [other for other in better if other.model in full.losers and not room_seen(other, memory)]
    come = [other for other in lost if _comes(other, memory, now)]
    beside = len(come) > 1 or any(other.present is not None for other in better)
    return come[0] if come and beside else None


def _comes(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    absent = wants_load(model, memory) and not_to_be_kept(model, memory, now) is None
    return absent and not holds(model, memory, now)
