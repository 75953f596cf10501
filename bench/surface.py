"""What the status surface of a large fleet costs: 1,000 models on 100 servers, asked as a reader would, over HTTP."""

import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from bench.child import cpu_s
from bench.number import Number
from bench.scale import MODELS, READY_WITHIN_S, SERVERS, Many, fleet
from tests.kit.proc import World, free_port

TRIES = 31
PAUSE_S = 0.5  # from one page to the next
LIVEZ_EVERY_S = 0.01
TARGET_METRICS_MS = 25
TARGET_STATUS_MS = 50
TARGET_LIVEZ_MS = 20


def measure() -> Iterator[Number]:
    """How long pages take from request to last byte, and how late `/livez` is while they are made."""
    with TemporaryDirectory() as home, World(Path(home)) as world, Many() as many:
        config, port = world.home / "fleet.yaml", free_port()
        config.write_text(fleet(many.addresses), encoding="utf-8")
        keeper = world.run("--config", str(config), OLLAMA_KEEPER_WEB__LISTEN=f"127.0.0.1:{port}")
        for _ in range(SERVERS * MODELS):
            keeper.until("model.ready", limit_s=READY_WITHIN_S)
        for path, target in (("/metrics", TARGET_METRICS_MS), ("/status", TARGET_STATUS_MS)):
            yield from _page(keeper.pid, port, path, target)
        yield _livez(port)


def _page(pid: int, port: int, path: str, target: float) -> Iterator[Number]:
    """One page, and beside it what the keeper spent on it: others may share the machine."""
    first, *later = [_spent(pid, port, path) for _ in range(TRIES)]
    note = f"{later[0][1] / 1024:.0f} KiB, the first {first[0]:.0f} ms, median of {len(later)}"
    yield Number(f"1,000 models, {path}", median(ms for ms, _, _ in later), "ms", target, note)
    yield Number(f"1,000 models, {path}, CPU", median(ms for _, _, ms in later), "ms", None, "of the whole keeper")


def _spent(pid: int, port: int, path: str) -> tuple[float, int, float]:
    """Milliseconds and bytes as in `asked`, and milliseconds of CPU that the keeper spent meanwhile."""
    time.sleep(PAUSE_S)
    used = cpu_s(pid)
    took_ms, size = asked(port, path)
    return took_ms, size, 1_000 * (cpu_s(pid) - used)


def asked(port: int, path: str) -> tuple[float, int]:
    """Milliseconds from the request to the last byte, and bytes of the body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    try:
        began = time.monotonic()
        connection.request("GET", path)
        size = len(connection.getresponse().read())
        return 1_000 * (time.monotonic() - began), size
    finally:
        connection.close()


def _livez(port: int) -> Number:
    """p99 of `/livez`, while the two pages are made again and again."""
    pages = threading.Thread(target=_ask_pages, args=(port,))
    pages.start()
    taken: list[float] = []
    while pages.is_alive():
        taken.append(asked(port, "/livez")[0])
        time.sleep(LIVEZ_EVERY_S)
    pages.join()
    return Number("/livez p99 meanwhile", quantiles(taken, n=100)[-1], "ms", TARGET_LIVEZ_MS, f"{len(taken)} times")


def _ask_pages(port: int) -> None:
    for _ in range(TRIES):
        for path in ("/metrics", "/status"):
            asked(port, path)
            time.sleep(PAUSE_S)
