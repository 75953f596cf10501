"""Simulated servers for the large measurements: `python -m bench.many SERVERS MODELS`, all in one process.

Prints a line of JSON with their addresses; for each line that it reads it prints how the looks of the keeper were
spaced since the last one: a list of seconds between two looks, over all servers.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from itertools import pairwise

from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import make_model
from ollama_keeper.simulator.serve import serving

US = "ollama-keeper"
SIZE = 10**8


async def main(servers: int, models: int) -> None:
    """Serves until stdin ends."""
    sims = [
        Simulator([make_model(f"m{number}", load_s=0.05, size=SIZE) for number in range(models)])
        for _ in range(servers)
    ]
    async with AsyncExitStack() as stack:
        addresses = []
        for sim in sims:
            sim.max_loaded(models)
            addresses.append(await stack.enter_async_context(serving(sim)))
        print(json.dumps(addresses), flush=True)
        counted = {id(sim): 0 for sim in sims}
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps([gap for sim in sims for gap in gaps(sim, counted)]), flush=True)


def gaps(sim: Simulator, counted: dict[int, int]) -> list[float]:
    """Seconds between the looks at one server since the last time."""
    looks = [request.at for request in sim.history.requests("/api/ps", who=US)]
    new = looks[counted[id(sim)] :]
    counted[id(sim)] = len(looks)
    return [later - earlier for earlier, later in pairwise(new)]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
