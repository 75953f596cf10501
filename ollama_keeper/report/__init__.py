"""Consumers of changes. None may raise into the shell: one that fails is told of once, and the rest go on."""

from datetime import datetime
from typing import Protocol

from ollama_keeper.core.changes import Change
from ollama_keeper.report.log import Log


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
        for consumer in self._consumers:
            try:
                consumer.take(change, at)
            except Exception as error:  # noqa: BLE001 - the one guard around consumers (DESIGN 3.4)
                self._tell(consumer, error)

    def _tell(self, consumer: Consumer, error: Exception) -> None:
        if id(consumer) not in self._failed:
            self._failed.add(id(consumer))
            self._log.message("error", "consumer.failed", consumer=type(consumer).__name__, error=repr(error))
