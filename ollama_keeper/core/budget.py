"""Which models the budget of a server has room for: by rank, what is resident before what would have to be loaded.

Guests count against what would have to be loaded: room that they take is not there. They never cost a resident model
its place, for that would be to fight them.
"""

from collections.abc import Iterator, Sequence

from ollama_keeper.core.memory import Key, ModelMemory, ServerMemory
from ollama_keeper.core.policy import Budget
from ollama_keeper.core.reasons import Reason
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.sizes import size_of


def over_budget(model: ModelMemory, claimants: Sequence[ModelMemory], memory: ServerMemory) -> Reason | None:
    """Why there is no room for a model; None where there is, and where no budget is set.

    Args:
        claimants: the models that are asked for now, by rank.
    """
    if memory.budget is None:
        return None
    size, count = _taken(model, claimants, memory)
    return _no_room(model, memory.budget, size, count)


def left_bytes(model: ModelMemory, claimants: Sequence[ModelMemory], memory: ServerMemory) -> int | None:
    """What the budget leaves for a model, in bytes; None where no memory is budgeted."""
    if memory.budget is None or memory.budget.memory is None:
        return None
    return max(memory.budget.memory - _taken(model, claimants, memory)[0], 0)


def over_bytes(model: ModelMemory, claimants: Sequence[ModelMemory], memory: ServerMemory) -> int | None:
    """By how much a model exceeds the budgeted memory, beside what stands before it; None where it does not."""
    own = size_of(model)
    if memory.budget is None or memory.budget.memory is None or own is None:
        return None
    over = own.size + _taken(model, claimants, memory)[0] - memory.budget.memory
    return over if over > 0 else None


def _taken(model: ModelMemory, claimants: Sequence[ModelMemory], memory: ServerMemory) -> tuple[int, int]:
    """Bytes and number of what stands before a model: better ranks that have a place, and what `_in_the_room` is.

    One pass by rank: each better model has its place or not by what the ones before it have taken.
    """
    budget = memory.budget or Budget()
    room = list(_in_the_room(claimants, memory))
    size = count = 0
    counted = {_runner(model)} - {None}
    for other in claimants:
        if other.policy.rank >= model.policy.rank:
            break
        if other.missing or refusal(other, memory) is not None or _runner(other) in counted:
            continue
        if _no_room(other, budget, *_beside(other, room, size, count)) is None:
            known = size_of(other)
            size, count = size + (known.size if known else 0), count + 1
            counted |= {_runner(other)} - {None}
    return _beside(model, room, size, count)


def _runner(model: ModelMemory) -> Key | None:
    """What a model takes its room with; two names of the same weights and options take it once."""
    return model.present.key if model.present is not None else None


def _beside(model: ModelMemory, room: Sequence[int], size: int, count: int) -> tuple[int, int]:
    """What a model finds taken; only one that would have to be loaded needs the room of others."""
    return (size, count) if model.present is not None else (size + sum(room), count + len(room))


def _no_room(model: ModelMemory, budget: Budget, size: int, count: int) -> Reason | None:
    """Why a model does not fit beside so many bytes and models."""
    own = size_of(model)
    if budget.models is not None and count + 1 > budget.models:
        return Reason.MODEL_BUDGET
    if budget.memory is not None and own is not None and size + own.size > budget.memory:
        return Reason.MEMORY_BUDGET
    return None


def _in_the_room(claimants: Sequence[ModelMemory], memory: ServerMemory) -> Iterator[int]:
    """Sizes of what is resident and asked for by nobody: guests, and models of ours that are being given back."""
    asked_for = {_runner(model) for model in claimants}
    given_back = {_runner(model): model.listed.size for model in memory.known if model.listed}
    yield from (guest.listed.size for guest in memory.guests())
    yield from (size for runner, size in given_back.items() if runner not in asked_for)
