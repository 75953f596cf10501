"""FAULTS 4: the network between the keeper and its servers, without a socket."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from ollama_keeper.simulator import Simulator
from tests.faults.scenes import BACK_OFF_S, DOWN_S, INTERVAL_S, LLAMA, QWEN, looks, now, warms
from tests.kit.checks import gaps, keeping_requests
from tests.kit.keeper import HOST, until
from tests.kit.living import page as page_of
from tests.kit.living import survived
from tests.kit.ordeal import address, facing
from tests.kit.proc import World, free_port, wait_for
from tests.kit.transport import SimTransport


async def test_fault_A1_ollama_is_down_at_start(sim: Simulator) -> None:
    sim.stop()
    network = SimTransport(sim)
    async with facing(sim, QWEN, LLAMA, settled=False, transport=network) as keeper:
        await asyncio.sleep(180)
        assert {keeper.state(model) for model in (QWEN, LLAMA)} == {"unknown"}
        assert 180 / BACK_OFF_S <= network.link().connects <= 5 + 180 / BACK_OFF_S
        assert keeper.notified == [f"firing server_down {HOST}"]
        sim.start()
    first = next(look for look in looks(sim) if look.status == 200)
    assert all(warm.at > first.at for warm in keeping_requests(sim.history))
    assert warms(sim) == [QWEN, LLAMA]
    assert not keeper.events("model.lost")


@pytest.mark.process
def test_fault_A1_the_process_starts_anyway_and_its_pages_say_so(world: World) -> None:
    port, page = free_port(), f"127.0.0.1:{free_port()}"
    keeper = world.run(QWEN, "--ollama", f"http://127.0.0.1:{port}", OLLAMA_KEEPER_WEB__LISTEN=page)
    assert keeper.until("server.waiting")["reason"] == "connect_refused"
    assert page_of(page, "/livez") == (200, "live\n")
    status, ready = page_of(page, "/readyz")
    assert (status, "server_down" in ready or "first_look" in ready) == (503, True)
    server = world.simulate("--load-time", "100ms", port=port)
    keeper.until("model.ready")
    assert page_of(page, "/readyz")[0] == 200
    assert server.resident()[QWEN]["pinned"]
    survived(server, keeper)


async def test_fault_A2_refused_for_five_seconds(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=40) as keeper:
        sim.stop()
        await asyncio.sleep(5)
        sim.start()
        came = now()
    assert warms(sim, came) == [QWEN, LLAMA]
    assert {change.cause for change in keeper.all("model.lost")} == {"server_restarted"}
    assert not keeper.all("server.down")
    assert keeper.notified == []


async def test_fault_A2_refused_for_three_minutes(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=BACK_OFF_S + 10) as keeper:
        began = now()
        sim.stop()
        assert await until(lambda: bool(keeper.all("server.down"))) <= DOWN_S
        assert {keeper.state(model) for model in (QWEN, LLAMA)} == {"unknown"}
        await asyncio.sleep(180)
        assert not keeper.all("model.lost")
        assert keeper.notified == [f"firing server_down {HOST}"]
        sim.start()
        came = now()
    first = next(look for look in looks(sim, came) if look.status == 200)
    assert [warm.model for warm in keeping_requests(sim.history) if warm.at >= began] == [QWEN, LLAMA]
    assert all(warm.at > first.at for warm in keeping_requests(sim.history) if warm.at >= began)


async def test_fault_A5_accepts_and_never_answers(sim: Simulator) -> None:
    async with facing(sim, QWEN, heal_s=BACK_OFF_S + 5) as keeper:
        frozen = now()
        sim.freeze()
        assert await until(lambda: bool(keeper.all("server.down"))) <= DOWN_S
        assert keeper.last("server.down").reason == "read_timeout"
        await asyncio.sleep(300)
        sim.thaw()
    assert not keeper.all("model.lost")
    assert warms(sim, frozen) == []


@pytest.mark.process
def test_fault_A5_a_frozen_server_leaves_the_keeper_live(world: World) -> None:
    server = world.simulate("--load-time", "100ms")
    page = f"127.0.0.1:{free_port()}"
    keeper = world.run(QWEN, "--ollama", server.url, "--interval", "1s", OLLAMA_KEEPER_WEB__LISTEN=page)
    keeper.until("model.ready")
    server.befalls("freeze")
    wait_for(lambda: server.requests("/api/ps")[-1]["ended"] is None)
    assert page_of(page, "/livez") == (200, "live\n")
    server.befalls("thaw")
    server.looked(2)
    assert page_of(page, "/readyz")[0] == 200
    survived(server, keeper)


@pytest.mark.parametrize("seconds", [5, 12])
async def test_fault_A12_slow_answers_are_answers(sim: Simulator, seconds: float) -> None:
    async with facing(sim, QWEN) as keeper:
        began = now()
        sim.delay("ps", seconds)
        await asyncio.sleep(600)
        assert keeper.state(QWEN) == "ready"
        sim.heal("ps")
    assert not keeper.all("server.down")
    assert warms(sim, began) == []
    assert max(gaps(looks(sim, began))) <= INTERVAL_S + seconds


async def test_fault_A12_answers_slower_than_the_limit_make_the_server_busy(sim: Simulator) -> None:
    async with facing(sim, QWEN) as keeper:
        began = now()
        sim.delay("ps", 20)
        await asyncio.sleep(600)
        assert keeper.events("server")[-1] == "server.busy"
        sim.heal("ps")
    assert not keeper.all("server.down")
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Takes the place of the resolver: addresses by name; a name without any is not known."""
    known: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host not in known:
            return real(host, port, *rest, **more)
        if not known[host]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return known


SITE = address("gpu.test:11434", url="dns+http://gpu.test:11434")


async def test_fault_A14_one_name_with_several_addresses(
    make_sim: Callable[..., Simulator], resolver: dict[str, list[str]]
) -> None:
    one, other = make_sim(), make_sim()
    resolver["gpu.test"] = ["127.0.0.1", "127.0.0.2"]
    sims = {address("127.0.0.1:11434"): one, address("127.0.0.2:11434"): other}
    async with facing(sims, QWEN, site=SITE) as keeper:
        other.unload(QWEN)
        await until(lambda: keeper.state(QWEN, "127.0.0.2:11434") != "ready", limit_s=INTERVAL_S + 1)
        assert keeper.state(QWEN, "127.0.0.1:11434") == "ready"
        await asyncio.sleep(60)
    assert (len(one.history.loads()), len(other.history.loads())) == (1, 2)


async def test_fault_A3_a_list_that_is_lost_is_kept(
    make_sim: Callable[..., Simulator], resolver: dict[str, list[str]]
) -> None:
    one, other = make_sim(), make_sim()
    resolver["gpu.test"] = ["127.0.0.1", "127.0.0.2"]
    sims = {address("127.0.0.1:11434"): one, address("127.0.0.2:11434"): other}
    async with facing(sims, QWEN, site=SITE):
        began = now()
        resolver["gpu.test"] = []
        await asyncio.sleep(300)
        assert max(gaps(looks(one, began))) <= INTERVAL_S + 1
        assert max(gaps(looks(other, began))) <= INTERVAL_S + 1
        resolver["gpu.test"] = ["127.0.0.2", "127.0.0.1"]
    assert (len(one.history.loads()), len(other.history.loads())) == (1, 1)
