"""A gap: a place that was left for no visible reason, and may be taken by a load that no look shows (OLLAMA.md 5).

`/api/ps` lists a model once it is loaded. What left before its time may have left for a client's model that is loading;
a load of ours sent into that waits behind it, and then pushes out what is there, the better models of ours first.
"""

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Gap, Key, ModelMemory, ServerMemory
from ollama_keeper.core.numbers import GAP_LEAST_S, GAP_UNKNOWN_S, GRACE_FACTOR, GRACE_MOST_S, HOUR_S
from ollama_keeper.core.policy import Contention
from ollama_keeper.core.reasons import Cause


def loading_s(memory: ServerMemory) -> float | None:
    """How long a load may take there, seconds; None where none is known."""
    return None if memory.longest_load_s is None else min(GRACE_FACTOR * memory.longest_load_s, GRACE_MOST_S)


def open_gap(memory: ServerMemory, now: Instant) -> Gap | None:
    """The gap into which somebody may be loading: nobody has come, and it is not older than a load may take."""
    gap = memory.gap
    return None if gap is None or gap.closed or now.mono >= _ends(gap, memory) else gap


def gap_ends(model: ModelMemory, memory: ServerMemory, now: Instant) -> float | None:
    """Monotonic instant until which a gap holds an absent model back.

    None where there is none, where it insists, and where somebody asked for it by name.
    """
    gap, gone = open_gap(memory, now), model.departure
    if gap is None or model.policy.contention is Contention.INSIST:
        return None
    return None if gone is not None and gone.cause is Cause.BY_COMMAND else _ends(gap, memory)


def flickers(left: Key, memory: ServerMemory, now: Instant) -> bool:
    """Whether what has left had come back into its own gap before, so that it leaves for nobody.

    A client that unloads its model after each answer looks like this, and would hold all others back for good. Believed
    once an hour a server: where there is no room after all, it costs that client a load.
    """
    gap = memory.gap
    if gap is None or gap.back != left:
        return False
    return gap.believed is None or now.since(gap.believed) >= HOUR_S


def _ends(gap: Gap, memory: ServerMemory) -> float:
    known_s = loading_s(memory)
    return gap.at.mono + (GAP_UNKNOWN_S if known_s is None else max(known_s, GAP_LEAST_S))
