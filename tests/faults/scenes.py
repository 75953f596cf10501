"""What the rows share: the models, a clock, and how often and how far apart a server was asked."""

import asyncio

from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.history import Request
from tests.kit.checks import keeping_requests, ours

QWEN, LLAMA, LLAVA, EMBED = "qwen3:8b", "llama3.2:3b", "llava:13b", "nomic-embed-text"
INTERVAL_S = 15.0
DOWN_S = 34.0  # interval 15 + timeout 5 + 2 x (fast interval 2 + timeout 5)
BACK_OFF_S = 30.0


def now() -> float:
    """Seconds of the test's loop, which the simulator's record uses too."""
    return asyncio.get_running_loop().time()


def since(start: float, requests: list[Request]) -> list[Request]:
    """Those that came at `start` or later."""
    return [request for request in requests if request.at >= start]


def looks(sim: Simulator, start: float = 0.0) -> list[Request]:
    """The keeper's looks since a moment."""
    return since(start, ours(sim.history, "/api/ps"))


def warms(sim: Simulator, start: float = 0.0) -> list[str | None]:
    """The models that the keeper warmed or pinned anew since a moment, in order."""
    return [request.model for request in since(start, keeping_requests(sim.history))]
