"""Who knows the future: what is loaded is chosen by when it is next asked for (Belady), and loaded ahead of that.

It lives on the same server as the keeper: the same memory, the same limit, one load at a time, which lasts as long; the
same mishaps, which it cannot prevent and does not prepare for; the same clients, whose keep_alive and context rule what
happens to a model after their request. It sees the server's inside without asking, and sends what costs nothing: loads
without a prompt, unloads, and a new keep_alive for what is idle. It is greedy, so another might wait a little less.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from ollama_keeper.core.names import parse_name
from ollama_keeper.simulator import Presence
from ollama_keeper.simulator.memory import fits
from ollama_keeper.simulator.options import difference, resolve
from ollama_keeper.simulator.pending import MODELS_PER_GPU
from ollama_keeper.simulator.state import FOREVER, Child, Kind, Runner, StoredModel, Wanted
from tests.campaign.scene import Ask

if TYPE_CHECKING:
    from tests.campaign.day import Day

ORACLE = "oracle"
LOOKS_AGAIN_S = 1.0  # while the server is away, which nothing tells; and after a load that failed
ON_ITS_WAY_S = 0.01  # a request that has come has its runner within this time, where it is there
OK = 200
NEVER = float("inf")


async def oracle(day: "Day") -> None:
    """Loads whatever will be asked for."""
    await Oracle(day, only_wanted=False).work()


async def oracle_of_wanted(day: "Day") -> None:
    """Loads only what the configuration names, as a keeper would."""
    await Oracle(day, only_wanted=True).work()


class Oracle:
    """At work on one day; `work` goes on until it is cancelled."""

    def __init__(self, day: "Day", *, only_wanted: bool) -> None:
        """Args: only_wanted: it leaves alone what the configuration does not name, but for making room."""
        self._day, self._sim, self._only_wanted = day, day.sim, only_wanted
        self._asks = day.scene.asks
        self._times = [ask.at for ask in self._asks]

    async def work(self) -> None:
        """Loads and pins."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_loading())
            group.create_task(self._keep_pinning())

    # --- what it does -------------------------------------------------------------------------------------------------

    async def _keep_loading(self) -> None:
        while True:
            if self._sim.presence is not Presence.UP:
                await asyncio.sleep(LOOKS_AGAIN_S)
            elif (ask := self._next_load()) is not None:
                await self._make_room(self._victims(ask) or ())
                status, _ = await self._send(ask.model, ask.context)
                if status != OK or not self._is_met(ask):
                    await asyncio.sleep(LOOKS_AGAIN_S)
            else:
                await self._sim.change()

    async def _make_room(self, victims: Sequence[Runner]) -> None:
        for runner in victims:
            self._sim.unload(runner.model.name)
        while any(runner.pid in {one.pid for one in victims} for runner in self._sim.state.runners):
            await self._sim.change()

    async def _keep_pinning(self) -> None:
        """Nothing idle expires that is asked for again."""
        while True:
            runner = next(filter(self._is_to_be_pinned, self._sim.state.runners), None)
            if self._sim.presence is not Presence.UP:
                await asyncio.sleep(LOOKS_AGAIN_S)
            elif runner is None:
                await self._sim.change()
            else:
                await self._send(runner.model.name, None if runner.auto_context else runner.options.num_ctx)

    def _send(self, model: str, context: int | None) -> Awaitable[tuple[int, bytes]]:
        path = "/api/embed" if self._stored(model).kind is Kind.EMBEDDER else "/api/generate"
        return self._sim.client(model, keep_alive=-1, num_ctx=context, path=path, who=ORACLE)

    # --- what it knows ------------------------------------------------------------------------------------------------

    def _next_load(self) -> Ask | None:
        """The first request that will meet a cold model, and whose model can be loaded now.

        None while the server loads for others. One for which nothing can be done yet is passed over, and then only for
        loads that end before it comes.
        """
        state, now = self._sim.state, self._day.loop.time()
        if state.turn is not None or state.queue or state.closing is not None:
            return None
        ends_by = NEVER
        for ask in self._next_of_each():
            if self._is_met(ask) or now + self._stored(ask.model).load_s > ends_by:
                continue
            if self._may_load(ask.model) and self._victims(ask) is not None:
                return ask
            ends_by = min(ends_by, ask.at)
        return None

    def _victims(self, ask: Ask) -> Sequence[Runner] | None:
        """Who has to go for a load; None where it has to wait, since those are in use, or asked for sooner.

        The model's own runner, which has other options or is dead, goes first; then whoever is next used last.
        """
        model, state = self._stored(ask.model), self._sim.state
        own = state.runner(model.key)
        if own is not None and own.uses:
            return None
        gone = [] if own is None else [own]
        others = [one for one in state.runners if one is not own and not one.uses and self._next_use(one) > ask.at]
        others.sort(key=self._next_use)
        while not self._has_room(ask, gone):
            if not others:
                return None
            gone.append(others.pop())
        return gone

    def _has_room(self, ask: Ask, gone: Sequence[Runner]) -> bool:
        """As the server itself would find, without those."""
        state = self._sim.state
        left = tuple(runner for runner in state.runners if runner not in gone)
        limit = state.settings.max_loaded_models or state.limit or MODELS_PER_GPU * max(state.settings.gpus, 1)
        return not left or (len(left) < limit and fits(self._wanted(ask), replace(state, runners=left)))

    def _is_met(self, ask: Ask) -> bool:
        """Whether the request could be served at once."""
        runner = self._sim.state.runner(self._stored(ask.model).key)
        if runner is None or runner.loading is not None or runner.doom is not None or runner.child is not Child.ALIVE:
            return False
        return not difference(runner, self._wanted(ask), self._sim.state.settings)

    def _is_to_be_pinned(self, runner: Runner) -> bool:
        fine = runner.child is Child.ALIVE and runner.doom is None and runner.loading is None
        expires = fine and not runner.uses and runner.duration < FOREVER
        return expires and self._may_load(runner.model.name) and self._next_use(runner) < NEVER

    def _may_load(self, name: str) -> bool:
        mine = not self._only_wanted or any(wish.model == name for wish in self._day.wishes)
        return mine and self._stored(name).failure is None

    def _next_of_each(self) -> Iterator[Ask]:
        """The next request for each model, the soonest first."""
        seen: set[str] = set()
        for ask in self._coming():
            if ask.model not in seen:
                seen.add(ask.model)
                yield ask

    def _next_use(self, runner: Runner) -> float:
        return next((ask.at for ask in self._coming() if self._stored(ask.model).key == runner.key), NEVER)

    def _coming(self) -> Iterator[Ask]:
        first = bisect_right(self._times, self._day.loop.time() - ON_ITS_WAY_S)
        return islice(self._asks, first, None)

    def _wanted(self, ask: Ask) -> Wanted:
        model, settings = self._stored(ask.model), self._sim.state.settings
        found = resolve({} if ask.context is None else {"num_ctx": ask.context}, model, settings)
        return Wanted(0, model, found.options, auto_context=found.auto_context, auto_batch=found.auto_batch)

    def _stored(self, name: str) -> StoredModel:
        found = self._sim.stored(parse_name(name))
        assert found is not None
        return found
