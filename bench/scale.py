"""What a keeper of a large fleet costs: 1,000 models on 100 servers at 15 s, a look a server and interval.

The lag is that of the looks as the servers' own records have them: by how much the time between two looks differs from
the interval.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
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
READY_WITHIN_S = 180.0


def measure() -> Iterator[Number]:
    """RSS and CPU over a minute in which all models are ready, and the lag of the looks in it."""
    with TemporaryDirectory() as home, World(Path(home)) as world, Many() as many:
        config = world.home / "fleet.yaml"
        config.write_text(fleet(many.addresses), encoding="utf-8")
        keeper = world.run("--config", str(config))
        for _ in range(SERVERS * MODELS):
            keeper.until("model.ready", limit_s=READY_WITHIN_S)
        time.sleep(SETTLED_S)
        many.gaps()
        began, used = time.monotonic(), cpu_s(keeper.pid)
        time.sleep(SECONDS)
        percent = 100 * (cpu_s(keeper.pid) - used) / (time.monotonic() - began)
        gaps = many.gaps()
        lag_ms = [1_000 * abs(gap - INTERVAL_S) for gap in gaps]
        looks = (len(gaps) + SERVERS) / SERVERS / (SECONDS / INTERVAL_S)
        yield Number("1,000 models, RSS", memory_mib(keeper.pid), "MiB", TARGET_MIB, f"on {SERVERS} servers")
        yield Number("1,000 models, CPU", percent, "% of a core", TARGET_PERCENT, f"over {SECONDS:.0f} s")
        yield Number("1,000 models, lag p99", quantiles(lag_ms, n=100)[-1], "ms", TARGET_LAG_MS, f"{len(gaps)} looks")
        yield Number("looks a server and interval", looks, "", 1.26, "one, and that at either end")


class Many:
    """The servers, in a process of their own.

    Attributes:
        addresses: their URLs.
    """

    def __enter__(self) -> "Many":
        command = [sys.executable, "-m", "bench.many", str(SERVERS), str(MODELS)]
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
