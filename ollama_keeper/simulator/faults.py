"""Faults of a path: what a server, a proxy or a network makes of a request instead of answering it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ollama_keeper.simulator.answers import Answer


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        path: whose requests; None for all.
        answer: given instead of the real one; None leaves that.
        delay_s: before the answer.
        hangs: never answers.
        times: how many requests it still meets; None for all to come.
    """

    path: str | None
    answer: Answer | None = None
    delay_s: float = 0.0
    hangs: bool = False
    times: int | None = None

    def meets(self, path: str) -> bool:
        """Whether a request is met by it."""
        return self.path in {None, path} and self.times != 0


@dataclass(slots=True)
class Faults:
    """The faults in force, the newest first."""

    active: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """One more."""
        self.active.insert(0, fault)

    def heal(self, path: str | None = None) -> None:
        """No more faults of a path, or none at all."""
        self.active = [fault for fault in self.active if path is not None and fault.path != path]

    async def meet(self, path: str) -> Answer | None:
        """What the faults make of a request; None where the real answer is to be given."""
        for index, fault in enumerate(self.active):
            if not fault.meets(path):
                continue
            if fault.times is not None:
                self.active[index] = replace(fault, times=fault.times - 1)
            await _wait(fault)
            if fault.answer is not None:
                return fault.answer
        return None


def plain(status: int, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer that is not Ollama's."""
    return Answer(status, body, None, tuple(headers))


async def _wait(fault: Fault) -> None:
    if fault.hangs:
        await asyncio.get_running_loop().create_future()
    if fault.delay_s:
        await asyncio.sleep(fault.delay_s)
