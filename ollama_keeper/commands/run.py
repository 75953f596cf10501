"""`run`: the daemon, from configuration to exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.dry import say_what_would_be_sent
from ollama_keeper.commands.start import EXIT_CONFIG, EXIT_FAULT, EXIT_OK, Unusable, clients, configuration
from ollama_keeper.config import Config
from ollama_keeper.daemon import Broken, Daemon, Parts
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.report import Reports
from ollama_keeper.report.log import Log, open_log
from ollama_keeper.store import open_store

SIGNALS = ("SIGTERM", "SIGINT")
FLUSH_S = 2.0


def run(path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, dry_run: bool) -> int:
    """Keeps the models until a signal ends it; see `ollama-keeper run --help`."""
    try:
        config = configuration(path, models, flags)
        if dry_run:
            return say_what_would_be_sent(config)
        made = clients(config)
    except Unusable:
        return EXIT_CONFIG
    log = open_log(level=config.log.level, format=config.log.format, stream=sys.stdout)
    try:
        return asyncio.run(_serve(config, made, log))
    finally:
        log.close(FLUSH_S)


async def _serve(config: Config, made: Mapping[str, OllamaClient], log: Log) -> int:
    reports = Reports(log)
    clock = SystemClock()
    store = open_store(config.state_dir, report=lambda change: reports.take(change, clock.now().wall))
    parts = Parts(reports, store, clock, client=lambda server: made[server.address.name])
    daemon = Daemon(config, parts)
    _stop_on_signals(daemon, log)
    code = EXIT_OK
    try:
        await daemon.run()
    except* Broken as group:
        code = EXIT_FAULT
        for error in group.exceptions:
            log.message("error", "keeper.broken", error=str(error), hint="a fault of ollama-keeper: please report it")
    finally:
        store.close(FLUSH_S)
        for client in made.values():
            await client.aclose()
    return code


def _stop_on_signals(daemon: Daemon, log: Log) -> None:
    """The first signal asks the daemon to stop, the second ends the process at once."""
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    def take(number: int) -> None:
        if asked:
            log.close(FLUSH_S / 4)
            os._exit(128 + number)
        asked.append(signal.Signals(number).name)
        daemon.ask_to_stop(asked[0])

    for name in SIGNALS:
        number = getattr(signal, name)
        try:
            loop.add_signal_handler(number, take, number)
        except NotImplementedError:  # Windows has no such handlers
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(take, number))
