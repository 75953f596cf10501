"""`learn`: one fact in, the new memory and every event out. What the shell calls, and what tests walk."""

from ollama_keeper.core.announce import announce
from ollama_keeper.core.changes import Change, ModelLost
from ollama_keeper.core.facts import Fact
from ollama_keeper.core.fold import fold
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.record import replace
from ollama_keeper.core.states import state_of


def learn(memory: ServerMemory, fact: Fact, now: Instant) -> tuple[ServerMemory, tuple[Change, ...]]:
    """What is known after a fact, and all that is to be told of it, in order."""
    memory, happened = fold(memory, fact, now)
    told = tuple(_followed(change, memory, now) for change in happened)
    memory, edges = announce(memory, now)
    return memory, (*told, *edges)


def _followed(change: Change, memory: ServerMemory, now: Instant) -> Change:
    """A loss tells the state that follows it, which is known only when the whole look is folded."""
    if not isinstance(change, ModelLost) or change.model is None:
        return change
    state, _ = state_of(memory.model(change.model), memory, now)
    return replace(change, state=state)
