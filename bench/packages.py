"""How many packages a core install brings."""

from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from bench.number import Number

TARGET = 26
LOCK = Path(__file__).parents[1] / "requirements/runtime.lock"


def measure() -> Iterator[Number]:
    """The pins of the runtime lock that hold on this platform, and ours."""
    text = LOCK.read_text().replace("\\\n", " ")
    pins = [Requirement(line.partition(" --hash")[0]) for line in text.splitlines() if line.strip()]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    yield Number("core install", len(here) + 1, "packages", TARGET, "itself included")
