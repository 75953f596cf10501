"""What lets a day pass in about a second: a loop that tells the wall clock cheaply, and looks that cost no exchange."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ollama_keeper.core.address import Address
from ollama_keeper.core.facts import Looked
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.simulator import Presence, Simulator
from ollama_keeper.simulator.history import Request
from ollama_keeper.simulator.listing import blocked
from ollama_keeper.store import Store
from ollama_keeper.store.store import Kept
from tests.kit.keeper import US
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock, TooLong, VirtualLoop

PS = "/api/ps"
MIDNIGHT = datetime.fromisoformat("2026-11-24T00:00:00+00:00")


class QuickLoop(VirtualLoop):
    """A virtual loop whose jumps move the wall clock without setting the process's time zone anew each time."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(MIDNIGHT, limit_s)
        self._walled = 0.0

    def jump(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            TooLong: the limit is reached.
        """
        self._now += seconds
        ahead = self._now - self._walled
        self._walled += ahead
        self._wall.shift(ahead)
        if self._now > self.limit_s:
            self.limit_s, limit = float("inf"), self.limit_s
            raise TooLong(f"{limit:.0f} s of virtual time are over")

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back."""
        self._start += timedelta(seconds=seconds)
        self._wall.shift(seconds)


class QuickStore(Store):
    """Documents in memory that outlive a keeper; no thread writes them."""

    def __init__(self) -> None:
        super().__init__(None, report=lambda change: None)
        self._documents: dict[tuple[str, str], Kept] = {}

    def read(self, server: str) -> tuple[Kept, ...]:
        return tuple(kept for (at, _), kept in self._documents.items() if at == server)

    def write(self, server: str, kept: Kept) -> None:
        self._documents[server, kept.model] = kept

    def forget(self, server: str, model: str) -> None:
        self._documents.pop((server, model), None)


@dataclass(frozen=True, slots=True)
class Known:
    """An answer of `/api/ps`, and what it was an answer to."""

    state: tuple[Any, ...]
    looked: Looked


class QuickClient(OllamaClient):
    """The real client; a look whose answer must be the one before, and that nothing can disturb, is answered by that.

    The server's record has it like every other.
    """

    def __init__(self, address: Address, sim: Simulator, network: SimTransport) -> None:
        super().__init__(address, transport=network, clock=LoopClock())
        self._sim, self._network = sim, network
        self._last: Known | None = None

    async def look(self) -> Looked:
        before = self._state()
        if self._last is not None and before is not None and _same(self._last.state, before):
            self._note()
            return self._last.looked
        looked = await super().look()
        after = self._state()
        clean = not looked.reconnected and before is not None and after is not None and _same(before, after)
        self._last = Known(after, looked) if clean and after is not None else None
        return looked

    def _state(self) -> tuple[Any, ...] | None:
        """What an answer depends on; None where it depends on more."""
        sim, link = self._sim, self._network.link()
        troubled = link.refused or link.swallowed or link.delay_s or sim.token
        faulty = any(fault.meets(PS) for fault in sim.faults.active)
        if sim.presence is not Presence.UP or troubled or faulty or blocked(sim.state):
            return None
        if any(runner.expires_at is None for runner in sim.state.runners):  # the date slides
            return None
        skew_s = round(sim.wall() / 1e9 - LoopClock().now().wall.timestamp())
        return (sim.state.runners, sim.ends, skew_s)

    def _note(self) -> None:
        at = self._sim.now() / 1e9
        self._sim.history.opened(Request(self._sim.next_id(), at, "GET", PS, US, US, None, 200, at))


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return (one[0] is other[0] or one[0] == other[0]) and one[1:] == other[1:]
