"""Which models the budget of a server has room for: by rank, what is resident before what would have to be loaded.

Guests count against what would have to be loaded: room that they take is not there. They never cost a resident model
its place, for that would be to fight them.
"""

from collections.abc import Iterable, Iterator

from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.reasons import Reason
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.sizes import size_of


def over_budget(model: ModelMemory, claimants: Iterable[ModelMemory], memory: ServerMemory) -> Reason | None:
    """Why there is no room for a model; None where there is, and where no budget is set.

    Args:
        claimants: the models that are asked for now, by rank.
    """
    budget = memory.budget
    if budget is None:
        return None
    size, count = _taken(model, claimants, memory)
    own = size_of(model)
    if budget.models is not None and count + 1 > budget.models:
        return Reason.MODEL_BUDGET
    if budget.memory is not None and own is not None and size + own.size > budget.memory:
        return Reason.MEMORY_BUDGET
    return None


def left_bytes(model: ModelMemory, claimants: Iterable[ModelMemory], memory: ServerMemory) -> int | None:
    """What the budget leaves for a model, in bytes; None where no memory is budgeted."""
    if memory.budget is None or memory.budget.memory is None:
        return None
    return max(memory.budget.memory - _taken(model, claimants, memory)[0], 0)


def _taken(model: ModelMemory, claimants: Iterable[ModelMemory], memory: ServerMemory) -> tuple[int, int]:
    """Bytes and number of what stands before a model: better ranks that have a place, and what `_in_the_room` is."""
    claimants = tuple(claimants)
    sizes = [size_of(other) for other in _before(model, claimants, memory)]
    others = [] if model.present is not None else list(_in_the_room(claimants, memory))
    return sum(size.size for size in sizes if size) + sum(others), len(sizes) + len(others)


def _in_the_room(claimants: tuple[ModelMemory, ...], memory: ServerMemory) -> Iterator[int]:
    """Sizes of what is resident and asked for by nobody: guests, and models of ours that are being given back."""
    asked_for = {model.model for model in claimants}
    yield from (guest.listed.size for guest in memory.guests())
    yield from (model.listed.size for model in memory.known if model.listed and model.model not in asked_for)


def _before(model: ModelMemory, claimants: Iterable[ModelMemory], memory: ServerMemory) -> Iterator[ModelMemory]:
    better: list[ModelMemory] = []
    for other in claimants:
        if other.policy.rank >= model.policy.rank:
            break
        if other.missing or refusal(other, memory) is not None:
            continue
        if over_budget(other, better, memory) is None:
            better.append(other)
    yield from better
