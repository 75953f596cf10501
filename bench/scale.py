"""What a keeper of a large fleet costs: 1,000 models on 100 servers at 15 s, a look a server and interval.

Ten times as many servers are told beside it, and promised by nobody.

The lag is that of the looks as the servers' own records have them: by how much the time between two looks differs from
the interval.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from bench.child import cpu_s, memory_mib
from bench.number import Number
from tests.kit.proc import World

SERVERS, MODELS = 100, 10
INTERVAL_S = 15.0
SECONDS = 60.0
SETTLED_S = 20.0
TARGET_MIB = 100
TARGET_PERCENT = 6
TARGET_LAG_MS = 50
TARGET_LOOKS = 1.26
READY_WITHIN_S = 180.0  # ten times as long for the ten times larger one
TIMES = 10
NOTHING = (None, None, None, None)


def measure() -> Iterator[Number]:
    """The fleet of which something is promised."""
    yield from _measured(SERVERS, (TARGET_MIB, TARGET_PERCENT, TARGET_LAG_MS, TARGET_LOOKS))


def stress() -> Iterator[Number]:
    """Ten times as many servers: what it is."""
    yield from _measured(TIMES * SERVERS, NOTHING)


def _measured(servers: int, targets: Sequence[float | None]) -> Iterator[Number]:
    """RSS and CPU over a minute in which all models are ready, and the lag of the looks in it."""
    with TemporaryDirectory() as home, World(Path(home)) as world, Many(servers) as many:
        config = world.home / "fleet.yaml"
        config.write_text(fleet(many.addresses), encoding="utf-8")
        keeper = world.run("--config", str(config))
        for _ in range(servers * MODELS):
            keeper.until("model.ready", limit_s=READY_WITHIN_S * servers / SERVERS)
        ready_s = time.monotonic() - keeper.began
        time.sleep(SETTLED_S)
        many.gaps()
        began, used = time.monotonic(), cpu_s(keeper.pid)
        time.sleep(SECONDS)
        percent = 100 * (cpu_s(keeper.pid) - used) / (time.monotonic() - began)
        gaps = many.gaps()
        lag_ms = quantiles([1_000 * abs(gap - INTERVAL_S) for gap in gaps], n=100)[-1]
        looks = (len(gaps) + servers) / servers / (SECONDS / INTERVAL_S)
        measured = (memory_mib(keeper.pid), percent, lag_ms, looks)
    notes = (
        f"on {servers:,} servers, all ready after {ready_s:.0f} s",
        f"over {SECONDS:.0f} s",
        f"{len(gaps)} looks",
        "of a server, and that at either end",
    )
    named = (("RSS", "MiB"), ("CPU", "% of a core"), ("lag p99", "ms"), ("looks", "an interval"))
    for (what, unit), value, target, note in zip(named, measured, targets, notes, strict=True):
        yield Number(f"{servers * MODELS:,} models, {what}", value, unit, target, note)


class Many:
    """The servers, in a process of their own.

    Args:
        servers: how many, with `MODELS` on each.

    Attributes:
        addresses: their URLs.
    """

    def __init__(self, servers: int = SERVERS) -> None:
        self._servers = servers

    def __enter__(self) -> "Many":
        command = [sys.executable, "-m", "bench.many", str(self._servers), str(MODELS)]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addresses: list[str] = self._line()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def gaps(self) -> list[float]:
        """Seconds between two looks, over all servers, since the last call."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return self._line()

    def _line(self) -> list:  # type: ignore[type-arg]
        line = self._process.stdout.readline() if self._process.stdout else "[]"
        return list(json.loads(line))


def fleet(addresses: list[str]) -> str:
    """The configuration of a keeper of all of them."""
    servers = "".join(f"  - {{name: s{number}, url: '{url}'}}\n" for number, url in enumerate(addresses))
    models = "".join(f"  - m{number}\n" for number in range(MODELS))
    return f"servers:\n{servers}models:\n{models}"
