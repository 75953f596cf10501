"""Consumers of changes and of states. None may raise into the shell: one that fails is told of once, the rest go on."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Protocol

from ollama_keeper.core.changes import Change
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.errors import printable, where


class Consumer(Protocol):
    """Takes every change, in order."""

    def take(self, change: Change, at: datetime) -> None:
        """One change, and when it was."""
        ...


class Telling(Consumer, Protocol):
    """A log: takes every change, and lines that belong to none."""

    def message(self, level: str, event: str, **fields: object) -> None:
        """A line that belongs to no change of a model or server."""
        ...

    def level(self, level: str) -> None:
        """From now on, lines from this level up."""
        ...


class Watcher(Protocol):
    """Sees what is known of all servers, every few seconds."""

    def see(self, servers: Sequence[ServerMemory], now: Instant) -> None:
        """What is known at one moment."""
        ...


class Attentive(Consumer, Watcher, Protocol):
    """Takes every change, and sees what is known."""


class Reports:
    """Hands every change to every consumer, the log first, and every few seconds what is known to every watcher."""

    def __init__(self, log: Telling, *others: Consumer, watchers: Sequence[Watcher] = ()) -> None:
        self._log = log
        self._consumers: tuple[Consumer, ...] = (log, *others)
        self._watchers = tuple(watchers)
        self._failed: set[int] = set()

    def take(self, change: Change, at: datetime) -> None:
        """Tells all consumers of a change; what they raise stops neither the others nor the caller."""
        for consumer in self._consumers:
            self._guarded(consumer, partial(consumer.take, change, at))

    async def see(self, servers: Sequence[ServerMemory], now: Instant) -> None:
        """Shows all watchers what is known of the servers, the same guard; between them the loop turns."""
        for watcher in self._watchers:
            self._guarded(watcher, partial(watcher.see, servers, now))
            await asyncio.sleep(0)

    def join(self, part: Attentive) -> None:
        """Takes in one more, which is told of every change and sees what is known; what was before it does not know."""
        self._consumers = (*self._consumers, part)
        self._watchers = (*self._watchers, part)

    def level(self, level: str) -> None:
        """Tells the log how much is logged from now on."""
        self._log.level(level)

    def _guarded(self, part: object, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the one guard around consumers (DESIGN 3.4)
            self.failed(part, error)

    def failed(self, part: object, error: Exception) -> None:
        """Tells, once, that a part failed."""
        if id(part) in self._failed:
            return
        self._failed.add(id(part))
        with suppress(Exception):  # the log may be what failed
            name, text = type(part).__name__, printable(repr(error))
            self._log.message("error", "consumer.failed", consumer=name, error=text, where=where(error))
