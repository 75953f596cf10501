"""The log: one line a change, JSON in a pipe, for eyes on a terminal; our lines and the libraries' through one chain.

Lines are made where they are told, and written by a thread of their own: whoever reads stdout, or does not, never
delays the keeper.
"""

import logging
import threading
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TextIO

import structlog

from ollama_keeper.clock import SystemClock
from ollama_keeper.core.changes import Change, LogDropped
from ollama_keeper.errors import printable, where
from ollama_keeper.report.console import said
from ollama_keeper.report.flood import Flood
from ollama_keeper.report.output import Format, Output
from ollama_keeper.report.plain import plain, stamp
from ollama_keeper.report.sink import Sink
from ollama_keeper.report.writer import Writer

NAME = "ollama_keeper"
QUIET = ("httpx", "httpcore", "apscheduler", "uvicorn", "asyncio")
"""Libraries of which only warnings are told; httpx and httpcore print whole URLs, tokens included."""
COPIES = ("color_message", "message", "asctime")
"""What uvicorn, and formatters of other handlers, leave in a record."""

EventDict = MutableMapping[str, Any]


class Log:
    """Takes changes and writes a line each; any thread may call it.

    Args:
        writer: where lines go.
        handler: joins our logger and those of the libraries to the writer until `close`.
        fields: what a line has of a change.
    """

    def __init__(
        self, writer: Writer, handler: logging.Handler, *, fields: Callable[[Change], Mapping[str, object]]
    ) -> None:
        self._writer = writer
        self._handler = handler
        self._fields = fields
        self._flood = Flood()
        self._lock = threading.Lock()
        self._logger = structlog.wrap_logger(
            logging.getLogger(NAME),
            processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    @property
    def dropped(self) -> int:
        """Lines lost so far."""
        return self._writer.dropped

    @property
    def off(self) -> bool:
        """Whether nobody reads the log any more."""
        return self._writer.off

    def take(self, change: Change, at: datetime) -> None:
        """Writes the line of a change; of a flood of the same one, a few a minute and a count of the rest."""
        with self._lock:
            told = self._flood.told(change, at)
        for line in told:
            self._tell(*line)

    def message(self, level: str, event: str, **fields: object) -> None:
        """A line that belongs to no change of a model or server."""
        self._line(level, event, fields)

    def level(self, level: str) -> None:
        """From now on, lines from this level up: debug, info, warning or error."""
        self._handler.setLevel(level.upper())
        logging.getLogger().setLevel(level.upper())

    def close(self, timeout_s: float) -> None:
        """Writes what is queued, for `timeout_s` at most; what is told later is not written."""
        with self._lock:
            rest = self._flood.rest()
        for line in rest:
            self._tell(*line)
        logging.getLogger().removeHandler(self._handler)
        self._writer.close(timeout_s)

    def _tell(self, change: Change, at: datetime, repeated: int) -> None:
        if self._logger.isEnabledFor(_number(change.level)):
            fields = {"ts": stamp(at), **self._fields(change)}
            self._line(change.level, change.event, {**fields, "repeated": repeated} if repeated else fields)

    def _line(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        self._logger.log(_number(level), event, **fields)


class _ToWriter(logging.Handler):
    """Hands formatted lines to the writer's thread."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a line that cannot be made is lost, and disturbs nobody
            self._writer.lose(1)
        else:
            self._writer.put(line, debug=record.levelno <= logging.DEBUG)


def open_log(*, level: str, format: Format, stream: TextIO | None) -> Log:  # noqa: A002 - the key's name
    """Sets logging up for this process, all of it, and gives the log.

    Args:
        level: debug, info, warning or error; of ours and of the libraries.
        format: auto is json unless `stream` is a terminal.
        stream: written to until the log is closed; None where the process has none.
    """
    output = Output(format, stream)
    fields = said if output.for_eyes else Change.told
    writer = Writer(Sink(stream, encoding=output.encoding), told=partial(_lost, output, fields))
    handler = _ToWriter(writer)
    handler.setFormatter(_formatter(output))
    logging.getLogger().addHandler(handler)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    log = Log(writer, handler, fields=fields)
    log.level(level)
    return log


def _formatter(output: Output) -> logging.Formatter:
    """The chain of every line: what it is, when, how bad; then its other fields as plain values."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), structlog.stdlib.add_logger_name, _short],
        processors=[
            structlog.stdlib.add_log_level,
            _stamped,
            _one_line_errors,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _in_order,
            lambda _, __, event: output.line(event),
        ],
    )


def _lost(output: Output, fields: Callable[[Change], Mapping[str, object]], records: int) -> str:
    change = LogDropped(records=records)
    now = SystemClock().now().wall
    return output.line({"ts": stamp(now), "level": change.level, "event": change.event, **fields(change)})


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


# --- processors -------------------------------------------------------------------------------------------------------


def _short(_: object, __: str, event: EventDict) -> EventDict:
    """A library's text is foreign text: one line of bounded length. Copies of it in the record are left out."""
    event["event"] = printable(str(event["event"]))
    for copy in COPIES:
        event.pop(copy, None)
    return event


def _stamped(_: object, __: str, event: EventDict) -> EventDict:
    """Lines of changes bring their own time; others have that of their record."""
    if "ts" not in event:
        event["ts"] = stamp(datetime.fromtimestamp(event["_record"].created, UTC))
    return event


def _one_line_errors(_: object, __: str, event: EventDict) -> EventDict:
    """An exception is told by its text and place, never by a traceback, which might show what it holds."""
    error = event.pop("exc_info", None)
    error = error[1] if isinstance(error, tuple) else error
    event.pop("exception", None)
    if isinstance(error, BaseException):
        event["error"] = printable(repr(error))
        event["where"] = where(error)
    return event


def _in_order(_: object, __: str, event: EventDict) -> EventDict:
    first = {key: event.pop(key) for key in ("ts", "level", "event") if key in event}
    return {key: plain(value) for key, value in {**first, **event}.items()}
