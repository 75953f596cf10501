"""A keeper at work while events are told to its consumers: `python -m bench.flooded CONFIG RATE SECONDS REPORT`.

The daemon and its consumers are assembled as `run` does it. Once all of its models are ready, losses and returns of
others that do not exist are told, evenly spread; no two are the same trouble, so that none is folded. At SIGTERM it
ends as `run` does, and REPORT is a document of what was told and how late the loop was meanwhile.
"""

import asyncio
import gc
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.start import client
from ollama_keeper.commands.surface import Given, pages_of
from ollama_keeper.config import Config, load
from ollama_keeper.core.changes import Change, ModelLost, ModelReady
from ollama_keeper.core.reasons import By, Cause, State
from ollama_keeper.daemon import Daemon, Parts
from ollama_keeper.report import Reports
from ollama_keeper.report.alerts import Alerts
from ollama_keeper.report.history import History
from ollama_keeper.report.log import open_log
from ollama_keeper.report.metrics.counted import Counted
from ollama_keeper.report.metrics.sources import Sources
from ollama_keeper.store import open_store
from ollama_keeper.web.feed import Feed

SERVER = "flood"
STEP_S = 0.01
AT_ONCE = 10
FLUSH_S = 20.0  # that lines wait for a busy machine is no loss


class Told:
    """A consumer that counts what all of them are told.

    Args:
        models: how many are to be ready before `ready` is set.
    """

    def __init__(self, models: int) -> None:
        self.events: Counter[str] = Counter()
        self.ready = asyncio.Event()
        self._models = models

    def take(self, change: Change, at: object) -> None:
        """Counts a change that the log tells at its usual level."""
        del at
        self.events[change.event] += change.level != "debug"
        if self.events["model.ready"] >= self._models:
            self.ready.set()


async def main(config: Config, rate: int, seconds: float) -> dict[str, Any]:
    """Keeps, floods, and ends at SIGTERM: how often each event was told, and how late the loop was."""
    lags = [0.0]
    async with _keeping(config) as (told, reports):
        await told.ready.wait()
        listener = asyncio.ensure_future(_listen(lags))
        await _flood(reports, rate, seconds)
        listener.cancel()
    return {"events": told.events, "lags_s": lags}


@asynccontextmanager
async def _keeping(config: Config) -> AsyncIterator[tuple[Told, Reports]]:
    """The daemon at work, until the block has ended and SIGTERM came."""
    log = open_log(level=config.log.level, format="json", stream=sys.stdout)
    clock, feed = SystemClock(), Feed()
    counted = Counted(clock.now())
    told = Told(sum(len(server.policies) for server in config.servers))
    reports = Reports(log, told, feed, counted, watchers=(counted,))

    def tell(change: Change) -> None:
        reports.take(change, clock.now().wall)

    store = open_store(config.state_dir, report=tell)
    alerts = Alerts(config.alerts, notes=store, clock=clock, report=tell, states=counted.states)
    history = History(store, states=counted.states)
    reports.join(alerts)
    reports.join(history)
    sources = Sources(counted, dropped=lambda: log.dropped, voice=alerts)
    given = Given(config.web, config.source, clock, tell, feed, sources, store.past, history.shares)
    pages = tuple(pages_of(given))
    daemon = Daemon(config, Parts(reports, store, clock, client=client, pages=pages, companions=(alerts, history)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, partial(daemon.ask_to_stop, "SIGTERM"))
    task = asyncio.ensure_future(daemon.run())
    yield told, reports
    await task
    store.close(FLUSH_S)
    log.close(FLUSH_S)


async def _flood(reports: Reports, rate: int, seconds: float) -> None:
    """Tells `rate` events a second; what the loop was late with is caught up."""
    clock, loop = SystemClock(), asyncio.get_running_loop()
    began = loop.time()
    for number in count():
        while number >= rate * (loop.time() - began):
            if loop.time() - began >= seconds:
                return
            await asyncio.sleep(STEP_S)
        reports.take(_event(number), clock.now().wall)
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)


def _event(number: int) -> Change:
    name = f"model-{number // 2}:8b"
    if number % 2:
        return ModelReady(server=SERVER, model=name, by=By.KEEPER, cause=Cause.DISPLACED, outage_s=71.4, load_s=9.8)
    rival = f"guest-{number}:13b"
    return ModelLost(server=SERVER, model=name, state=State.COLD, cause=Cause.DISPLACED, displaced_by=rival)


async def _listen(lags: list[float]) -> None:
    """How late each of many short sleeps ended."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + STEP_S
        await asyncio.sleep(STEP_S)
        lags.append(loop.time() - due)


if __name__ == "__main__":
    gc.freeze()  # as the command line does
    file, rate, seconds, report = sys.argv[1:]
    document = asyncio.run(main(load(path=Path(file), environ={}), int(rate), float(seconds)))
    Path(report).write_text(json.dumps(document), encoding="utf-8")
