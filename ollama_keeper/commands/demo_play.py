"""The play of the demo: the real daemon on one simulated server, and the same mishaps on another that nobody keeps.

It is given the way to the kept server and its clock, so that it runs on sockets as in virtual time.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ollama_keeper.commands.demo_script import WANTED, Turn, script
from ollama_keeper.commands.demo_stage import Stage
from ollama_keeper.commands.demo_tally import Tally
from ollama_keeper.config import Config, LogSettings, Server
from ollama_keeper.core.address import Address
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.policy import Policy, policy_for, ranked
from ollama_keeper.daemon import Daemon, Parts

SERVER = "ollama"
INTERVAL_S = 1.0
PING_EVERY_S = 15.0
PATIENCE_S = 3.0
GRACE_S = 0.5
COMPLETE_WITHIN_S = 20.0
COMPLETE_LOOK_S = 0.1


class Play:
    """Two servers with the same models, and one keeper.

    Args:
        parts: what the daemon is given.
        url: where the daemon finds the kept server.
        kept: that server.
    """

    def __init__(self, parts: Parts, url: str, kept: Stage) -> None:
        self.kept = kept
        self.alone = Stage()
        self._daemon = Daemon(wishes(url), parts)
        self._began: float | None = None
        self._ended: float | None = None

    @property
    def memory(self) -> ServerMemory:
        """What the keeper knows of its server."""
        return self._daemon.servers[0].memory

    @property
    def span(self) -> tuple[float, float] | None:
        """What is counted, by the loop's clock; None before all models were there once."""
        if self._began is None:
            return None
        return self._began, asyncio.get_running_loop().time() if self._ended is None else self._ended

    def tallies(self) -> tuple[Tally, Tally]:
        """What became of the models with the keeper, and without."""
        if self.span is None:
            return Tally(), Tally()
        return self.kept.tally(*self.span), self.alone.tally(*self.span)

    def warmths(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """How many models were resident in the course of the last minute, with the keeper and without."""
        if self.span is None:
            return (), ()
        return self.kept.warmth(*self.span), self.alone.warmth(*self.span)

    async def run(self, seed: int, stop: asyncio.Event, tell: Callable[[Turn], None]) -> None:
        """Loads the models, then lets mishaps befall both servers until `stop` is set.

        Args:
            seed: of the mishaps.
            stop: ends it in good order.
            tell: told of each mishap as it happens.

        Raises:
            ExceptionGroup: of `Broken`, where the daemon died.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._daemon.run())
            by_hand = group.create_task(self.alone.warm_by_hand())
            try:
                await self._until_complete(stop)
                await self._follow(seed, stop, tell)
            finally:
                by_hand.cancel()
                self._ended = asyncio.get_running_loop().time()
                self._daemon.ask_to_stop()

    async def close(self) -> None:
        """Ends what the servers have begun."""
        await self.kept.close()
        await self.alone.close()

    async def _until_complete(self, stop: asyncio.Event) -> None:
        """Waits until both servers have all models, within reason: what is counted then begins alike."""
        late = asyncio.get_running_loop().time() + COMPLETE_WITHIN_S
        while not (self.kept.complete and self.alone.complete) and asyncio.get_running_loop().time() < late:
            if await _set_within(stop, COMPLETE_LOOK_S):
                return
        self._began = asyncio.get_running_loop().time()

    async def _follow(self, seed: int, stop: asyncio.Event, tell: Callable[[Turn], None]) -> None:
        if self._began is None:
            return
        for turn in script(seed):
            if await _set_within(stop, self._began + turn.at_s - asyncio.get_running_loop().time()):
                return
            tell(turn)
            for stage in (self.kept, self.alone):
                stage.befall(turn)


def wishes(url: str) -> Config:
    """What a user would configure, with all times shortened alike."""
    policies = (
        replace(_shortened(policy_for(name)), priority=100 * (len(WANTED) - place)) for place, name in enumerate(WANTED)
    )
    return Config((Server(Address(SERVER, url), ranked(policies)),), GRACE_S, None, LogSettings(), None)


def _shortened(policy: Policy) -> Policy:
    return replace(
        policy,
        interval_s=INTERVAL_S,
        interval_configured=True,
        ping_every_s=PING_EVERY_S,
        unload_grace_s=PATIENCE_S,
        yield_for_s=PATIENCE_S,
    )


async def _set_within(stop: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set by then."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            await stop.wait()
    except TimeoutError:
        return False
    return True
