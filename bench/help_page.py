"""How soon the help page is there."""

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.child import medians
from bench.number import Number

TRIES = 10
TARGET_MS = 100


def measure() -> Iterator[Number]:
    """`ollama-keeper --help`, as an operator starts it; beside it what Python and click take on this machine alone."""
    script = str(Path(sys.executable).with_name("ollama-keeper"))
    wall, cpu = medians([script, "--help"], TRIES)
    bare, _ = medians([sys.executable, "-c", "pass"], TRIES)
    click, _ = medians([sys.executable, "-c", "import click"], TRIES)
    note = f"median of {TRIES}; an empty Python {bare:.0f} ms, with click {click:.0f} ms"
    yield Number("--help, wall", wall, "ms", TARGET_MS, note)
    yield Number("--help, CPU", cpu, "ms", TARGET_MS, f"median of {TRIES}")
