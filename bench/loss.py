"""How soon a lost model is noticed and back, when it was lost just after a look: the longest that it can take."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from bench.number import Number
from tests.kit.proc import Child, Simulated, World, wait_for

PAIRS = 3
INTERVAL_S = 15.0
LOAD_S = 2.0
AFTER_LOOK_S = 0.2
SEEN_S = INTERVAL_S + 1
BACK_S = 2.0
MODEL = "nomic-embed-text"  # an embedder with a short context is the load of a client that is never taken over
SHORT_CONTEXT = 512
SLACK_S = 5.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A keeper and its server."""

    server: Simulated
    keeper: Child

    @classmethod
    def of(cls, world: World) -> Self:
        """A pair whose model is a client's, pinned, and found so by the keeper."""
        server = world.simulate("--load-time", f"{LOAD_S:g}s")
        server.befalls("client", model=MODEL, path="/api/embed", keep_alive=-1, num_ctx=SHORT_CONTEXT)
        wait_for(lambda: _resident(server))
        keeper = world.run(MODEL, "--ollama", server.url)
        keeper.until("model.ready", by="found")
        return cls(server, keeper)

    def expire(self) -> None:
        """Lets the model's time end just after the next look."""
        look = self._look()
        left_s = look + INTERVAL_S + AFTER_LOOK_S - time.monotonic()
        lease = {"keep_alive": f"{left_s:.3f}s", "num_ctx": SHORT_CONTEXT}
        self.server.befalls("client", model=MODEL, path="/api/embed", **lease)

    def restart(self) -> None:
        """Restarts the server just after a look."""
        self._look()
        self.server.befalls("restart")

    def measured(self, cause: str) -> tuple[float, float]:
        """Seconds until the loss was noticed, and from then until it was back, less the load time."""
        lost = self.keeper.until("model.lost", limit_s=2 * INTERVAL_S + SLACK_S)
        if lost["cause"] != cause:
            raise RuntimeError(f"lost by {lost['cause']}, not by {cause}")
        wait_for(lambda: _resident(self.server), limit_s=LOAD_S + SLACK_S)
        gone = self.server.history()["unloads"][-1]["at"]
        load = self.server.history()["loads"][-1]
        seen = _monotonic(lost["ts"])
        return seen - gone, load["end"] - seen - (load["end"] - load["start"])

    def _look(self) -> float:
        """Waits for the next look of the interval; when it came."""
        at: float = self.server.looked(limit_s=INTERVAL_S + SLACK_S)[-1]["at"]
        return at


def measure() -> Iterator[Number]:
    """Three keepers at once; the worst of them is told."""
    with ExitStack() as stack:
        homes = [Path(stack.enter_context(TemporaryDirectory())) for _ in range(PAIRS)]
        pairs = [Pair.of(stack.enter_context(World(home))) for home in homes]
        for pair in pairs:
            pair.expire()
        yield from _worst("expired", [pair.measured("expired") for pair in pairs])
        for pair in pairs:
            pair.server.looked(limit_s=INTERVAL_S + SLACK_S)  # a connection left idle so long before is known to last
            pair.restart()
        yield from _worst("server restarted", [pair.measured("server_restarted") for pair in pairs])


def _worst(what: str, spans: list[tuple[float, float]]) -> Iterator[Number]:
    note = f"worst of {PAIRS}, lost just after a look"
    yield Number(f"{what}, seen after", max(seen for seen, _ in spans), "s", SEEN_S, note)
    yield Number(f"{what}, back beyond the load", max(back for _, back in spans), "s", BACK_S, f"worst of {PAIRS}")


def _resident(server: Simulated) -> bool:
    return any(name.startswith(MODEL) for name in server.resident())


def _monotonic(ts: str) -> float:
    """An instant of the log on the clock that all processes share; the log tells milliseconds."""
    return datetime.fromisoformat(ts).timestamp() - time.time() + time.monotonic()
