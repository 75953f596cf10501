"""Pauses, hours, budgets, probes and repairs, on a faithful server in virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from ollama_keeper.core.calendar import Window
from ollama_keeper.core.policy import Budget, Release, Repair
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import default_models
from ollama_keeper.simulator.state import Settings
from ollama_keeper.store import open_store
from tests.component.test_keeping import LLAMA, QWEN, pinned, resident
from tests.component.test_reload import settled
from tests.kit.keeper import US, Keeper, keeping, touches, until, wanted
from tests.kit.virtual import NOON

UTC = ZoneInfo("UTC")
ROOT = "root"
NIGHT = (Window(frozenset(range(7)), 60, 120, UTC),)


def pause(keeper: Keeper, *models: str, for_s: float | None = None, unload: bool = False) -> None:
    keeper.daemon.pause(models, by=ROOT, for_s=for_s, note=None, unload=unload)


async def test_a_paused_model_loses_its_pin_is_not_touched_again_and_comes_back_by_itself(sim: Simulator) -> None:
    """Acceptance story 13."""
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await settled(sim, keeper, QWEN, LLAMA)
        pause(keeper, QWEN, for_s=7_200)
        await until(lambda: not resident(sim, QWEN).pinned, limit_s=30)
        touched = len(touches(sim, QWEN))
        await until(lambda: not sim.is_resident(QWEN), limit_s=310)
        await asyncio.sleep(6_500)
        assert len(touches(sim, QWEN)) == touched
        assert keeper.state(QWEN) == "paused"
        assert resident(sim, LLAMA).pinned
        assert "model.lost" not in keeper.events()
        await pinned(sim, QWEN)
        assert keeper.last("model.resumed").by == "time"
        assert asyncio.get_running_loop().time() < 7_200 + 60


async def test_pause_unload_frees_the_memory_at_once_and_resume_brings_it_back(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper:
        await settled(sim, keeper, QWEN)
        pause(keeper, unload=True)
        assert await until(lambda: not sim.is_resident(QWEN)) <= 16
        await asyncio.sleep(600)
        assert not sim.is_resident(QWEN)
        keeper.daemon.resume((), by=ROOT)
        assert await until(lambda: sim.is_resident(QWEN)) < 10
        await settled(sim, keeper, QWEN)


async def test_a_pause_survives_a_restart_of_the_keeper(sim: Simulator, tmp_path: Path) -> None:
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, QWEN, store=store) as keeper:
        await settled(sim, keeper, QWEN)
        pause(keeper, for_s=3_600, unload=True)
        await until(lambda: not sim.is_resident(QWEN))
        await asyncio.sleep(5)
    store.close(5)
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, QWEN, store=store) as keeper:
        await asyncio.sleep(600)
        assert keeper.state(QWEN) == "paused"
        assert not sim.is_resident(QWEN)
        await pinned(sim, QWEN)
        await settled(sim, keeper, QWEN)
    store.close(5)
    assert len(sim.history.loads(QWEN)) == 2


async def test_warm_loads_now_what_somebody_unloaded(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(30)
        sim.unload(QWEN)
        await until(lambda: keeper.state(QWEN) == "cold")
        assert keeper.daemon.warm([QWEN, "other"]).unknown == ("other",)
        assert await until(lambda: sim.is_resident(QWEN)) < 10
        await settled(sim, keeper, QWEN)
        assert keeper.last("warm.started").cause == "by_command"


async def test_what_a_warm_does_not_load_is_told_with_why(sim: Simulator) -> None:
    async with keeping(sim, QWEN, LLAMA, wanted("nomic-embed-text", active=NIGHT), budget=Budget(models=1)) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(20)
        pause(keeper, QWEN, for_s=7_200)
        await settled(sim, keeper, LLAMA)
        meant = keeper.daemon.warm(())
        held = {row.model: (row.state, row.reason) for row in keeper.daemon.held(meant.models).models}
        assert held == {QWEN: ("paused", "by_command"), "nomic-embed-text": ("off_hours", "outside_hours")}
        assert keeper.daemon.held([LLAMA]).models == ()


async def test_names_that_mean_nothing_are_told_apart(sim: Simulator) -> None:
    async with keeping(sim, "qwen3:8B") as keeper:
        await asyncio.sleep(20)
        named = keeper.daemon.pause(("library/qwen3:8b", "other", "?"), by=ROOT, for_s=1, note=None, unload=False)
        assert (named.models, named.unknown) == (("qwen3:8B",), ("other", "?"))


async def test_a_model_is_kept_in_its_hours_and_loaded_ahead_of_them(sim: Simulator) -> None:
    """Acceptance story 24; a test begins at noon."""
    hours = (Window(frozenset(range(7)), 14 * 60, 15 * 60, UTC),)
    async with keeping(sim, wanted(QWEN, active=hours, release=Release.UNLOAD)) as keeper:
        await asyncio.sleep(600)
        assert keeper.state(QWEN) == "off_hours"
        assert keeper.last("model.off_hours").until == NOON + timedelta(hours=2)
        await until(lambda: sim.is_resident(QWEN), limit_s=7_200)
        loaded = sim.history.loads(QWEN, who=US)[-1]
        assert 7_200 - 60 <= loaded.start <= 7_200
        assert keeper.last("warm.started").cause == "ahead_of_hours"
        await until(lambda: not sim.is_resident(QWEN), limit_s=4_000)
        assert 10_800 <= asyncio.get_running_loop().time() <= 10_800 + 20
        await asyncio.sleep(600)
        assert "model.lost" not in keeper.events()


async def test_a_probe_is_one_token_on_an_idle_model(sim: Simulator) -> None:
    async with keeping(sim, wanted(QWEN, probe_every_s=600.0), tokens=6) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(3_700)
        assert sim.history.tokens(who=US) in {5, 6}
        assert keeper.state(QWEN) == "ready"


async def test_a_model_whose_inference_is_stuck_is_told_after_two_probes_and_nothing_is_restarted(
    make_sim: Callable[..., Simulator],
) -> None:
    """Acceptance story 23: it is listed, its health check answers, and no token ever comes."""
    sim = make_sim([replace(model, tokens_per_s=0.0001) for model in default_models()])
    async with keeping(sim, wanted(QWEN, probe_every_s=120.0, probe_timeout_s=20.0), tokens=10) as keeper:
        await settled(sim, keeper, QWEN)
        await until(lambda: keeper.state(QWEN) == "stuck", limit_s=600)
        assert keeper.events("probe.failed") == ["probe.failed"] * 2
        assert len(sim.history.loads(QWEN)) == 1


async def test_a_model_that_fell_to_the_cpu_is_reloaded_once_an_hour_at_most_and_only_if_asked(
    make_sim: Callable[..., Simulator],
) -> None:
    for repair in (Repair.NONE, Repair.RELOAD):
        sim = make_sim(settings=Settings(gpus=1, vram=48 * 2**30))
        async with keeping(sim, wanted(QWEN, repair=repair), LLAMA) as keeper:
            await settled(sim, keeper, QWEN, LLAMA)
            sim.gpu_lost()
            sim.unload(QWEN)
            await until(lambda: keeper.state(QWEN) == "degraded")
            await asyncio.sleep(3_000)
            loads = len(sim.history.loads(QWEN))
            assert loads == (3 if repair is Repair.RELOAD else 2)
            assert keeper.events("model.lost") == ["model.lost"]


async def test_a_hung_scheduler_is_freed_once_by_repair(sim: Simulator) -> None:
    """FAULTS C18."""
    sim.max_loaded(3)
    async with keeping(sim, wanted(QWEN, repair=Repair.RELOAD), LLAMA) as keeper:
        await settled(sim, keeper, QWEN, LLAMA)
        sim.unload(LLAMA)
        await until(lambda: not sim.is_resident(LLAMA))
        sim.deadlock()
        await until(lambda: "server.scheduler_hung" in keeper.events(), limit_s=4_000)
        assert not sim.is_resident(LLAMA)
        await until(lambda: sim.is_resident(QWEN) and sim.is_resident(LLAMA), limit_s=600)
        await settled(sim, keeper, QWEN, LLAMA)
    assert len(sim.history.unloads(QWEN, by=US)) == 1


async def test_an_over_budget_model_waits_until_there_is_room(sim: Simulator) -> None:
    async with keeping(sim, QWEN, LLAMA, budget=Budget(models=1)) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(100)
        assert keeper.state(LLAMA) == "over_budget"
        assert sim.history.loads(LLAMA) == []
        pause(keeper, QWEN, unload=True)
        await pinned(sim, LLAMA)
        await settled(sim, keeper, LLAMA)
        assert not sim.is_resident(QWEN)
