"""The daemon's pulse: each 5 s, were the clocks set, did the loop stall, is the hour over."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ollama_keeper.clock import Clock, wall_step
from ollama_keeper.core.changes import Change, ClockJumped, LoopStalled
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.states import resident, state_of
from ollama_keeper.core.wishes import not_to_be_kept
from ollama_keeper.daemon.fleet import Fleet
from ollama_keeper.report.summary import Summary

BEAT_S = 5.0
STALLED_S = 1.0
SLEPT_S = 5.0  # a longer gap, on either clock, makes what was seen before it old
SUMMARY_EVERY_S = 3_600.0


See = Callable[[Sequence[ServerMemory], Instant], Awaitable[None]]


class Pulse:
    """Beats as long as the loop turns."""

    def __init__(self, fleet: Fleet, clock: Clock, *, take: Callable[[Change], None], see: See) -> None:
        self._fleet = fleet
        self._clock = clock
        self._take = take
        self._see = see
        self._summary = Summary()

    def take(self, change: Change) -> None:
        """A change, for the summary of the hour."""
        self._summary.take(change)

    async def beat(self) -> None:
        """For ever."""
        before = summed = self._clock.now()
        while True:
            await asyncio.sleep(BEAT_S)
            now = self._clock.now()
            self._watch_clocks(before, now)
            self._summary.cold(self._cold_s(now.since(before)))
            await self._see([server.memory for server in self._fleet.servers], now)
            if now.since(summed) >= SUMMARY_EVERY_S:
                self._sum_up(now)
                summed = now
            before = now

    def _watch_clocks(self, before: Instant, now: Instant) -> None:
        step = wall_step(before, now)
        if step is not None:
            self._fleet.schedule.redate()
            self._take(ClockJumped(delta_s=step))
        late_s = now.since(before) - BEAT_S
        self._fleet.schedule.timing.beats.append(max(late_s, 0.0))
        if late_s > STALLED_S:
            self._take(LoopStalled(stall_s=late_s))
        if (step or 0.0) > SLEPT_S or late_s > SLEPT_S:
            for server in self._fleet.servers:
                server.look_soon()

    def _sum_up(self, now: Instant) -> None:
        states: dict[str, int] = {}
        for server in self._fleet.servers:
            counts = server.take_counts()
            self._summary.count(checks=counts.checks, looks=counts.looks, pings=counts.pings)
            for model in server.memory.models:
                state, _ = state_of(model, server.memory, now)
                states[state.value] = states.get(state.value, 0) + 1
        self._take(self._summary.summary(states))

    def _cold_s(self, elapsed_s: float) -> float:
        now = self._clock.now()
        models = [(model, server.memory) for server in self._fleet.servers for model in server.memory.models]
        cold = sum(not resident(model) and not_to_be_kept(model, memory, now) is None for model, memory in models)
        return elapsed_s * cold
