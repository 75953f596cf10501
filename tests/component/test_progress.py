"""What a waiting command shows of what is under way."""

import asyncio

from ollama_keeper.commands.progress import under_way
from ollama_keeper.simulator import Simulator
from tests.component.test_keeping import LLAMA, QWEN
from tests.component.test_reload import settled
from tests.kit.keeper import HOST, keeping, until

EMBED = "nomic-embed-text"


async def test_a_load_is_shown_with_elapsed_and_usual_time_and_the_others_with_their_place(sim: Simulator) -> None:
    async with keeping(sim, QWEN, LLAMA, EMBED) as keeper:
        server = keeper.daemon.servers[0]
        await asyncio.sleep(1)
        assert [line.split(": ", 2)[2] for line in under_way(server)] == [
            "loading, 1s",
            "queued, 1 of 2 (another load goes first)",
            "queued, 2 of 2 (another load goes first)",
        ]
        await settled(sim, keeper, QWEN, LLAMA, EMBED)
        assert under_way(server) == []
        sim.restart()
        await until(lambda: keeper.state(QWEN) == "loading")
        assert under_way(server)[0].endswith(f"{QWEN}: loading, 0s, usually 4s")
        assert under_way(server)[1].endswith(f"{LLAMA}: queued, 1 of 2, usually 2s (another load goes first)")
        await settled(sim, keeper, QWEN, LLAMA, EMBED)


async def test_who_only_waits_is_told_how_long_he_has_and_how_long_it_takes(sim: Simulator) -> None:
    sim.load_time(QWEN, 60)
    async with keeping(sim, QWEN) as keeper:
        await asyncio.sleep(12)
        (line,) = under_way(keeper.daemon.servers[0], {(HOST, QWEN): 58.0})
        assert line == f"  {HOST}: {QWEN}: not resident, 12s, usually 58s"
        await settled(sim, keeper, QWEN)
