"""`test-alert`: one message to a sink, and exactly what its service answered."""

import asyncio
from pathlib import Path

import click

from ollama_keeper.clock import SystemClock
from ollama_keeper.commands.start import (
    EXIT_CONFIG,
    EXIT_OK,
    EXIT_SOME_NOT,
    EXIT_USAGE,
    Unusable,
    complain,
    configuration,
)
from ollama_keeper.config.effective import AlertSettings, SinkSettings
from ollama_keeper.core.delivery import Delivered, Outcome
from ollama_keeper.core.reasons import Undelivered
from ollama_keeper.errors import ConfigError, printable
from ollama_keeper.report.notify.checking import check_sinks
from ollama_keeper.report.notify.compose import trial
from ollama_keeper.report.notify.dispatch import Dispatch
from ollama_keeper.report.notify.postman import Postman

ROBOTS = frozenset({"feishu", "lark", "wecom", "dingtalk"})
"""Services that say no inside a 200, mostly for want of a keyword; of others it is a page, as a login answers."""

HINTS = {
    Undelivered.CLIENT_ERROR: "see the URL in its url_file, and that the robot or channel behind it still exists",
    Undelivered.AUTH: "see the key in its secret_file, the clock of this machine, and the addresses that are let in",
    Undelivered.RATE_LIMITED: "wait a few minutes",
    Undelivered.SERVER_ERROR: "try again later",
    Undelivered.REJECTED: "where the robot asks for a keyword, give it: ollama-keeper",
    Undelivered.TIMEOUT: "see whether this machine can reach it; proxies of the environment are not used",
    Undelivered.UNREACHABLE: "see whether this machine can reach it; proxies of the environment are not used",
}


def test_alert(path: Path | None, name: str | None) -> int:
    """Sends one message each; see `ollama-keeper test-alert --help`."""
    try:
        config = configuration(path, (), {}, models_required=False, sinks_required=True)
    except Unusable as unusable:
        return unusable.code
    names = [sink.name for sink in config.alerts.sinks]
    if not names:
        click.echo("ollama-keeper: alerts.sinks names none; write one in the configuration", err=True)
        return EXIT_CONFIG
    if name is not None and name not in names:
        click.echo(f"ollama-keeper: SINK: no sink is named {printable(name)}; there are {', '.join(names)}", err=True)
        return EXIT_USAGE
    try:
        check_sinks(config)
    except ConfigError as error:
        complain(error)
        return EXIT_CONFIG
    sinks = [sink for sink in config.alerts.sinks if name in {None, sink.name}]
    good = [asyncio.run(_tried(sink, config.alerts)) for sink in sinks]
    return EXIT_OK if all(good) else EXIT_SOME_NOT


async def _tried(sink: SinkSettings, alerts: AlertSettings) -> bool:
    clock = SystemClock()
    letter = trial(clock.now().wall, alerts.language, sink.template)
    outcome = await Dispatch(sink, Postman(), lambda: clock.now().wall).deliver(letter)
    return _told(sink, outcome)


def _told(sink: SinkSettings, outcome: Outcome) -> bool:
    """Says what the service answered; whether it took the message."""
    if isinstance(outcome, Delivered):
        click.echo(f"{sink.name} ({sink.type}): delivered: {outcome.detail}")
        return True
    click.echo(f"{sink.name} ({sink.type}): not delivered: {outcome.reason.value}: {outcome.detail}")
    robot = sink.type in ROBOTS or outcome.reason is not Undelivered.REJECTED
    click.echo(f"Try: {HINTS[outcome.reason if robot else Undelivered.CLIENT_ERROR]}", err=True)
    return False
