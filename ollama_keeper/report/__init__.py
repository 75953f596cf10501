"""Consumers of changes. None may raise into the shell: one that fails is told of once, and the rest go on."""

from contextlib import suppress
from datetime import datetime
from typing import Protocol

from ollama_keeper.core.changes import Change
from ollama_keeper.errors import printable
from ollama_keeper.report.log import Log, where


class Consumer(Protocol):
    """Takes every change, in order."""

    def take(self, change: Change, at: datetime) -> None:
        """One change, and when it was."""
        ...


class Reports:
    """Hands every change to every consumer, the log first."""

    def __init__(self, log: Log, *others: Consumer) -> None:
        self._log = log
        self._consumers: tuple[Consumer, ...] = (log, *others)
        self._failed: set[int] = set()

    def take(self, change: Change, at: datetime) -> None:
        """Tells all consumers of a change; what they raise stops neither the others nor the caller."""
        for place, consumer in enumerate(self._consumers):
            try:
                consumer.take(change, at)
            except Exception as error:  # noqa: BLE001 - the one guard around consumers (DESIGN 3.4)
                self._tell(place, consumer, error)

    def level(self, level: str) -> None:
        """Tells the log how much is logged from now on."""
        self._log.level(level)

    def _tell(self, place: int, consumer: Consumer, error: Exception) -> None:
        if place in self._failed:
            return
        self._failed.add(place)
        with suppress(Exception):  # the log may be what failed
            name, text = type(consumer).__name__, printable(repr(error))
            self._log.message("error", "consumer.failed", consumer=name, error=text, where=where(error))
