"""What a waiting command shows: on a terminal a live line a model with elapsed and usual time, else one line each."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from ollama_keeper.commands.start import moving
from ollama_keeper.core.changes import PullProgress, PullStarted
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.pulls import fraction
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.states import state_of
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.report.phrases import why
from ollama_keeper.report.words import sentence
from ollama_keeper.server import Server

if TYPE_CHECKING:
    from rich.live import Live


Usual = Mapping[tuple[str, str], float]
"""Seconds that loads take, by server and model."""


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

    def __init__(self, live: "Live", servers: Sequence[Server], usual: Usual | None) -> None:
        self._live = live
        self._servers = servers
        self._usual = usual

    def line(self, text: str) -> None:
        """A line that stays."""
        self._live.console.print(text, highlight=False, markup=False)

    def refresh(self) -> None:
        """Shows what is under way now."""
        from rich.text import Text  # of plain text, rich paints numbers, and takes brackets for its own

        lines = (line for server in self._servers for line in under_way(server, self._usual))
        self._live.update(Text("\n".join(lines)))


@contextmanager
def progress(servers: Sequence[Server], *, usual: Usual | None = None) -> Iterator[Progress]:
    """The progress of a command: `Screen` on a terminal, else `Lines`.

    Args:
        usual: of a command that only waits, how long loads usually take; None where the command loads.
    """
    if not moving():
        yield Lines()
        return
    from rich.live import Live

    with Live("", refresh_per_second=4, transient=True) as live:
        yield Screen(live, servers, usual)


def under_way(server: Server, usual: Usual | None = None) -> list[str]:
    """One line for each model that is not resident yet; with `usual`, of a command that only waits for others."""
    memory = server.memory
    if memory.state is not ServerState.UP:
        failure = f" ({memory.failure.value})" if memory.failure else ""
        return [f"  {memory.server}: waiting for the server, {show_duration(server.now().since(memory.born))}{failure}"]
    if usual is not None:
        return [line for model in memory.models if (line := _awaited(model, server, usual)) is not None]
    return [line for model in memory.models if (line := _line(model, server)) is not None]


def pulled_text(model: ModelMemory) -> str | None:
    """How far the pull of a model is: `pulling, 43 % of 4.9 GiB`; None where none is open."""
    download, part = model.download, fraction(model)
    if download is None or download.since is None:
        return None
    return "pulling" if part is None else f"pulling, {int(part * 100)} % of {show_size(download.total)}"


def say_pulled(change: PullStarted | PullProgress) -> None:
    """In a pipe, where nothing moves, a pull of an hour is told on stderr."""
    if not moving():
        click.echo(sentence(change), err=True)


def _line(model: ModelMemory, server: Server) -> str | None:
    state, reason = state_of(model, server.memory, server.now())
    load = server.memory.opened(model.model)
    because = f" ({why(reason)})" if reason else ""
    if state is State.LOADING and load is not None:
        text = f"loading, {show_duration(server.now().since(load.since))}{_usually(model.shortest_load_s)}"
    elif (far := pulled_text(model)) is not None:
        text = far
    elif state in {State.READY, State.DEGRADED, State.REFUSED}:
        return None
    elif state is State.QUEUED:
        text = f"queued, {_place(model, server)}{_usually(model.shortest_load_s)}{because}"
    else:
        text = f"{state.value.replace('_', ' ')}{because}"
    return f"  {server.memory.server}: {model.model}: {text}"


def _awaited(model: ModelMemory, server: Server, usual: Usual) -> str | None:
    """Of a model that somebody else is to load: what is done there, no look tells."""
    memory = server.memory
    state, reason = state_of(model, memory, server.now())
    if state in {State.READY, State.DEGRADED, State.REFUSED}:
        return None
    elapsed = show_duration(server.now().since(memory.born))
    word = f"missing ({why(reason)})" if state is State.MISSING and reason else "not resident"
    return f"  {memory.server}: {model.model}: {word}, {elapsed}{_usually(usual.get((memory.server, model.model)))}"


def _usually(seconds: float | None) -> str:
    return f", usually {show_duration(seconds)}" if seconds else ""


def _place(model: ModelMemory, server: Server) -> str:
    """Where a model stands in the order of loads: `2 of 3`, counted without the one that loads."""
    memory, now = server.memory, server.now()
    waiting = [one.model for one in memory.models if state_of(one, memory, now)[0] is State.QUEUED]
    return f"{waiting.index(model.model) + 1} of {len(waiting)}"
