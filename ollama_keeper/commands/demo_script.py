"""What goes wrong in the demo, and who asks for answers meanwhile: endless lists that follow from a seed alone.

Nothing here knows a server. Times are seconds from the moment at which all models are resident.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from heapq import merge

QWEN, EMBED, LLAMA = "qwen3:8b", "nomic-embed-text", "llama3.2:3b"
WANTED = (QWEN, EMBED, LLAMA)
"""The models that are to be kept, the most important first."""
GUEST = "mistral:7b"
"""What somebody else loads; there is no room for it beside the others."""

FIRST_AT_S = 2.0
LEASE_S = 6
LARGE_CONTEXT = 8_192
GUEST_EVERY_S = 330.0  # the keeper gives up for minutes on a model that was displaced three times in ten
ASKED_EVERY_S = (6.0, 10.0)


class Mishap(StrEnum):
    """What can go wrong."""

    GUEST = "guest"
    STOP = "ollama_stop"
    KEEP_ALIVE_0 = "keep_alive_0"
    LEASE = "lease_shortened"
    CONTEXT = "other_context"
    KILL = "runner_killed"
    RESTART = "server_restarted"
    OUT_OF_MEMORY = "out_of_memory"
    QUESTION = "question"


SECONDS: dict[Mishap, float] = {
    Mishap.GUEST: 11.0,
    Mishap.STOP: 8.0,
    Mishap.KEEP_ALIVE_0: 8.0,
    Mishap.LEASE: 5.5,
    Mishap.CONTEXT: 6.0,
    Mishap.KILL: 7.0,
    Mishap.RESTART: 8.0,
    Mishap.OUT_OF_MEMORY: 11.0,
}
"""How long the next mishap waits, so that what comes of this one can be seen."""
_WORDS: dict[Mishap, str] = {
    Mishap.GUEST: "somebody uses {model}: no room for it beside the others",
    Mishap.STOP: "somebody types: ollama stop {model}",
    Mishap.KEEP_ALIVE_0: "a client asks {model}, and sends keep_alive 0",
    Mishap.LEASE: "a client asks {model}, and sends keep_alive {lease}s",
    Mishap.CONTEXT: "a client asks {model} with another num_ctx",
    Mishap.KILL: "the runner process of {model} dies",
    Mishap.RESTART: "the Ollama server is restarted",
    Mishap.OUT_OF_MEMORY: "somebody loads {model}: out of GPU memory",
    Mishap.QUESTION: "somebody asks {model}",
}


@dataclass(frozen=True, slots=True, order=True)
class Turn:
    """One thing that happens to both servers.

    Attributes:
        at_s: when.
        model: whom it concerns; empty for the server.
    """

    at_s: float
    mishap: Mishap
    model: str = ""

    @property
    def troubles(self) -> bool:
        """Whether it is a mishap, and not somebody's question."""
        return self.mishap is not Mishap.QUESTION

    @property
    def words(self) -> str:
        """It as people would tell it."""
        return _WORDS[self.mishap].format(model=self.model, lease=LEASE_S)


def script(seed: int) -> Iterator[Turn]:
    """Mishaps and questions in order of time, for ever; the same for the same seed."""
    return merge(mishaps(seed), questions(seed))


def mishaps(seed: int) -> Iterator[Turn]:
    """Everything that can go wrong, in rounds: all of it once, in another order each time.

    A runner is killed once a model only: the keeper leaves a model alone for a day after two reloads of its own.
    """
    chance = random.Random(f"mishaps {seed}")  # noqa: S311 - a script, no secret
    at_s, guest_at_s, mortal = FIRST_AT_S, -GUEST_EVERY_S, list(WANTED)
    while True:
        for mishap in chance.sample(list(SECONDS), len(SECONDS)):
            if mishap is Mishap.KILL and not mortal:
                continue
            if mishap is Mishap.GUEST:
                if at_s - guest_at_s < GUEST_EVERY_S:
                    continue
                guest_at_s = at_s
            yield Turn(round(at_s, 1), mishap, _whom(mishap, chance, mortal))
            at_s += SECONDS[mishap]


def questions(seed: int) -> Iterator[Turn]:
    """People who use the models, every few seconds, and wait where one has to be loaded first."""
    chance = random.Random(f"questions {seed}")  # noqa: S311 - a script, no secret
    at_s = 0.0
    while True:
        at_s += chance.uniform(*ASKED_EVERY_S)
        yield Turn(round(at_s, 1), Mishap.QUESTION, chance.choice(WANTED))


def _whom(mishap: Mishap, chance: random.Random, mortal: list[str]) -> str:
    match mishap:
        case Mishap.RESTART:
            return ""
        case Mishap.GUEST | Mishap.OUT_OF_MEMORY:
            return GUEST
        case Mishap.CONTEXT:
            return chance.choice((QWEN, LLAMA))
        case Mishap.KILL:
            return mortal.pop(chance.randrange(len(mortal)))
        case _:
            return chance.choice(WANTED)
