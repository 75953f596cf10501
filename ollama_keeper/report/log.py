"""The log: one line a change, JSON in a pipe, for eyes on a terminal; our lines and the libraries' through one chain."""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal, TextIO

import structlog

from ollama_keeper.core.changes import Change, LogDropped
from ollama_keeper.report.console import render as for_eyes
from ollama_keeper.report.writer import Writer

Format = Literal["auto", "json", "console"]
QUIET = ("httpx", "httpcore", "apscheduler", "uvicorn", "asyncio")
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_SECRETS = re.compile(r"(?i)(bearer\s+)[^\s\"',]+|(://)[^/\s@\"']+@")

EventDict = MutableMapping[str, Any]


class Log:
    """Takes changes and writes a line each.

    Args:
        writer: where lines go.
        level: lines below are not made.
    """

    def __init__(self, writer: Writer, *, level: str) -> None:
        self._writer = writer
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._logger = structlog.stdlib.get_logger("ollama_keeper")

    @property
    def dropped(self) -> int:
        """Lines lost so far."""
        return self._writer.dropped

    def take(self, change: Change, at: datetime) -> None:
        """Writes the line of a change."""
        self._line(change.level, change.event, {"ts": stamp(at), **change.told()})

    def message(self, level: str, event: str, **fields: object) -> None:
        """A line that belongs to no change of a model or server."""
        self._line(level, event, fields)

    def close(self, timeout_s: float) -> None:
        """Writes what is queued, for `timeout_s` at most."""
        self._writer.close(timeout_s)

    def _line(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        number = logging.getLevelNamesMapping()[level.upper()]
        if number >= self._level:
            self._logger.log(number, event, **fields)


class _ToWriter(logging.Handler):
    """Hands formatted lines to the writer's thread."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.put(self.format(record), debug=record.levelno <= logging.DEBUG)
        except Exception:  # noqa: BLE001 - a line that cannot be made must not stop what it tells of
            self._writer.put(f'{{"event":"log.unprintable","logger":"{record.name}"}}', debug=False)


def open_log(*, level: str, format: Format, stream: TextIO) -> Log:  # noqa: A002 - the key's name
    """Sets logging up for this process, all of it, and gives the log.

    Args:
        level: debug, info, warning or error.
        format: auto is json unless `stream` is a terminal.
    """
    console = format == "console" or (format == "auto" and stream.isatty())
    render = _console(stream) if console else _json(prefix=_in_journal(stream))
    writer = Writer(stream, told=lambda lost: render(None, "warning", _lost(lost)))
    handler = _ToWriter(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.add_log_level,
                _stamped,
                _one_line_errors,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _ordered,
                _plain,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return Log(writer, level=level)


def stamp(at: datetime) -> str:
    """RFC 3339, UTC, milliseconds, `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stamped(_: object, __: str, event: EventDict) -> EventDict:
    event.setdefault("ts", stamp(datetime.now(UTC)))  # of a library's line; ours bring their own
    return event


def _one_line_errors(_: object, __: str, event: EventDict) -> EventDict:
    """An exception of a library is told by its name and text; a traceback is for debugging only."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else sys.exc_info()[1] if info else None
    if error is not None:
        event["error"] = repr(error)
    return event


def _ordered(_: object, __: str, event: EventDict) -> EventDict:
    first = {key: event.pop(key) for key in ("ts", "level", "event") if key in event}
    return {**first, **event}


def _plain(_: object, __: str, event: EventDict) -> EventDict:
    """Values as the line shows them, with secrets taken out last of all."""
    return {key: _value(value) for key, value in event.items()}


def _value(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return stamp(value) if value.year < 9_000 else str(value)
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, str):
        return _SECRETS.sub(r"\1\2[redacted]", value) if "earer" in value or "@" in value else value
    return list(value) if isinstance(value, tuple) else value


def _json(*, prefix: bool) -> Callable[[object, str, EventDict], str]:
    render = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)

    def line(logger: object, name: str, event: EventDict) -> str:
        text = str(render(logger, name, event))
        return f"<{PRIORITIES.get(str(event.get('level')), 6)}>{text}" if prefix else text

    return line


def _console(stream: TextIO) -> Callable[[object, str, EventDict], str]:
    colours = stream.isatty() and not os.environ.get("NO_COLOR")

    def line(_: object, __: str, event: EventDict) -> str:
        return for_eyes(event, colours=colours)

    return line


def _lost(records: int) -> EventDict:
    change = LogDropped(records=records)
    return {"ts": stamp(datetime.now(UTC)), "level": change.level, "event": change.event, **change.told()}


def _in_journal(stream: TextIO) -> bool:
    """Whether systemd's journal reads the stream: its lines then begin with their priority."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"
