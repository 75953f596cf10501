"""Room that was seen: where more was resident at once than is now, a model that was found not to fit may fit after all.

A server does not tell how much it has. What it held at once it can hold again, as long as it runs; and a runner tells
the scheduler what it saw free when it was loaded, as long as it stays (OLLAMA.md 4). From both follows what the
scheduler will find free. Without a GPU it evicts for no lack of memory, so nothing is concluded there.
"""

from collections.abc import Iterable

from ollama_keeper.core.facts import Listed
from ollama_keeper.core.memory import ModelMemory, Neighbour, ServerMemory
from ollama_keeper.core.numbers import ROOM_SHARE
from ollama_keeper.core.record import replace


def held(listed: Iterable[Listed]) -> int:
    """Bytes of GPU memory that listed models take."""
    return sum(entry.size_vram for entry in listed)


def _held_now(memory: ServerMemory) -> int:
    return held(entry.listed for entry in memory.present)


def room_seen(model: ModelMemory, memory: ServerMemory) -> bool:
    """Whether an absent model, by the size that it was last listed with, fits into what was seen to be there.

    Or stood beside all that is there now, as it is now.
    """
    if memory.present and set(_neighbours(model, memory)) <= set(model.stood_with):
        return True
    if not model.size or len(memory.present) >= memory.most_count:
        return False
    most = memory.most_vram
    beside = (most - entry.beside - entry.listed.size_vram for entry in memory.present)
    return model.size <= min((most - _held_now(memory), *beside)) * ROOM_SHARE


def with_neighbours(memory: ServerMemory) -> ServerMemory:
    """The memory with what each listed model stands beside."""
    for model in memory.models:
        beside = _neighbours(model, memory) if model.present is not None else ()
        if not set(beside) <= set(model.stood_with):
            memory = memory.with_model(replace(model, stood_with=beside))
    return memory


def _neighbours(model: ModelMemory, memory: ServerMemory) -> tuple[Neighbour, ...]:
    mine = model.present.key if model.present is not None else None
    return tuple((entry.key, entry.listed.size) for entry in memory.present if entry.key != mine)


def with_most(memory: ServerMemory, *, anew: bool = False) -> ServerMemory:
    """The memory with the most that was resident at once; `anew` where what was seen before proves nothing any more."""
    vram, count = _held_now(memory), len(memory.present)
    if not anew:
        vram, count = max(vram, memory.most_vram), max(count, memory.most_count)
    return replace(memory, most_vram=vram, most_count=count)
