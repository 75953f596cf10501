"""How lines look on this stream: JSON or for eyes, with colours or without, with the journal's priorities or not."""

import os
from collections.abc import Mapping
from typing import Literal, TextIO

from ollama_keeper.report.console import console_line
from ollama_keeper.report.plain import json_line
from ollama_keeper.report.redact import redacted

Format = Literal["auto", "json", "console"]
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


class Output:
    """Makes the lines of a stream.

    Args:
        format: auto is json unless the stream is a terminal.
        stream: None is no terminal.
    """

    def __init__(self, format: Format, stream: TextIO | None) -> None:  # noqa: A002 - the key's name
        terminal = stream is not None and not stream.closed and stream.isatty()
        self.for_eyes = format == "console" or (format == "auto" and terminal)
        self.encoding = (getattr(stream, "encoding", None) or "utf-8") if self.for_eyes else "utf-8"
        self._colours = terminal and wants_colours()
        self._journal = _in_journal(stream)

    def line(self, event: Mapping[str, object]) -> str:
        """The line of an event of plain values, secrets taken out, without its end."""
        text = console_line(event, colours=self._colours) if self.for_eyes else json_line(event)
        text = redacted(text)
        if not self._journal:
            return text
        prefix = f"<{PRIORITIES.get(str(event.get('level')), 6)}>"
        return prefix + text.replace("\n", f"\n{prefix}")


def wants_colours() -> bool:
    """Whether a terminal is to get colours: not by no-color.org, no dumb one, of Windows only one that knows them."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return os.name != "nt" or "WT_SESSION" in os.environ


def _in_journal(stream: TextIO | None) -> bool:
    """Whether systemd's journal reads the stream (systemd.exec, JOURNAL_STREAM): lines then begin with a priority."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):
        return False
    return status is not None and named == f"{status.st_dev}:{status.st_ino}"
