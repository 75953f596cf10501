"""How many packages a core install brings, and how large they are."""

from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from bench.number import Number

TARGET = 26
TARGET_MB = 30
ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements/runtime.lock"


def measure() -> Iterator[Number]:
    """The pins of the runtime lock that hold on this platform, and ours."""
    pins = [pin.name for pin in _pins() if pin.marker is None or pin.marker.evaluate()]
    yield Number("core install", len(pins) + 1, "packages", TARGET, "itself included")
    size = sum(_size(name) for name in pins) + sum(path.stat().st_size for path in _ours())
    yield Number("core install, size", size / 1e6, "MB", TARGET_MB, "the files of the packages, without bytecode")


def _pins() -> list[Requirement]:
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", " ")
    return [Requirement(line.partition(" --hash")[0]) for line in text.splitlines() if line.strip()]


def _ours() -> Iterator[Path]:
    places = (ROOT / "ollama_keeper", ROOT / "deploy/systemd")
    yield from (path for place in places for path in place.rglob("*") if path.is_file() and path.suffix != ".pyc")


def _size(package: str) -> int:
    """Bytes of the files that an installed package lists; what is gone meanwhile counts nothing."""
    paths = (Path(str(file.locate())) for file in distribution(package).files or () if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.is_file())
