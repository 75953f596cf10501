"""How soon a started keeper looks."""

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.child import cpu_s, medians
from bench.number import Number
from tests.kit.proc import World

TRIES = 10
AS_IT_COMES: dict[str, str] = {}  # with its page
TARGET_MS = 500
MODEL = "qwen3:8b"
LIBRARIES = "import apscheduler.schedulers.asyncio, click, httpx, pydantic_settings, structlog, yaml"


def measure() -> Iterator[Number]:
    """From exec to the first `GET /api/ps` in the server's record."""
    _start()  # fills the disk's cache, and keeps the bytecode
    runs = [_start() for _ in range(TRIES)]
    took = sorted(ms for ms, _ in runs)
    cpu = median(ms for _, ms in runs)
    libraries, _ = medians([sys.executable, "-c", LIBRARIES], TRIES)
    note = f"median of {TRIES}, from {took[0]:.0f}; {cpu:.0f} ms of CPU; our libraries alone {libraries:.0f} ms"
    yield Number("start to first look", median(took), "ms", TARGET_MS, note)


def _start() -> tuple[float, float]:
    """Milliseconds to the first look, and of CPU until its answer was told."""
    with TemporaryDirectory() as home, World(Path(home), AS_IT_COMES) as world:
        server = world.simulate("--load-time", "1h")
        keeper = world.run(MODEL, "--ollama", server.url)
        keeper.until("server.up")
        cpu = cpu_s(keeper.pid)
        looks = server.requests("/api/ps")
        return (looks[0]["at"] - keeper.began) * 1000, cpu * 1000
