"""The models of a command that the daemon of this machine keeps: a warm of them is its to do.

It loads one at a time, knows what must wait, and owns what it has loaded: a pin set beside it is nobody's to give back.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import click

from ollama_keeper.commands.asked import Answer, asked, means
from ollama_keeper.commands.control import ordered
from ollama_keeper.commands.start import moving
from ollama_keeper.commands.status_table import SILENT, silent_text
from ollama_keeper.config import Config
from ollama_keeper.core.reasons import Reason, State
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.core.view import GUEST, ModelRow
from ollama_keeper.report.held import held_text, lasts_s
from ollama_keeper.report.phrases import REASONS
from ollama_keeper.web.asking import NoDaemon, Said

Key = tuple[str, str]
"""A server, and a model as the configuration calls it."""

ASK_EVERY_S = 0.5
UNWANTED = frozenset({State.PAUSED, State.OFF_HOURS, State.OVER_BUDGET})
HOPELESS = UNWANTED | {State.REFUSED, State.CONTENDED, State.YIELDING, State.BACKING_OFF}
READY = frozenset({State.READY, State.DEGRADED})
WAITING = frozenset({State.YIELDING, State.BACKING_OFF, State.COLD, State.CONTENDED, State.LOADING})


@dataclass
class Handed:
    """What the daemon does of a command.

    Attributes:
        keys: of the models that are its to warm.
        good: those that are resident; `told` those of which the outcome is told, `silent` whose server does not answer.
    """

    keys: dict[Key, ModelRow] = field(default_factory=dict)
    good: set[Key] = field(default_factory=set)
    told: set[Key] = field(default_factory=set)
    silent: set[Key] = field(default_factory=set)

    def tell(self, key: Key, text: str) -> None:
        """Says what has become of a model."""
        self.told.add(key)
        click.echo(f"{key[0]}: {key[1]}: {text}", file=sys.stdout)  # named, for rich draws what it shows anew below it


def kept(config: Config, answer: Answer) -> dict[Key, ModelRow]:
    """The models of a configuration that a daemon keeps, each with what it says of it."""
    rows = [row for row in answer.status.models if row.state != GUEST]
    wanted = [(server.address.name, policy.model) for server in config.servers for policy in server.policies]
    found = ((key, row) for key in wanted for row in rows if row.server == key[0] and means(key[1], row.model))
    return dict(found)


def held(config: Config, states: frozenset[State] = UNWANTED) -> dict[Key, str]:
    """Why models of a configuration are in one of these states, and what ends that, as the daemon says.

    Args:
        states: by default those in which a model is not to be kept now.
    """
    answer = asked(config)
    if answer is None:
        return {}
    return {key: held_text(row, answer.at) for key, row in kept(config, answer).items() if row.state in states}


def hand_over(config: Config) -> Handed:
    """Has the daemon warm what it keeps; says at once of what it will not."""
    answer = asked(config)
    handed = Handed() if answer is None else Handed(kept(config, answer))
    if answer is None or not handed.keys:
        return handed
    try:
        ordered(config, "warm", {"models": [row.model for row in handed.keys.values()]})
    except (
        NoDaemon,
        Said,
    ):  # it can be asked, and not commanded: what it would not load is not loaded from here either
        handed.keys = {key: row for key, row in handed.keys.items() if row.state in UNWANTED}
        for key, row in handed.keys.items():
            handed.tell(key, held_text(row, answer.at))
    return handed


def without(config: Config, handed: Handed) -> Config:
    """The configuration of what is left to do from here."""
    servers = (
        replace(
            server,
            policies=tuple(one for one in server.policies if (server.address.name, one.model) not in handed.keys),
        )
        for server in config.servers
    )
    return replace(config, servers=tuple(server for server in servers if server.policies))


def await_daemon(config: Config, handed: Handed, *, wait_server_s: float, timeout_s: float) -> None:
    """Waits until the outcome of all is told: resident, held, or not in time."""
    if len(handed.told) == len(handed.keys):
        return
    began = time.monotonic()
    with _screen() as show:
        while len(handed.told) < len(handed.keys):
            waited_s = time.monotonic() - began
            answer = asked(config)
            if answer is not None:
                _settle(config, handed, answer, patient=waited_s < min(wait_server_s, timeout_s))
                show(
                    [
                        line
                        for key, row in handed.keys.items()
                        if key not in handed.told and (line := _line(key, row, answer))
                    ]
                )
            if answer is None or waited_s >= timeout_s:
                _give_up(handed, "the daemon answers no more" if answer is None else "not in time")
                return
            if len(handed.told) < len(handed.keys):
                time.sleep(ASK_EVERY_S)


def _settle(config: Config, handed: Handed, answer: Answer, *, patient: bool) -> None:
    """Tells the outcome of each model as soon as there is one."""
    servers = {row.name: row for row in answer.status.servers}
    for key, row in kept(config, answer).items():
        if key not in handed.keys or key in handed.told:
            continue
        before, handed.keys[key] = handed.keys[key], row
        server = servers.get(row.server)
        if row.state in READY and row.resident:
            handed.good.add(key)
            handed.tell(key, _ready(before, row))
        elif server is not None and server.state in SILENT and not patient:
            handed.silent.add(key)
            handed.tell(key, silent_text(server.reason))
        elif row.state in HOPELESS or row.reason in {Reason.NOT_PULLED, Reason.OBSERVED_ONLY}:
            handed.tell(key, held_text(row, answer.at))


def _ready(before: ModelRow, row: ModelRow) -> str:
    size = f", {show_size(row.size_bytes)}" if row.size_bytes else ""
    return f"{row.state}: {'was resident' if before.state in READY else 'loaded by the daemon'}{size}"


def _give_up(handed: Handed, why: str) -> None:
    for key, row in handed.keys.items():
        if key not in handed.told:
            reason = f" ({REASONS.get(row.reason, row.reason)})" if row.reason else ""
            handed.tell(key, f"{why}: {row.state}{reason}")


def _line(key: Key, row: ModelRow, answer: Answer) -> str:
    lasted = lasts_s(row, answer.at)
    since = f", {show_duration(lasted)}" if lasted is not None else ""
    return (
        f"  {key[0]}: {key[1]}: {row.state}{f' ({REASONS.get(row.reason, row.reason)})' if row.reason else ''}{since}"
    )


@contextmanager
def _screen() -> Iterator[Callable[[list[str]], None]]:
    """Where what is under way is shown: on a terminal in place, in a pipe not at all."""
    if not moving():
        yield lambda _: None
        return
    from rich.live import Live
    from rich.text import Text

    with Live("", auto_refresh=False, transient=True) as live:
        yield lambda lines: live.update(Text("\n".join(lines)), refresh=True)
