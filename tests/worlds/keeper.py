"""The keeper's core as five functions, so that a walk can be given one without a rule."""

from collections.abc import Callable
from dataclasses import dataclass

from ollama_keeper.core.announce import announce
from ollama_keeper.core.changes import Change
from ollama_keeper.core.decide import Decision, decide
from ollama_keeper.core.facts import Fact
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.learn import learn
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.turn import next_load

Learnt = tuple[ServerMemory, tuple[Change, ...]]


@dataclass(frozen=True)
class Keeper:
    """What the shell asks."""

    learn: Callable[[ServerMemory, Fact, Instant], Learnt] = learn
    announce: Callable[[ServerMemory, Instant], Learnt] = announce
    decide: Callable[[ModelMemory, ServerMemory, Instant], Decision] = decide
    next_load: Callable[[ServerMemory, Instant], str | None] = next_load
