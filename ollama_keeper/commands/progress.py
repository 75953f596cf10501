"""What a waiting command shows: on a terminal a live line a model with elapsed and usual time, else one line each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from ollama_keeper.commands.start import interactive
from ollama_keeper.core.changes import PullProgress, PullStarted
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.pulls import fraction
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.states import state_of
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.report.words import sentence
from ollama_keeper.server import Server

if TYPE_CHECKING:
    from rich.live import Live


class Progress(Protocol):
    """Where outcomes are told while a command waits."""

    def line(self, text: str) -> None:
        """A line that stays."""

    def refresh(self) -> None:
        """Shows what is under way now."""


class Lines:
    """In a pipe: outcomes only."""

    def line(self, text: str) -> None:
        """A line that stays."""
        click.echo(text)

    def refresh(self) -> None:
        """Nothing moves in a pipe."""


class Screen:
    """On a terminal: outcomes above, what is under way below."""

    def __init__(self, live: "Live", servers: Sequence[Server]) -> None:
        self._live = live
        self._servers = servers

    def line(self, text: str) -> None:
        """A line that stays."""
        self._live.console.print(text, highlight=False, markup=False)

    def refresh(self) -> None:
        """Shows what is under way now."""
        self._live.update("\n".join(line for server in self._servers for line in under_way(server)))


@contextmanager
def progress(servers: Sequence[Server]) -> Iterator[Progress]:
    """The progress of a command: `Screen` on a terminal, else `Lines`."""
    if not interactive():
        yield Lines()
        return
    from rich.live import Live

    with Live("", refresh_per_second=4, transient=True) as live:
        yield Screen(live, servers)


def under_way(server: Server) -> list[str]:
    """One line for each model that is not resident yet."""
    memory = server.memory
    if memory.state is not ServerState.UP:
        failure = f" ({memory.failure.value})" if memory.failure else ""
        return [f"  {memory.server}: waiting for the server, {show_duration(server.now().since(memory.born))}{failure}"]
    return [line for model in memory.models if (line := _line(model, server)) is not None]


def pulled_text(model: ModelMemory) -> str | None:
    """How far the pull of a model is: `pulling, 43 % of 4.9 GiB`; None where none is open."""
    download, part = model.download, fraction(model)
    if download is None or download.since is None:
        return None
    return "pulling" if part is None else f"pulling, {int(part * 100)} % of {show_size(download.total)}"


def say_pulled(change: PullStarted | PullProgress) -> None:
    """In a pipe, where nothing moves, a pull of an hour is told on stderr."""
    if not interactive():
        click.echo(sentence(change), err=True)


def _line(model: ModelMemory, server: Server) -> str | None:
    state, reason = state_of(model, server.memory, server.now())
    load = server.memory.opened(model.model)
    if state is State.LOADING and load is not None:
        usual = f", usually {show_duration(model.shortest_load_s)}" if model.shortest_load_s else ""
        return (
            f"  {server.memory.server}: {model.model}: loading, {show_duration(server.now().since(load.since))}{usual}"
        )
    if (far := pulled_text(model)) is not None:
        return f"  {server.memory.server}: {model.model}: {far}"
    if state in {State.READY, State.DEGRADED, State.REFUSED}:
        return None
    return f"  {server.memory.server}: {model.model}: {state.value}{f' ({reason.value})' if reason else ''}"
