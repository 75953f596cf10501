"""What the metrics read of whoever tells alerts; nothing of it is imported."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from ollama_keeper.core.reasons import Alert, Undelivered


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """It."""
        ...


class Firing(Protocol):
    """An alert that fires."""

    @property
    def alert(self) -> Alert:
        """Which."""
        ...


class Sink(Protocol):
    """How a sink stands.

    Attributes:
        sent: messages that it took; `failures` attempts that it did not take, by reason; `succeeded` when it last did.
        failing: why the last attempt failed; None where it was taken, or none was made.
    """

    sent: int
    succeeded: datetime | None
    failing: Undelivered | None

    @property
    def settings(self) -> Named:
        """What it is called."""
        ...

    @property
    def failures(self) -> Mapping[Undelivered, int]:
        """Attempts that it did not take, by reason."""
        ...


class Voice(Protocol):
    """Tells alerts to sinks."""

    @property
    def firing(self) -> Iterable[Firing]:
        """The alerts that fire now."""
        ...

    @property
    def sinks(self) -> Iterable[Any]:
        """How the sinks stand, each a `Sink`."""
        ...

    def waiting(self, sink: Any) -> int:
        """How many alerts a sink has not been told of yet."""
        ...
