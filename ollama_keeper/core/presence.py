"""Which entry of `/api/ps` is a wanted model: by name, else by digest, else by weights (OLLAMA.md 5)."""

from ollama_keeper.core.facts import Listed, Looked
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, Present, ServerMemory
from ollama_keeper.core.record import replace
from ollama_keeper.core.room import held


def presumed(memory: ServerMemory, look: Looked) -> Looked:
    """A look in which what may stand behind an entry that made no sense counts as still listed.

    Unknown is not absent (FAULTS B7): where more entries cannot be read than did when nothing was missing, what is
    missing now may be among them. `skipped` of the answer is how many of them never were anything known.
    """
    read = {(entry.name, entry.digest) for entry in look.models}
    missing = tuple(present.listed for present in memory.present if present.key not in read)
    if not missing or look.skipped <= memory.strangers:
        return look
    return replace(look, models=(*look.models, *missing), skipped=memory.strangers)


def entries(memory: ServerMemory, listed: tuple[Listed, ...], now: Instant) -> tuple[Present, ...]:
    """The entries of a new look, each with when it appeared and when its expiry last moved."""
    known = {present.key: present for present in memory.present}
    taken = held(listed)
    found = {}
    for entry in listed:
        old = known.get((entry.name, entry.digest))
        moved = old.moved if old and old.listed.expires_at == entry.expires_at else now
        beside = old.beside if old else taken - entry.size_vram
        found[entry.name, entry.digest] = Present(entry, old.appeared if old else now, moved, beside)
    return tuple(found.values())


def find(model: ModelMemory, present: tuple[Present, ...], memory: ServerMemory) -> Present | None:
    """The entry under which a wanted model is resident.

    After a pull the old weights may stay listed beside the new under one name: the pulled digest goes first.
    """
    named = [entry for entry in present if entry.listed.name == model.policy.name]
    if named:
        return next((entry for entry in named if entry.listed.digest == model.pulled), named[0])
    return next((entry for entry in present if _same_weights(model, entry, memory)), None)


def strangers(memory: ServerMemory) -> list[Listed]:
    """Guests that may be one of ours under another name, as long as one of ours is absent."""
    if all(model.present is not None for model in memory.models):
        return []
    known = {digest for digest, _ in memory.weights}
    return [guest.listed for guest in memory.guests() if guest.listed.digest not in known]


def _same_weights(model: ModelMemory, entry: Present, memory: ServerMemory) -> bool:
    if model.pulled is not None and entry.listed.digest == model.pulled:
        return True
    weights = model.shown.weights if model.shown else None
    return weights is not None and dict(memory.weights).get(entry.listed.digest) == weights
