"""FAULTS 7: clocks that are set, machines that sleep, loops and processors that are late, files that run out."""

import asyncio
import resource
import signal
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ollama_keeper.core.calendar import Window
from ollama_keeper.core.policy import Release
from ollama_keeper.simulator import Simulator
from tests.faults.scenes import EMBED, INTERVAL_S, LLAMA, QWEN, looks, now, warms
from tests.kit.checks import gaps
from tests.kit.keeper import HOST, US, until, wanted
from tests.kit.living import held, survived
from tests.kit.ordeal import facing
from tests.kit.proc import World, free_port, wait_for
from tests.kit.receiver import receiving
from tests.kit.virtual import VirtualLoop

HOUR_S, WEEK_S, YEAR_S = 3_600.0, 7 * 86_400.0, 365.25 * 86_400.0


def step_wall(sim: Simulator, seconds: float) -> None:
    """The wall clock of the machine is set, which is the server's too; monotonic time does not notice."""
    loop: Any = asyncio.get_running_loop()
    loop.step_wall(seconds)
    sim.clock_offset(seconds)


def stall(seconds: float) -> None:
    """The loop is late: time passes, and nothing of it runs."""
    loop: Any = asyncio.get_running_loop()
    loop.jump(seconds)


# --- D1, D2, D3, D5: clocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [-HOUR_S, -20 * YEAR_S], ids=["an-hour", "twenty-years"])
async def test_fault_D1_wall_clock_back(sim: Simulator, step: float) -> None:
    async with facing(sim, QWEN, wanted(EMBED, lease_s=120.0)) as keeper:
        began = now()
        step_wall(sim, step)
        await asyncio.sleep(900)
        assert max(gaps(looks(sim, began))) <= INTERVAL_S + 5
    assert keeper.events("clock") == ["clock.jumped"]
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


@pytest.mark.parametrize("step", [HOUR_S, YEAR_S, 56 * YEAR_S], ids=["an-hour", "a-year", "from-1970"])
async def test_fault_D2_wall_clock_far_forward(sim: Simulator, step: float) -> None:
    async with facing(sim, QWEN, LLAMA) as keeper:
        began = now()
        real = time.perf_counter()
        step_wall(sim, step)
        await asyncio.sleep(10)
        assert time.perf_counter() - real < 5, "missed runs were enumerated"
        await asyncio.sleep(890)
        assert len(looks(sim, began)) <= 900 / INTERVAL_S + 3
    assert keeper.events("clock") == ["clock.jumped"]
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


async def test_fault_D3_asleep_for_a_week(sim: Simulator) -> None:
    async with facing(sim, wanted(QWEN, interval_s=60.0), LLAMA) as keeper:
        woke = now()
        step_wall(sim, WEEK_S)
        await asyncio.sleep(5.5)
        assert looks(sim, woke)
        await asyncio.sleep(300)
        assert keeper.notified == []
    assert not keeper.all("model.lost")


@pytest.mark.process
@pytest.mark.slow
def test_fault_D3_a_keeper_that_was_stopped_looks_at_once(world: World) -> None:
    server = world.simulate("--load-time", "100ms")
    keeper = world.run(QWEN, "--ollama", server.url, "--interval", "1m")
    keeper.until("model.ready")
    keeper.signal(signal.SIGSTOP)
    seen = len(server.requests("/api/ps"))
    time.sleep(12)
    keeper.signal(signal.SIGCONT)
    woke = time.monotonic()
    wait_for(lambda: len(server.requests("/api/ps")) > seen)
    assert server.requests("/api/ps")[-1]["at"] - woke <= 5 + 1
    keeper.signal(signal.SIGTERM)
    assert keeper.ended() == 0
    assert "model.lost" not in keeper.told
    survived(server, keeper)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        pytest.param("Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), id="an-hour-is-missing"),
        pytest.param("Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), id="an-hour-comes-twice"),
        pytest.param("America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC), id="elsewhere"),
    ],
)
def test_fault_D4_the_days_on_which_the_clocks_change(zone: str, day: datetime) -> None:
    """Kept from 06:30 to 23:00 of local time: warmed once a day, half a minute and the load time before."""
    hours = Window(frozenset(range(7)), 6 * 60 + 30, 23 * 60, ZoneInfo(zone))

    async def pass_by() -> Simulator:
        sim = Simulator()
        kept = wanted(QWEN, active=(hours,), release=Release.UNLOAD, interval_s=300.0)
        began = now()
        async with facing(sim, kept, settled=False, heal_s=2 * 86_400):
            await asyncio.sleep(2 * 86_400)
            assert now() - began >= 2 * 86_400
        return sim

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start=day)) as runner:
        sim = runner.run(pass_by())
    local = [(day + timedelta(seconds=load.start)).astimezone(ZoneInfo(zone)) for load in sim.history.loads(who=US)]
    mornings = [at for at in local if at.hour == 6]
    assert len({at.date() for at in mornings}) == len(mornings) >= 2
    assert all((at.hour, at.minute) in {(6, 28), (6, 29), (6, 30)} for at in mornings)
    assert len(local) - len(mornings) <= 1, "only the first day begins in its hours"


@pytest.mark.parametrize("offset", [HOUR_S, -HOUR_S])
async def test_fault_D5_the_servers_clock_differs(sim: Simulator, offset: float) -> None:
    sim.clock_offset(offset)
    async with facing(sim, QWEN, wanted(EMBED, lease_s=120.0)) as keeper:
        began = now()
        await asyncio.sleep(1_800)
        assert keeper.notified == [f"firing clock_skew {HOST}"]
    assert not keeper.all("model.lost")
    assert not keeper.all("model.repinned")
    assert warms(sim, began) == []
    assert len(sim.history.loads()) == 2


@pytest.mark.parametrize("offset", [HOUR_S, -HOUR_S])
async def test_fault_D5_the_servers_clock_is_set_while_a_lease_runs(sim: Simulator, offset: float) -> None:
    async with facing(sim, QWEN, wanted(EMBED, lease_s=120.0), heal_s=90) as keeper:
        began = now()
        sim.clock_offset(offset)
        await asyncio.sleep(1_800)
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


# --- D6, D7: late ourselves -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [1.5, 60.0])
async def test_fault_D6_event_loop_stalled(sim: Simulator, seconds: float) -> None:
    async with facing(sim, QWEN, LLAMA) as keeper:
        began = now()
        stall(seconds)
        await asyncio.sleep(6)
        if seconds > 6:
            assert keeper.last("loop.stalled").stall_s >= seconds - 5
        assert looks(sim, began + seconds) or seconds < 6
        await asyncio.sleep(60)
        assert max(gaps(looks(sim, began + seconds))) <= INTERVAL_S + 1
    assert not keeper.all("model.lost")
    assert not keeper.all("server.down")


async def test_fault_D7_a_look_that_we_delayed_is_not_failed(sim: Simulator) -> None:
    """The process gets no processor while its looks are under way, again and again."""
    async with facing(sim, QWEN) as keeper:
        began = now()
        sim.delay("ps", 0.5)
        for _ in range(20):
            seen = len(looks(sim))
            await until(lambda seen=seen: len(looks(sim)) > seen, limit_s=20)  # type: ignore[misc]
            stall(30)
        sim.heal()
        assert keeper.daemon.servers[0].memory.failures == 0
    assert not keeper.all("server.down")
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


# --- D8, D9: what runs out --------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit of Linux")
def test_fault_D8_out_of_file_descriptors(world: World) -> None:
    server = world.simulate("--load-time", "100ms")
    keeper = world.run(QWEN, "--ollama", server.url, "--interval", "1s")
    keeper.until("model.ready")
    before = held(keeper)
    soft, hard = resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (3, hard))
    server.befalls("restart")
    keeper.until("server.down")
    used = held(keeper).cpu_s
    time.sleep(3)
    assert held(keeper).cpu_s - used < 1.0
    resource.prlimit(keeper.pid, resource.RLIMIT_NOFILE, (soft, hard))
    keeper.until("model.ready", limit_s=40)
    assert server.resident()[QWEN]["pinned"]
    wait_for(lambda: held(keeper).descriptors <= before.descriptors + 1)
    survived(server, keeper)


@pytest.mark.process
def test_fault_D9_killed(world: World) -> None:
    """An alert fires and was told: of another server, which is down."""
    server = world.simulate("--load-time", "100ms")
    config = world.home / "config.yaml"
    config.write_text(
        f"servers:\n- {{name: up, url: '{server.url}'}}\n- {{name: down, url: 'http://127.0.0.1:{free_port()}'}}\n"
        f"models: [{QWEN}]\ninterval: 1s\nstate_dir: state\n"
        "alerts:\n  for: {server_down: 1s}\n  sinks: [{name: team, type: webhook, url_file: team-url}]\n"
    )
    with receiving("webhook") as receiver:
        (world.home / "team-url").write_text(receiver.url)
        first = world.run("--config", str(config))
        first.until("notification.sent", limit_s=40)
        first.signal(signal.SIGKILL)
        assert first.ended() == 128 + signal.SIGKILL
        again = world.run("--config", str(config))
        assert again.until("model.ready", model=QWEN)["by"] == "found"
        server.looked(8)
        assert len(server.loads()) == 1
        told = [alert["fingerprint"] for one in receiver.service.taken for alert in one.document["alerts"]]
        assert len(set(told)) == 1
        assert len(told) <= 2, "at most one duplicate"
        survived(server, first, again)
