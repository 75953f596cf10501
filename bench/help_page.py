"""How soon the help page is there."""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.child import timed
from bench.number import Number

TRIES = 10
TARGET_MS = 100


def measure() -> Iterator[Number]:
    """`ollama-keeper --help`, as an operator starts it; beside it what the interpreter itself takes."""
    script = str(Path(sys.executable).with_name("ollama-keeper"))
    timed([script, "--help"])  # fills the disk's cache, and keeps the bytecode
    wall, cpu = _medians([script, "--help"])
    bare_wall, bare_cpu = _medians([sys.executable, "-c", "pass"])
    yield Number("--help, wall", wall, "ms", TARGET_MS, f"median of {TRIES}; an empty Python {bare_wall:.0f} ms")
    yield Number("--help, CPU", cpu, "ms", TARGET_MS, f"median of {TRIES}; an empty Python {bare_cpu:.0f} ms")


def _medians(command: list[str]) -> tuple[float, float]:
    runs = [timed(command) for _ in range(TRIES)]
    return median(wall for wall, _ in runs) * 1000, median(cpu for _, cpu in runs) * 1000
