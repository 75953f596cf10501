"""`run`: the daemon, from configuration to exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.life import signs_of_life
from ollama_keeper.commands.start import (
    EXIT_CONFIG,
    EXIT_FAULT,
    EXIT_OK,
    EXIT_SOME_NOT,
    Unusable,
    client,
    complain,
    configuration,
)
from ollama_keeper.commands.surface import AddressTaken, Given, pages_of
from ollama_keeper.config import Config, load
from ollama_keeper.config.watch import FileWatch
from ollama_keeper.core.changes import Change
from ollama_keeper.daemon import Broken, Daemon, Parts
from ollama_keeper.errors import ConfigError
from ollama_keeper.ollama.resolver import resolve_aside
from ollama_keeper.report import Reports
from ollama_keeper.report.alerts import Alerts
from ollama_keeper.report.history import History
from ollama_keeper.report.log import Log, open_log
from ollama_keeper.report.metrics.counted import Counted
from ollama_keeper.report.metrics.sources import Sources
from ollama_keeper.store import open_store
from ollama_keeper.systemd import Systemd, notifier
from ollama_keeper.web.feed import Feed

SIGNALS = ("SIGTERM", "SIGINT")
FLUSH_S = 2.0


def run(path: Path | None, models: Sequence[str], flags: Mapping[str, object], *, dry_run: bool) -> int:
    """Keeps the models until a signal ends it; see `ollama-keeper run --help`."""
    try:
        config = configuration(path, models, flags, sinks_required=not dry_run)
        if dry_run:
            from ollama_keeper.commands.dry import say_what_would_be_sent

            return say_what_would_be_sent(config)
    except Unusable as unusable:
        return unusable.code
    read = partial(_read, path, models, flags, dict(os.environ))
    log = open_log(level=config.log.level, format=config.log.format, stream=sys.stdout)
    try:
        return asyncio.run(_serve(config, read, log))
    except ConfigError as error:
        complain(error)
        return EXIT_CONFIG
    finally:
        log.close(FLUSH_S)


def _read(path: Path | None, models: Sequence[str], flags: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """The configuration, read anew.

    Raises:
        ConfigError: it holds mistakes, or a sink cannot send.
    """
    config = load(path=path, models=models, flags=flags, environ=environ)
    _check_sinks(config)
    return config


def _check_sinks(config: Config) -> None:
    """Whether every sink can send, where there are any.

    Raises:
        ConfigError: one cannot.
    """
    if config.alerts.sinks or config.alerts.heartbeat_url_file:
        from ollama_keeper.report.notify.checking import check_sinks

        check_sinks(config)


async def _serve(config: Config, read: Callable[[], Config], log: Log) -> int:
    """Runs the daemon.

    Raises:
        ConfigError: a token or certificate file cannot be used.
    """
    resolve_aside(asyncio.get_running_loop())
    _check_sinks(config)
    feed, systemd = Feed(), notifier()
    clock = SystemClock()
    counted = Counted(clock.now())
    reports = Reports(log, feed, counted, *([systemd] if systemd else []), watchers=(counted,))
    tell = partial(_tell, reports, clock)
    store = open_store(config.state_dir, report=tell)
    alerts = Alerts(config.alerts, notes=store, clock=clock, report=tell, states=counted.states)
    reports.join(alerts)
    history = History(store, states=counted.states)
    reports.join(history)
    sources = Sources(counted, dropped=lambda: log.dropped, by_model=config.metrics.model_labels, voice=alerts)
    watch = FileWatch(config.path) if config.path else None
    try:
        pages = tuple(
            pages_of(Given(config.web, config.source, clock, tell, feed, sources, store.past, history.shares))
        )
    except AddressTaken as taken:
        click.echo(f"ollama-keeper: {taken}; choose another with web.listen, or off", err=True)
        return EXIT_SOME_NOT
    parts = Parts(
        reports, store, clock, client=client, read=read, watch=watch, pages=pages, companions=(alerts, history)
    )
    code = EXIT_OK
    try:
        daemon = Daemon(config, parts)
        _take_signals(daemon, log, systemd)
        async with signs_of_life(daemon, clock, state_dir=config.state_dir, systemd=systemd):
            await daemon.run()
    except* Broken as group:
        code = EXIT_FAULT
        for error in group.exceptions:
            log.message("error", "keeper.broken", error=str(error), hint="a fault of ollama-keeper: please report it")
    finally:
        store.close(FLUSH_S)
    return code


def _tell(reports: Reports, clock: SystemClock, change: Change) -> None:
    reports.take(change, clock.now().wall)


def _take_signals(daemon: Daemon, log: Log, systemd: Systemd | None) -> None:
    """The first signal asks the daemon to stop, the second ends the process at once; SIGHUP reads the configuration."""
    loop = asyncio.get_running_loop()
    asked: list[str] = []

    def take(number: int) -> None:
        if asked:
            log.close(FLUSH_S / 4)
            os._exit(128 + number)
        asked.append(signal.Signals(number).name)
        daemon.ask_to_stop(asked[0])

    def reload() -> None:
        if systemd is not None:
            systemd.reloading()
        daemon.ask_to_reload()

    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, reload)
    for name in SIGNALS:
        number = getattr(signal, name)
        try:
            loop.add_signal_handler(number, take, number)
        except NotImplementedError:  # Windows has no such handlers
            signal.signal(number, lambda number, _: loop.call_soon_threadsafe(take, number))
