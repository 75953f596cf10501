"""One life: the whole daemon on some grounds, hurt and reloaded again and again, sampled until it is enough."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import TextIO, cast

from bench.soak.grounds import Grounds
from bench.soak.holdings import Holdings, Lines
from bench.soak.reckoning import Sample
from bench.soak.weather import STEP_S, Happening, Mishap, Reload, happenings, reloads_of
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.config import load
from ollama_keeper.config.watch import FileWatch
from ollama_keeper.core.changes import Change
from ollama_keeper.daemon import Daemon, Parts
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.report import Reports
from ollama_keeper.report.alerts import Alerts
from ollama_keeper.report.log import open_log
from ollama_keeper.report.metrics.counted import Counted
from ollama_keeper.store import open_store
from ollama_keeper.web.feed import Feed

CLOSE_S = 5.0
TICK_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a life is, and how closely it is watched.

    Attributes:
        checks, seconds: it ends when either is reached.
        every_s: between two samples.
        seed: of the order of the mishaps.
    """

    checks: float = float("inf")
    seconds: float = float("inf")
    every_s: float = 60.0
    seed: int = 1


@dataclass(slots=True)
class Life:
    """What there was.

    Attributes:
        told: how often each event was.
        trouble: lines that tell of a fault of ours, and what the daemon died of.
    """

    samples: list[Sample] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, change: Change, at: object) -> None:
        """Counts a change."""
        del at
        self.told[change.event] += 1


async def live(grounds: Grounds, home: Path, plan: Plan, life: Life, report: Callable[[Sample], None]) -> None:
    """Fills `life` until the plan is done or `life.ended` is set; `report` is told each sample."""
    file, lines = home / "config.yaml", Lines()
    file.write_text(reloads_of(grounds.urls)[1].text, encoding="utf-8")
    async with _daemon(grounds, file, lines, life) as daemon:
        holdings = Holdings(daemon, lines, home)
        async with asyncio.TaskGroup() as group:
            storm = group.create_task(_storm(grounds, file, Random(plan.seed)))  # noqa: S311 - the seed reproduces it
            await _watched(holdings, plan, life, report)
            storm.cancel()
    life.trouble += lines.trouble


@asynccontextmanager
async def _daemon(grounds: Grounds, file: Path, lines: Lines, life: Life) -> AsyncIterator[Daemon]:
    """The daemon as `run` assembles it, at work; what it dies of ends the life."""
    log = open_log(level="info", format="json", stream=cast("TextIO", lines))
    counted, feed = Counted(grounds.clock.now()), Feed()
    reports = Reports(log, life, feed, counted, watchers=(counted,))
    read = partial(load, path=file, environ={})

    def tell(change: Change) -> None:
        reports.take(change, grounds.clock.now().wall)

    store = open_store(file.parent, report=tell)
    config = read()
    alerts = Alerts(config.alerts, notes=store, clock=grounds.clock, report=tell)
    reports.join(alerts)

    def client(server: ServerConfig) -> OllamaClient:
        return OllamaClient(server.address, transport=grounds.transport)

    parts = Parts(reports, store, grounds.clock, client, read, FileWatch(file), companions=(alerts,))
    daemon = Daemon(config, parts)
    task = asyncio.get_running_loop().create_task(daemon.run())
    task.add_done_callback(lambda _: life.ended.set())
    try:
        yield daemon
    finally:
        daemon.ask_to_stop("SIGTERM")
        (died,) = await asyncio.gather(task, return_exceptions=True)
        life.trouble += [f"it died: {died!r}"] if died else []
        store.close(CLOSE_S)
        log.close(CLOSE_S)


async def _watched(holdings: Holdings, plan: Plan, life: Life, report: Callable[[Sample], None]) -> None:
    """Samples until the plan is done, and once more at its end."""
    loop = asyncio.get_running_loop()
    began = sampled = loop.time()
    while not life.ended.is_set() and loop.time() - began < plan.seconds and holdings.checks < plan.checks:
        await _sleep(life.ended, min(TICK_S, plan.every_s))
        holdings.count_checks()
        if loop.time() - sampled >= plan.every_s or life.ended.is_set():
            sampled = loop.time()
            life.samples.append(holdings.sample(sampled - began))
            report(life.samples[-1])


async def _storm(grounds: Grounds, file: Path, random: Random) -> None:
    """For ever: something happens."""
    for number, happening in enumerate(happenings(grounds.urls, random)):
        await asyncio.sleep(STEP_S)
        await asyncio.to_thread(grounds.tidy) if grounds.transport is None else grounds.tidy()
        await _happen(grounds, file, happening, server=number % 2)


async def _happen(grounds: Grounds, file: Path, happening: Happening, *, server: int) -> None:
    match happening:
        case Mishap():
            await grounds.befall(server, happening)
        case Reload():
            await asyncio.to_thread(file.write_text, happening.text, encoding="utf-8")


async def _sleep(ended: asyncio.Event, seconds: float) -> None:
    """Sleeps, or until the life is to end."""
    try:
        async with asyncio.timeout(seconds):
            await ended.wait()
    except TimeoutError:
        return
