"""The guard against floods: of the same trouble of the same model, a few lines a minute, and a count of the rest.

The keeper tells changes only, so this acts when something is wrong with the keeper itself (FAULTS E12).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from ollama_keeper.core.changes import Change

A_MINUTE = timedelta(minutes=1)
LINES_A_MINUTE = 6
LOUD = frozenset({"warning", "error"})

Key = tuple[str, str | None, str | None]
Told = tuple[Change, datetime, int]


@dataclass(slots=True)
class _Minute:
    began: datetime
    lines: int
    last: Change
    at: datetime


class Flood:
    """Counts the lines of each event, server and model; only warnings and errors are ever held back."""

    def __init__(self) -> None:
        self._minutes: dict[Key, _Minute] = {}

    def told(self, change: Change, at: datetime) -> list[Told]:
        """The lines to write now: each a change, when it was, and how many times it has been held back.

        A change that was held back comes out, with its count, at the first change of any kind after its minute.
        """
        due = self._over(at)
        if change.level not in LOUD:
            return [*due, (change, at, 0)]
        minute = self._minutes.setdefault((change.event, change.server, change.model), _Minute(at, 0, change, at))
        minute.lines, minute.last, minute.at = minute.lines + 1, change, at
        return [*due, (change, at, 0)] if minute.lines <= LINES_A_MINUTE else due

    def rest(self) -> list[Told]:
        """What is held back, now that no more comes."""
        minutes, self._minutes = self._minutes, {}
        return [_folded(minute) for minute in minutes.values() if minute.lines > LINES_A_MINUTE]

    def _over(self, at: datetime) -> list[Told]:
        """Ends the minutes that are over, oldest first as they stand; a clock set back ends them too."""
        over = takewhile(lambda key: not timedelta(0) <= at - self._minutes[key].began < A_MINUTE, self._minutes)
        ended = [self._minutes.pop(key) for key in list(over)]
        return [_folded(minute) for minute in ended if minute.lines > LINES_A_MINUTE]


def _folded(minute: _Minute) -> Told:
    return minute.last, minute.at, minute.lines - LINES_A_MINUTE
