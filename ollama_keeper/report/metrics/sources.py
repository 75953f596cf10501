"""What a page of metrics is made of, beside the daemon."""

from collections.abc import Callable
from dataclasses import dataclass

from ollama_keeper.report.metrics.counted import Counted
from ollama_keeper.report.metrics.voice import Voice


@dataclass(frozen=True, slots=True)
class Sources:
    """What was counted, and whom to ask.

    Attributes:
        dropped: how many lines of the log were lost.
        by_model: whether models are told apart; else their series are summed up by server.
        voice: who tells alerts; None where nobody does.
    """

    counted: Counted
    dropped: Callable[[], int]
    by_model: bool = True
    voice: Voice | None = None
