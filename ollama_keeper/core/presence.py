"""Which entry of `/api/ps` is a wanted model: by name, else by digest, else by weights (OLLAMA.md 5)."""

from ollama_keeper.core.facts import Listed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, Present, ServerMemory


def entries(memory: ServerMemory, listed: tuple[Listed, ...], now: Instant) -> tuple[Present, ...]:
    """The entries of a new look, each with when it appeared and when its expiry last moved."""
    known = {present.key: present for present in memory.present}
    found = {}
    for entry in listed:
        old = known.get((entry.name, entry.digest))
        moved = old.moved if old and old.listed.expires_at == entry.expires_at else now
        found[entry.name, entry.digest] = Present(entry, old.appeared if old else now, moved)
    return tuple(found.values())


def find(model: ModelMemory, present: tuple[Present, ...], memory: ServerMemory) -> Present | None:
    """The entry under which a wanted model is resident.

    After a pull the old weights may stay listed beside the new under one name: the pulled digest goes first.
    """
    named = [entry for entry in present if entry.listed.name == model.policy.name]
    if named:
        return next((entry for entry in named if entry.listed.digest == model.pulled), named[0])
    return next((entry for entry in present if _same_weights(model, entry, memory)), None)


def _same_weights(model: ModelMemory, entry: Present, memory: ServerMemory) -> bool:
    if model.pulled is not None and entry.listed.digest == model.pulled:
        return True
    weights = model.shown.weights if model.shown else None
    return weights is not None and dict(memory.weights).get(entry.listed.digest) == weights
