"""The kit that other tests stand on: virtual time, and the network without sockets."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from ollama_keeper.simulator import Simulator
from tests.kit.transport import SimTransport
from tests.kit.virtual import NOON, Deadlock, LoopClock, TooLong, VirtualLoop


async def test_an_hour_passes_at_once_on_both_clocks() -> None:
    started = time.perf_counter()
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == pytest.approx(3600)
    assert datetime.now(UTC) == NOON + timedelta(hours=1)
    assert time.perf_counter() - started < 5


async def test_a_wall_clock_step_leaves_the_loop_alone(clock: LoopClock) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    before = clock.now()
    loop.step_wall(-3600)
    await asyncio.sleep(1)
    after = clock.now()
    assert after.since(before) == pytest.approx(1)
    assert after.wall - before.wall == timedelta(seconds=-3599)


def test_a_deadlock_raises(virtual_loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.kit.virtual.PATIENCE_S", 0.05)

    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        virtual_loop.run_until_complete(forever())


def test_too_much_virtual_time_raises(virtual_loop: VirtualLoop) -> None:
    virtual_loop.limit_s = 10

    async def long() -> None:
        await asyncio.sleep(100)

    with pytest.raises(TooLong):
        virtual_loop.run_until_complete(long())


async def test_time_stands_still_for_a_thread() -> None:
    waiting = asyncio.ensure_future(asyncio.sleep(1000))
    await asyncio.to_thread(time.sleep, 0.02)
    assert asyncio.get_running_loop().time() == 0
    waiting.cancel()


async def test_a_request_reaches_the_server(http: httpx.AsyncClient, sim: Simulator) -> None:
    answer = await http.get("/api/version")
    assert answer.json() == {"version": "0.33.0"}
    assert [(one.path, one.status) for one in sim.history.requests()] == [("/api/version", 200)]


async def test_a_stopped_server_refuses(http: httpx.AsyncClient, sim: Simulator) -> None:
    sim.stop()
    with pytest.raises(httpx.ConnectError):
        await http.get("/api/version")
    sim.start()
    assert (await http.get("/api/version")).status_code == 200


async def test_a_frozen_server_lets_the_read_limit_pass(http: httpx.AsyncClient, sim: Simulator) -> None:
    sim.freeze()
    with pytest.raises(httpx.ReadTimeout):
        await http.get("/api/version", timeout=5)
    assert asyncio.get_running_loop().time() == pytest.approx(5)


async def test_swallowed_packets_let_the_connect_limit_pass(http: httpx.AsyncClient, network: SimTransport) -> None:
    network.link().swallowed = True
    with pytest.raises(httpx.ConnectTimeout):
        await http.get("/api/version", timeout=httpx.Timeout(9, connect=3))
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_a_restart_cuts_what_is_open(http: httpx.AsyncClient, sim: Simulator) -> None:
    load = asyncio.ensure_future(http.post("/api/generate", json={"model": "qwen3:8b"}))
    await asyncio.sleep(1)
    sim.restart("0.34.0")
    with pytest.raises(httpx.RemoteProtocolError):
        await load
    await asyncio.sleep(1)
    assert (await http.get("/api/version")).json() == {"version": "0.34.0"}
    assert [one.outcome for one in sim.history.loads()] == ["cut"]


async def test_a_body_can_be_cut_in_the_middle(http: httpx.AsyncClient, network: SimTransport) -> None:
    network.link().cut_after = 4
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get("/api/version")


async def test_a_cancelled_request_aborts_its_load(http: httpx.AsyncClient, sim: Simulator) -> None:
    load = asyncio.ensure_future(http.post("/api/generate", json={"model": "qwen3:8b"}))
    await asyncio.sleep(1)
    load.cancel()
    await asyncio.gather(load, return_exceptions=True)
    assert [one.outcome for one in sim.history.loads()] == ["aborted"]
    assert [one.status for one in sim.history.requests()] == [499]
