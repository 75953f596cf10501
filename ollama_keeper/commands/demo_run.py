"""What both forms of the demo share: servers on loopback, the daemon, signals, and an end in good order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.demo_play import Play
from ollama_keeper.commands.demo_script import Turn
from ollama_keeper.commands.demo_stage import Stage
from ollama_keeper.commands.start import client
from ollama_keeper.daemon import Parts
from ollama_keeper.report import Reports
from ollama_keeper.simulator.serve import serving
from ollama_keeper.store import Store

SIGNALS = ("SIGTERM", "SIGINT")


@dataclass(frozen=True, slots=True)
class Audience:
    """Who the demo is shown to.

    Attributes:
        reports: take what the keeper tells.
        turn: told of each mishap and question.
        watch: runs beside the play until that is over.
    """

    reports: Reports
    turn: Callable[[Turn], None]
    watch: Callable[[Play], Awaitable[None]]


async def perform(audience: Audience, *, seed: int, seconds: float | None) -> Play:
    """Plays for so long, or until a signal; the play when it is over.

    Raises:
        ExceptionGroup: of `Broken`, where the daemon died.
    """
    stop = asyncio.Event()
    kept = Stage()
    store = Store(None, report=lambda _: None)
    with _stopped_by_signals(stop):
        async with serving(kept.simulator) as url:
            play = Play(Parts(audience.reports, store, SystemClock(), client), url, kept)
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, stop.set)
            try:
                await _watched(play, audience, seed=seed, stop=stop)
            finally:
                await play.close()
    return play


async def _watched(play: Play, audience: Audience, *, seed: int, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_until_cancelled(audience.watch(play)))
        await play.run(seed, stop, audience.turn)
        watching.cancel()


async def _until_cancelled(watching: Awaitable[None]) -> None:
    await watching


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for name in SIGNALS:
        number = getattr(signal, name)
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows has no such handlers
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        yield
    finally:
        for name in SIGNALS:
            signal.signal(getattr(signal, name), signal.SIG_DFL)
