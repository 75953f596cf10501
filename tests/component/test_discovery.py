"""One name, several servers."""

import asyncio
from collections.abc import Callable

from ollama_keeper.core.address import Address
from ollama_keeper.core.readiness import unready
from ollama_keeper.simulator import Simulator
from tests.component.test_keeping import EMBED, QWEN, pinned
from tests.kit.keeper import US, Keeper, did_no_harm, wanted
from tests.kit.transport import SimTransport

SITE = Address("localhost:11434", "dns+http://localhost:11434")


async def test_a_name_is_one_server_an_address_and_a_reload_reaches_all(make_sim: Callable[..., Simulator]) -> None:
    sims = {"127.0.0.1:11434": make_sim(), "::1:11434": make_sim()}
    keeper = Keeper({SITE: (wanted(QWEN),)}, SimTransport(sims))
    keeper.start()
    await asyncio.sleep(1)
    asked = [sim for sim in sims.values() if sim.history.requests(who=US)]
    assert asked, "this machine has no localhost"
    for sim in asked:
        await pinned(sim, QWEN)
    assert {server.memory.server for server in keeper.daemon.servers} <= {"127.0.0.1:11434", "[::1]:11434"}
    await keeper.reload({SITE: (wanted(QWEN), wanted(EMBED))})
    for sim in asked:
        await pinned(sim, EMBED)
        assert len(sim.history.loads(QWEN)) == 1
    await asyncio.sleep(100)
    await keeper.stop()
    for sim in asked:
        did_no_harm(sim)


async def test_a_name_that_leads_nowhere_is_one_server_that_does_not_answer() -> None:
    site = Address("gpu", "dns+http://nowhere.invalid:11434")
    keeper = Keeper({site: (wanted(QWEN),)}, SimTransport({}))
    keeper.start()
    await asyncio.sleep(1)
    memories = [server.memory for server in keeper.daemon.servers]
    assert [one.model for one in unready(memories, keeper.daemon.servers[0].now())] == [QWEN]
    await asyncio.sleep(59)
    await keeper.stop()
    assert {waiting.server for waiting in keeper.all("server.waiting")} == {"gpu"}
