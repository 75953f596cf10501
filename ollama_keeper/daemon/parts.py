"""What the daemon is given from outside, and how it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ollama_keeper.clock import Clock
from ollama_keeper.config import Config
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.config.watch import FileWatch
from ollama_keeper.core.counts import Timing
from ollama_keeper.report import Reports
from ollama_keeper.server import Client, Server
from ollama_keeper.store import Store
from ollama_keeper.web.commanded import Commanded


class Desk(Commanded, Protocol):
    """What a page is given: what is known, and what can be told."""

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers at work."""
        ...

    @property
    def timing(self) -> Timing:
        """How well the schedule and the loop keep their times."""
        ...


Page = Callable[[Desk], Awaitable[None]]


class Companion(Protocol):
    """A consumer with work of its own, such as sending: beside the servers, and never in their way."""

    def configure(self, config: Config) -> None:
        """Takes a new configuration."""
        ...

    async def run(self) -> None:
        """Works until cancelled, and ends within a second then."""
        ...


class Broken(Exception):
    """A background task died: the daemon cannot go on, and must be started anew."""


class ClosingClient(Client, Protocol):
    """A client whose connections can be closed."""

    async def aclose(self) -> None:
        """Closes the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What the daemon is given, so that tests give it a simulator, a clock of their own and a store in memory.

    Attributes:
        client: makes the client of a server; raises ConfigError where one of its files cannot be used.
        pages: each with its address: serve for ever what is known, or take commands; consumers, whose end is told and
            stops nothing.
        read: reads the configuration anew, as at the start; raises ConfigError; None where it cannot change.
        watch: of the configuration's file; None without one.
        companions: consumers with work of their own; one that dies is told of, and stops nothing.
    """

    reports: Reports
    store: Store
    clock: Clock
    client: Callable[[ServerConfig], ClosingClient]
    read: Callable[[], Config] | None = None
    watch: FileWatch | None = None
    pages: tuple[tuple[str, Page], ...] = ()
    companions: tuple[Companion, ...] = ()


async def owned(work: Callable[[], Awaitable[None]], name: str) -> None:
    """Runs an eternal task; one that is cancelled before its first step was never begun.

    Raises:
        Broken: it ended, by whatever but a cancel.
    """
    try:
        await work()
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        msg = f"{name} died: {error!r}"
        raise Broken(msg) from error
    msg = f"{name} ended"
    raise Broken(msg)
