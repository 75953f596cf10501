"""Changes as records of the standard `logging`, for a program that has a log of its own."""

import logging
from datetime import datetime

from ollama_keeper.core.changes import Change
from ollama_keeper.report.words import sentence

LOGGER = "ollama_keeper"


class Logged:
    """Tells each change to the logger `ollama_keeper`: a sentence, and under `event` and `fields` what it says.

    It sets nothing up: levels, handlers and formats are the program's.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)

    def take(self, change: Change, at: datetime) -> None:  # noqa: ARG002 - a record has its own time
        """One record."""
        text = f"{sentence(change)}; {change.hint}" if change.hint else sentence(change)
        extra = {"event": change.event, "fields": change.told()}
        self._logger.log(logging.getLevelNamesMapping()[change.level.upper()], "%s", text, extra=extra)

    def message(self, level: str, event: str, **fields: object) -> None:
        """A record that belongs to no change of a model or server."""
        number = logging.getLevelNamesMapping()[level.upper()]
        self._logger.log(number, "%s %s", event, fields, extra={"event": event, "fields": fields})

    def level(self, level: str) -> None:
        """The program sets its levels itself."""
