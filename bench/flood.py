"""What a flood costs: 1,000 events a second for a minute, while much stands still that they are told to.

Nobody reads stdout at first, then somebody does, slowly; the state file is locked; one webhook refuses and one hangs;
and who opened `/events` does not read it. What was told is counted by a consumer beside the others, what arrived by
who reads: the two have to be the same, less what the keeper itself says that it dropped.
"""

import json
import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any

from bench.child import memory_mib
from bench.number import Number
from ollama_keeper.store import FILE
from tests.kit.proc import Child, World, free_port

MODELS = 10
RATE, SECONDS = 1_000, 60.0
UNREAD_S, SLOW_S, SLOW_LINES = 20.0, 20.0, 500
LOCKED_S = 25.0
SETTLED_S = 45.0  # a state file that failed is tried again after 30 s
TARGET_LAG_MS = 50
DROPPED = "log.dropped"
CONFIG = """\
ollama: {server}
models: [{models}]
interval: 1s
state_dir: {home}
web: {{listen: "127.0.0.1:{port}", socket: "off"}}
alerts:
  sinks:
    - {{name: refuses, type: webhook, url_file: refuses}}
    - {{name: hangs, type: feishu, url_file: hangs}}
"""


@dataclass(slots=True)
class Arrived:
    """What came out of stdout: lines, and how many were lost by what it says itself."""

    lines: int = 0
    lost: int = 0

    def take(self, event: dict[str, object]) -> None:
        """Counts a line."""
        if event["event"] == DROPPED:
            self.lost += int(str(event["records"]))
        else:
            self.lines += 1


def measure() -> Iterator[Number]:
    """Lag and memory, and whether what was dropped adds up."""
    with TemporaryDirectory() as home, World(Path(home)) as world, ExitStack() as stack:
        hangs = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port, report = free_port(), world.home / "report.json"
        _configure(world, port, hangs.getsockname()[1])
        flooded = ("-m", "bench.flooded", "config.yaml", str(RATE), str(SECONDS), str(report))
        keeper = world.start([sys.executable, *flooded], PYTHONPATH=os.pathsep.join(sys.path))
        for _ in range(MODELS):
            keeper.until("model.ready")
        page = HTTPConnection("127.0.0.1", port)
        stack.callback(page.close)
        page.request("GET", "/events")
        peak_mib, arrived = _watched(keeper, world.home / FILE)
        told = json.loads(report.read_text(encoding="utf-8"))
        yield from _numbers(told, peak_mib, arrived)
        yield _history(world.home / FILE, sum(told["events"].values()))


def _configure(world: World, port: int, hangs: int) -> None:
    """Ten models that fit, and sinks of which none takes anything."""
    names = [f"model-{number}:8b" for number in range(MODELS)]
    catalogue = world.home / "models.yaml"
    catalogue.write_text("models:\n" + "".join(f"- {{name: '{name}', load_time: 100ms}}\n" for name in names))
    server = world.simulate("--models", str(catalogue), "--max-loaded", str(MODELS))
    (world.home / "refuses").write_text(f"http://127.0.0.1:{free_port()}/hook")
    (world.home / "hangs").write_text(f"http://127.0.0.1:{hangs}/hook")
    config = CONFIG.format(
        server=server.url, models=", ".join(f"'{name}'" for name in names), home=world.home, port=port
    )
    (world.home / "config.yaml").write_text(config, encoding="utf-8")


def _watched(keeper: Child, state: Path) -> tuple[float, Arrived]:
    """Memory at its largest, and what arrived, while the flood comes and for a while after."""
    peaks: list[float] = []
    lock = threading.Thread(target=_lock, args=(state,))
    end = threading.Timer(SECONDS + SETTLED_S, _end, (keeper, peaks))
    for thread in (lock, end):
        thread.start()
    arrived = _read(keeper)
    for thread in (lock, end):
        thread.join()
    return peaks[0], arrived


def _lock(state: Path) -> None:
    with closing(sqlite3.connect(state, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        time.sleep(LOCKED_S)


def _end(keeper: Child, peaks: list[float]) -> None:
    peaks.append(memory_mib(keeper.pid, "VmHWM"))
    keeper.signal(signal.SIGTERM)


def _read(keeper: Child) -> Arrived:
    """All of stdout up to its end: first nothing, then slowly, then as it comes."""
    arrived = Arrived()
    for event in keeper.events:
        arrived.take(event)
    time.sleep(UNREAD_S)
    slow_until = time.monotonic() + SLOW_S
    while (line := keeper.line(limit_s=SECONDS + SETTLED_S)) is not None:
        arrived.take(json.loads(line))
        if time.monotonic() < slow_until:
            time.sleep(1 / SLOW_LINES)
    return arrived


def _numbers(told: dict[str, Any], peak_mib: float, arrived: Arrived) -> Iterator[Number]:
    lags_ms, events = [1_000 * lag for lag in told["lags_s"]], sum(told["events"].values())
    note = f"{events / SECONDS:.0f} events a second, {max(lags_ms):.0f} at its largest"
    yield Number("flood, lag p99 of the loop", quantiles(lags_ms, n=100)[-1], "ms", TARGET_LAG_MS, note)
    yield Number("flood, RSS at its largest", peak_mib, "MiB", None, f"{MODELS} models, page, two sinks, history")
    note = f"{events} lines told, {arrived.lines} written, {arrived.lost} told as dropped"
    yield Number("flood, log lines unaccounted for", abs(events - arrived.lines - arrived.lost), "lines", 0, note)


def _history(state: Path, events: int) -> Number:
    with closing(sqlite3.connect(state)) as database:
        rows = [
            json.loads(fields)
            for (fields,) in database.execute("SELECT fields FROM events WHERE event = ?", (DROPPED,))
        ]
        (kept,) = database.execute("SELECT count(*) FROM events WHERE event != ?", (DROPPED,)).fetchone()
    lost = sum(row["records"] for row in rows)
    note = f"{events} events told, {kept} kept, {lost} records told as dropped"
    return Number("flood, history unaccounted for", max(events - kept - lost, 0), "events", 0, note)
