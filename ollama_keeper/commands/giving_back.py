"""What has become of models that are to be given back, told by the rows of `status`; and the wait for a daemon's."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from ollama_keeper.commands.asked import Answer, asked
from ollama_keeper.commands.status_table import SILENT
from ollama_keeper.config import Config
from ollama_keeper.core.units import show_duration
from ollama_keeper.core.view import GUEST, ModelRow, ServerRow

ASK_EVERY_S = 0.5
PATIENCE_S = 3.0  # what takes longer is told

Outcome = tuple[str, bool]
"""What has become of a model, in words, and whether it is as it should be."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which models are given back, as the daemon or the configuration calls them, and whether they leave the memory."""

    models: Sequence[str]
    unload: bool = False


def watched(config: Config, chosen: Chosen, *, timeout_s: float) -> list[Outcome] | None:
    """Waits until a daemon has given models back, for `timeout_s` at most; None where it answers no more."""
    began, said = time.monotonic(), False
    while (answer := asked(config)) is not None:
        waited_s = time.monotonic() - began
        rows = list(_rows(answer, chosen))
        still = [row for row, server in rows if row.owed and server.state not in SILENT]
        if not still or waited_s >= timeout_s:
            return [outcome(row, server, unload=chosen.unload, by_daemon=True) for row, server in rows]
        if waited_s >= PATIENCE_S and not said:
            said = True
            for row in still:
                click.echo(f"{row.server}: {row.model}: {_awaited(row)}", err=True)
        time.sleep(ASK_EVERY_S)
    return None


def outcome(row: ModelRow, server: ServerRow, *, unload: bool, by_daemon: bool) -> Outcome:
    """What has become of one model."""
    text, good = _outcome(row, server, unload=unload, by_daemon=by_daemon)
    return f"{row.server}: {row.model}: {text}", good


def _outcome(row: ModelRow, server: ServerRow, *, unload: bool, by_daemon: bool) -> Outcome:
    stop = f"ollama stop {row.model}"
    if server.state in SILENT:
        later = "; the daemon gives it back once it does" if by_daemon and row.owed else ""
        return f"unknown: the server does not answer{later}", False
    if row.owed and not row.resident:
        return "its load is still under way; the daemon gives it back after that", False
    if row.owed:
        later = "the daemon gives it back once it is idle; now" if by_daemon else "try again, or"
        return f"still in use, so left alone; {later}: {stop}", False
    if row.until is None:
        return "not in memory", True
    if row.remaining_s is None:
        return f"pinned, but not by us as far as is known; to drop it: {stop}", True
    ends = f"no pin; Ollama drops it in {show_duration(max(row.remaining_s, 0.0))}, if nobody uses it"
    return f"{ends}{f'; at once: {stop}' if unload else ''}", True


def _awaited(row: ModelRow) -> str:
    return "waiting until it is seen to be idle" if row.resident else "its load is under way; waiting for its end"


def _rows(answer: Answer, chosen: Chosen) -> Iterator[tuple[ModelRow, ServerRow]]:
    servers = {row.name: row for row in answer.status.servers}
    for row in answer.status.models:
        if row.model in chosen.models and row.state != GUEST and row.server in servers:
            yield row, servers[row.server]
