"""The table of `status` for people: one line a model, columns as wide as needed, and below it what needs words."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from ollama_keeper.core.reasons import Reason, ServerState, State
from ollama_keeper.core.units import show_duration, show_size
from ollama_keeper.core.view import ModelRow, ServerRow, Status
from ollama_keeper.report.held import held_text, lasts_s

HEAD = ("SERVER", "MODEL", "STATE", "SINCE", "NEXT", "UNTIL", "CONTEXT", "GPU", "SIZE")
SILENT = frozenset({ServerState.WAITING, ServerState.DOWN})
IN_WORDS = frozenset({State.PAUSED, State.OFF_HOURS, State.OVER_BUDGET, State.BACKING_OFF, State.REFUSED})
"""Of these a word does not say what ends it."""


def table(status: Status, *, live: bool) -> str:
    """The table.

    Args:
        live: a daemon told it, which knows since when and what comes next.
    """
    at = datetime.fromisoformat(status.at)
    lines = _aligned(list(_columns(status, at, live=live))) if status.models else []
    lines += [f"{_named(row, status)}: {held_text(row, at)}" for row in status.models if row.state in IN_WORDS]
    return "\n".join([*lines, *(line for row in status.servers for line in _server_lines(row, status))])


def _columns(status: Status, at: datetime, *, live: bool) -> Iterator[tuple[str, ...]]:
    """The head and a line a model, without the columns that would say nothing."""
    left_out = {"SINCE", "NEXT"} if not live else set()
    if len(status.servers) == 1:
        left_out.add("SERVER")
    for cells in (HEAD, *(_cells(row, at) for row in status.models)):
        yield tuple(cell for name, cell in zip(HEAD, cells, strict=True) if name not in left_out)


def _cells(row: ModelRow, at: datetime) -> tuple[str, ...]:
    state = f"{row.state} ({row.reason})" if row.reason and row.reason != Reason.BY_COMMAND else row.state
    since = lasts_s(row, at)
    lasts = "-" if since is None else show_duration(since)
    size = "-" if row.size_bytes is None else show_size(row.size_bytes)
    gpu = "-" if row.gpu_fraction is None else f"{row.gpu_fraction:.0%}"
    context = "-" if row.context_length is None else str(row.context_length)
    return (row.server, row.model, state, lasts, _next(row), _until(row), context, gpu, size)


def _next(row: ModelRow) -> str:
    if row.next is None:
        return "-"
    if row.next_s is None:
        return f"{row.next} in turn"
    return f"{row.next} now" if row.next_s <= 0 else f"{row.next} in {show_duration(row.next_s)}"


def _until(row: ModelRow) -> str:
    if row.remaining_s is None:
        return row.until or "-"
    return show_duration(row.remaining_s) if row.remaining_s > 0 else "stopping"


def silent_text(reason: str | None) -> str:
    """That a server does not answer, why as far as is known, and what to see to."""
    return f"no answer{f' ({reason})' if reason else ' yet'}; is Ollama running there?"


def _aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines)
    return [line.rstrip() for line in padded]


def _named(row: ModelRow, status: Status) -> str:
    return row.model if len(status.servers) == 1 else f"{row.server}: {row.model}"


def _server_lines(row: ServerRow, status: Status) -> Iterator[str]:
    """What of a server no line of a model tells."""
    if row.state in SILENT:
        yield f"{row.name}: {silent_text(row.reason)}"
    elif not any(model.server == row.name for model in status.models):
        yield f"{row.name}: Ollama {row.version or '?'}, nothing resident"
