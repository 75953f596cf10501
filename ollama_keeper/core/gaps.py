"""A gap: a place that was left for no visible reason, and may be taken by a load that no look shows (OLLAMA.md 5).

`/api/ps` lists a model once it is loaded. What left before its time may have left for a client's model that is loading;
a load of ours sent into that waits behind it, and then pushes out what is there, the better models of ours first.
"""

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import GRACE_FACTOR, GRACE_MOST_S
from ollama_keeper.core.policy import Contention


def loading_s(memory: ServerMemory) -> float | None:
    """How long a load may take there, seconds; None where none is known."""
    return None if memory.longest_load_s is None else min(GRACE_FACTOR * memory.longest_load_s, GRACE_MOST_S)


def gap_ends(model: ModelMemory, memory: ServerMemory, now: Instant) -> float | None:
    """Monotonic instant until which a gap holds an absent model back; None where there is none, or where it insists."""
    if memory.gap is None or model.policy.contention is Contention.INSIST:
        return None
    known_s = loading_s(memory)
    until = memory.gap.mono + (model.policy.unload_grace_s if known_s is None else known_s)
    return until if now.mono < until else None
