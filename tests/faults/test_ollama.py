"""FAULTS 6: what Ollama itself does to models, loads and memory."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ollama_keeper.core.policy import Repair
from ollama_keeper.simulator import Kind, Settings, Simulator
from ollama_keeper.simulator.catalogue import default_models, make_model
from ollama_keeper.simulator.history import Request
from ollama_keeper.store import open_store
from tests.faults.scenes import EMBED, INTERVAL_S, LLAMA, LLAVA, QWEN, looks, now, since, warms
from tests.kit.checks import gaps, keeping_requests, ours
from tests.kit.keeper import HOST, US, touches, until, wanted
from tests.kit.ordeal import facing

GIB = 2**30
HOUR_S = 3_600.0


async def gone(sim: Simulator, model: str) -> None:
    await until(lambda: not sim.is_resident(model), limit_s=60)


def options_of(request: Request) -> dict[str, object]:
    options = (request.body or {}).get("options", {})
    assert isinstance(options, dict)
    return options


# --- C1: looks that hang ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [20, 180])
async def test_fault_C1_ps_hangs_while_version_answers(sim: Simulator, seconds: float) -> None:
    async with facing(sim, QWEN, heal_s=20) as keeper:
        began = now()
        await until(lambda: bool(looks(sim, began)))
        sim.hang("ps")
        await asyncio.sleep(INTERVAL_S + seconds)
        assert keeper.events("server")[-1] == "server.busy"
        assert keeper.notified == ([] if seconds < 90 else [f"firing server_busy {HOST}"])
        sim.heal()
    assert not keeper.all("server.down")
    assert not keeper.all("model.lost")
    assert warms(sim, began) == []


# --- C2 - C4: names and weights ---------------------------------------------------------------------------------------


async def test_fault_C2_model_deleted(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=70) as keeper:
        began, stored = now(), sim.state.models
        sim.delete(QWEN)
        sim.unload(QWEN)
        await until(lambda: keeper.state(QWEN) == "missing", limit_s=400)
        await asyncio.sleep(HOUR_S)
        assert len(keeper.all("model.missing")) == 1
        assert keeper.notified == [f"firing missing {QWEN}"]
        assert len(warms(sim, began)) <= 1
        asked = gaps(since(began + 400, ours(sim.history, "/api/tags")))
        assert min(asked) >= 59
        back = now()
        sim.store(*stored)
    assert warms(sim, back) == [QWEN]


@pytest.mark.parametrize("parameters", [None, {"num_ctx": 2_048}], ids=["copy", "variant"])
async def test_fault_C3_the_same_weights_under_another_name(sim: Simulator, parameters: dict[str, int] | None) -> None:
    sim.alias(QWEN, "another", parameters=parameters)
    await sim.client("another", keep_alive=-1)
    async with facing(sim, QWEN, settled=False) as keeper:
        await asyncio.sleep(HOUR_S)
        assert keeper.state(QWEN) == "ready"
    assert warms(sim) == []
    assert len(sim.history.loads()) == 1


async def test_fault_C3_renamed_while_it_is_resident(sim: Simulator) -> None:
    """The old name is gone, the weights stay loaded under it; the new name is somebody else's."""
    async with facing(sim, QWEN, LLAMA, ends={QWEN: "missing"}, heal_s=700) as keeper:
        sim.alias(QWEN, "renamed")
        sim.delete(QWEN)
        await asyncio.sleep(HOUR_S)
        assert len(keeper.all("model.missing")) == 1
        assert len(sim.history.loads(QWEN)) == 1
        sim.unload(QWEN)
        await gone(sim, QWEN)


async def test_fault_C4_pulled_anew(sim: Simulator) -> None:
    async with facing(sim, QWEN, ends={QWEN: "degraded"}, heal_s=320) as keeper:
        began = now()
        sim.repull(QWEN)
        await until(lambda: keeper.state(QWEN) == "degraded", limit_s=320)
        assert keeper.last("model.degraded").reason == "other_digest"
        await asyncio.sleep(HOUR_S)
    assert warms(sim, began) == []
    assert len(sim.history.loads()) == 1


async def test_fault_C4_pulled_anew_and_loaded_as_asked_for(sim: Simulator) -> None:
    """The old weights can be addressed no more: they stay beside the new ones until something evicts them."""
    async with facing(sim, wanted(QWEN, repair=Repair.RELOAD), LLAMA, heal_s=320) as keeper:
        began = now()
        sim.repull(QWEN)
        await asyncio.sleep(2 * HOUR_S)
        assert keeper.state(QWEN) == "ready"
        assert keeper.last("model.degraded").reason == "other_digest"
    assert warms(sim, began) == [QWEN]
    assert len(sim.history.loads()) == 3


async def test_fault_C4_only_the_parameters_are_new(sim: Simulator) -> None:
    async with facing(sim, wanted(QWEN, repair=Repair.RELOAD), heal_s=320) as keeper:
        began = now()
        sim.remodel(QWEN)
        await asyncio.sleep(2 * HOUR_S)
        assert keeper.state(QWEN) == "ready"
        assert keeper.last("model.degraded").reason == "other_digest"
    assert warms(sim, began) == [QWEN]
    assert [unload.cause for unload in sim.history.all_unloads] == ["unload"]


# --- C5, C6: out of memory --------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_fault_C5_out_of_memory_at_load(sim: Simulator) -> None:
    sim.oom(LLAVA)
    models = (wanted(QWEN, priority=9), wanted(LLAMA, priority=8), wanted(LLAVA, priority=1))
    async with facing(sim, *models, settled=False, ends={LLAVA: "contended"}, heal_s=200) as keeper:
        await asyncio.sleep(HOUR_S)
        assert sim.is_resident(QWEN)
        assert sim.is_resident(LLAMA)
        failed = keeper.all("warm.failed")
        assert len(failed) == 1
        assert failed[0].reason == "out_of_memory"
        assert keeper.all("breaker.opened")
        assert len(keeper.notified) == 1
    assert len([load for load in sim.history.loads(LLAVA) if load.outcome == "out_of_memory"]) <= 2


@pytest.mark.slow
async def test_fault_C5_out_of_memory_without_harm_is_tried_again_in_good_time(sim: Simulator) -> None:
    sim.oom(LLAVA)
    async with facing(sim, LLAVA, settled=False, heal_s=6.6 * HOUR_S):
        await asyncio.sleep(HOUR_S)
        assert 3 <= len(sim.history.loads(LLAVA)) <= 12
        sim.load_heals(LLAVA)


async def test_fault_C6_out_of_memory_while_generating(make_sim: Callable[..., Simulator]) -> None:
    sim = make_sim([replace(model, answer_tokens=10**6) for model in default_models()])
    models = (wanted(LLAMA, priority=1), wanted(QWEN, priority=9), wanted(EMBED, priority=5))
    async with facing(sim, *models, heal_s=140) as keeper:
        began = now()
        talking = sim.client(QWEN, prompt="tell me all", tokens=10**5)
        await asyncio.sleep(5)
        sim.runtime_oom()
        await talking
    assert {change.cause for change in keeper.all("model.lost")} == {"memory_sweep"}
    assert len(keeper.notified) <= 1
    assert warms(sim, began) == [QWEN, EMBED, LLAMA]
    assert not sim.history.loads_overlapped()


# --- C7, C8: long and broken loads ------------------------------------------------------------------------------------


async def test_fault_C7_a_load_of_ten_minutes(sim: Simulator) -> None:
    sim.load_time(QWEN, 600)
    async with facing(sim, QWEN, settled=False, heal_s=620) as keeper:
        await asyncio.sleep(300)
        assert keeper.state(QWEN) == "loading"
        assert max(gaps(looks(sim))) <= INTERVAL_S + 1
    assert len(touches(sim, QWEN)) == 1


@pytest.mark.slow
async def test_fault_C7_a_load_that_outlives_every_limit(sim: Simulator) -> None:
    sim.load_time(QWEN, 2_400)
    async with facing(sim, QWEN, LLAMA, settled=False, aborts=1, heal_s=400) as keeper:
        await until(lambda: bool(keeper.all("warm.failed")), limit_s=2_500)
        (aborted,) = sim.history.aborted(who=US)
        assert (aborted.end or 0) - aborted.start >= 1_799.9
        assert keeper.last("warm.failed").reason == "load_timeout"
        assert keeper.all("server.scheduler_hung")
        assert keeper.notified
        assert len(sim.history.loads(QWEN)) == 1
        sim.load_time(QWEN, 4)
        await sim.client(LLAVA, prompt="hi", tokens=1)  # a look changes, so the server is tried again


async def test_fault_C8_a_load_that_another_client_aborts(sim: Simulator) -> None:
    sim.load_time(QWEN, 20)
    async with facing(sim, QWEN, settled=False):
        client = sim.client(QWEN, hang_up_s=6)
        await client
    assert not sim.history.aborted(who=US)
    assert [load.outcome for load in sim.history.loads(who=US)] == ["loaded"]


async def test_fault_C8_a_load_that_our_stop_aborts_is_no_fault_of_the_model(sim: Simulator, tmp_path: Path) -> None:
    sim.load_time(QWEN, 60)
    store = open_store(tmp_path, report=lambda change: None)
    async with facing(sim, QWEN, settled=False, store=store, grace_s=5, aborts=1, ends={QWEN: "loading"}):
        await asyncio.sleep(10)
    store.close(5)
    stopped = now()
    store = open_store(tmp_path, report=lambda change: None)
    async with facing(sim, QWEN, settled=False, store=store, aborts=1, heal_s=80) as keeper:
        pass
    store.close(5)
    assert touches(sim, QWEN)[1].at - stopped < 2
    assert not keeper.all("breaker.opened")


# --- C9 - C12, C15: quarrels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("repair", list(Repair))
async def test_fault_C9_the_gpu_is_lost(make_sim: Callable[..., Simulator], repair: Repair) -> None:
    sim = make_sim(settings=Settings(gpus=1, vram=48 * GIB))
    async with facing(sim, wanted(QWEN, repair=repair), LLAMA, ends={QWEN: "degraded"}, heal_s=30, reloads=1) as keeper:
        sim.gpu_lost()
        sim.unload(QWEN)
        await until(lambda: keeper.state(QWEN) == "degraded")
        fallen = now()
        await asyncio.sleep(HOUR_S - 100)
        assert repair is Repair.RELOAD or keeper.notified == [f"firing degraded {QWEN}"]
    assert len([load for load in sim.history.loads(QWEN, who=US) if load.start > fallen]) <= (repair is Repair.RELOAD)


@pytest.mark.slow
async def test_fault_C9_a_gpu_at_a_tenth_of_its_speed_is_caught_by_a_probe(make_sim: Callable[..., Simulator]) -> None:
    sim = make_sim([replace(model, tokens_per_s=0.05) for model in default_models()])
    probed = wanted(QWEN, probe_every_s=600.0, probe_slow_after_s=10.0)
    async with facing(sim, probed, probes=12) as keeper:
        await asyncio.sleep(HOUR_S)
        assert keeper.all("model.slow")
    assert len(sim.history.loads()) == 1


@pytest.mark.slow
async def test_fault_C10_ping_pong(sim: Simulator) -> None:
    sim.max_loaded(1)
    models = (wanted(LLAMA, priority=1), wanted(QWEN, priority=9))
    async with facing(sim, *models, settled=False, ends={LLAMA: "contended"}) as keeper:
        await asyncio.sleep(HOUR_S)
        contended = keeper.last("model.contended")
        assert contended.with_ == QWEN
        assert contended.size_bytes
        assert contended.with_size_bytes
        assert keeper.notified == [f"firing contended {LLAMA}"]
        assert "does not fit beside" in keeper.services["webhook"].taken[0].text
    assert len(keeper.all("model.lost")) <= 3
    assert len(keeper.all("model.contended")) == 1
    assert max(load.start for load in sim.history.loads()) < 600


async def test_fault_C11_a_client_shortens_the_pin(sim: Simulator) -> None:
    async with facing(sim, QWEN, heal_s=100):
        began = now()
        for _ in range(20):
            await sim.client(QWEN, prompt="hi", tokens=20, keep_alive=300)
            await asyncio.sleep(20)
    pins = since(began, keeping_requests(sim.history))
    assert pins
    assert min(gaps(pins), default=60) >= 60
    others = [one for one in sim.history.requests() if one.tokens]
    assert not any(one.at < pin.at < (one.ended or 0) for pin in pins for one in others)
    assert len(sim.history.loads()) == 1


async def test_fault_C11_a_client_unloads_it(sim: Simulator) -> None:
    async with facing(sim, QWEN, heal_s=100):
        await sim.client(QWEN, keep_alive=0)
        unloaded = now()
        await asyncio.sleep(30)
    assert since(unloaded, keeping_requests(sim.history))[0].at - unloaded >= 60


async def test_fault_C12_clients_with_different_contexts(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=600) as keeper:
        began = now()
        for number in range(60):
            await sim.client(QWEN, prompt="hi", tokens=3, num_ctx=(8_192, 32_768)[number % 2])
            await asyncio.sleep(37)
        assert keeper.events("model.reloaded")
        assert keeper.notified == [f"firing options_disagree {QWEN}"]
        assert "8192 and 32768" in keeper.services["webhook"].taken[0].text
    contexts = {8_192, 32_768, 4_096}
    ours_now = since(began, touches(sim, QWEN))
    assert all(options_of(one).keys() <= {"num_ctx"} for one in ours_now)
    assert {options_of(one).get("num_ctx", 4_096) for one in ours_now} <= contexts
    assert sim.history.reloads(who=US) == []


# --- C13, C18: what hangs ---------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_fault_C13_stuck_stopping_under_a_ping_of_ours(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=60) as keeper:
        sim.wedge(QWEN)
        await until(lambda: keeper.daemon.servers[0].memory.opened(QWEN) is not None, limit_s=400)
        sim.never_idle(QWEN)
        sim.unload(QWEN)
        began = now()
        await until(lambda: keeper.state(QWEN) == "stuck", limit_s=400)
        await asyncio.sleep(900)
        assert warms(sim, began) == []
        assert len(keeper.all("model.stuck")) == 1
        assert keeper.notified == [f"firing stuck {QWEN}"]
        assert keeper.state(LLAMA) == "ready"
        sim.restart()


async def test_fault_C13_stuck_stopping_while_nothing_of_ours_is_open(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=60) as keeper:
        sim.stuck(QWEN)
        began = now()
        await asyncio.sleep(900)
        assert touches(sim, QWEN)[1:] == []
        assert warms(sim, began) == []
        assert keeper.state(LLAMA) == "ready"
        sim.restart()


async def test_fault_C13_a_long_generation_is_not_stuck(make_sim: Callable[..., Simulator]) -> None:
    sim = make_sim([replace(model, answer_tokens=10**6) for model in default_models()])
    async with facing(sim, QWEN) as keeper:
        busy = sim.client(QWEN, prompt="tell me all", tokens=40 * 1_200)
        await busy
    assert not keeper.all("model.stuck")
    assert keeper.notified == []


async def test_fault_C14_restarted_as_another_version(sim: Simulator) -> None:
    models = (wanted(LLAMA, priority=1), wanted(QWEN, priority=9), wanted(EMBED, priority=5))
    async with facing(sim, *models, heal_s=40) as keeper:
        began = now()
        sim.restart("0.34.0", down_s=5)
        await asyncio.sleep(6)
    assert len(keeper.all("server.restarted")) == 1
    restarted = keeper.last("server.restarted")
    assert (restarted.version_before, restarted.version) == ("0.33.0", "0.34.0")
    assert warms(sim, began) == [QWEN, EMBED, LLAMA]
    assert not sim.history.loads_overlapped()
    assert keeper.notified == []


@pytest.mark.slow
async def test_fault_C15_fewer_may_be_loaded_than_are_pinned(sim: Simulator) -> None:
    sim.max_loaded(2)
    models = (wanted(LLAMA, priority=1), wanted(QWEN, priority=9), wanted(EMBED, priority=5))
    async with facing(sim, *models, settled=False, ends={LLAMA: "contended"}) as keeper:
        await asyncio.sleep(HOUR_S)
        assert sim.is_resident(QWEN)
        assert sim.is_resident(EMBED)
        assert keeper.notified == [f"firing contended {LLAMA}"]
    assert len(keeper.all("model.lost")) <= 3
    assert max(load.start for load in sim.history.loads()) < 600


async def test_fault_C16_embedder_cloud_and_image_model(make_sim: Callable[..., Simulator]) -> None:
    image = make_model("flux:1b", kind=Kind.IMAGE)
    cloud = replace(make_model("gpt-oss:120b-cloud", kind=Kind.CLOUD), remote_model="gpt-oss:120b")
    sim = make_sim([*default_models(), image, cloud])
    refused = {"flux:1b": "refused", "gpt-oss:120b-cloud": "refused"}
    async with facing(sim, EMBED, *refused, settled=False, ends=refused) as keeper:
        await asyncio.sleep(HOUR_S)
        assert {change.reason for change in keeper.all("model.refused")} == {"image_model", "cloud_model"}
    assert {one.path for one in touches(sim, EMBED)} == {"/api/embed"}
    assert not any(touches(sim, model) for model in refused)
    assert all(one.status == 200 for one in ours(sim.history))


async def test_fault_C17_model_files_on_a_lost_disk(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=1_000) as keeper:
        sim.load_error(LLAMA, text="open /models/blobs: input/output error", after_s=20)
        sim.unload(LLAMA)
        await until(lambda: bool(keeper.all("breaker.opened")), limit_s=600)
        opened, failed = now(), len(sim.history.loads(LLAMA, who=US)) - 1
        assert failed == 3
        await asyncio.sleep(260)
        assert [load for load in sim.history.loads(LLAMA) if load.start > opened] == []
        assert keeper.state(QWEN) == "ready"
        sim.load_heals(LLAMA)


async def test_fault_C18_a_guest_that_is_never_idle_starves_our_load(sim: Simulator) -> None:
    sim.max_loaded(1)
    async with facing(sim, QWEN, heal_s=90) as keeper:
        began = now()
        await sim.client(LLAVA, prompt="hi", tokens=3)
        await asyncio.sleep(1)
        sim.never_idle(LLAVA)
        await until(lambda: bool(warms(sim, began)), limit_s=400)
        hung = await until(lambda: bool(keeper.all("server.scheduler_hung")), limit_s=2_000)
        assert hung >= 600 - INTERVAL_S
        await asyncio.sleep(300)
        assert warms(sim, began) == [QWEN]
        assert len(keeper.all("server.scheduler_hung")) == 1
        assert keeper.notified == [f"firing scheduler_hung {HOST}"]
        sim.restart()


async def test_fault_C18_a_condemned_model_that_never_goes(sim: Simulator) -> None:
    async with facing(sim, QWEN, LLAMA, heal_s=90) as keeper:
        sim.unload(LLAMA)
        await gone(sim, LLAMA)
        began = now()
        sim.deadlock()
        await until(lambda: bool(keeper.all("server.scheduler_hung")), limit_s=2_500)
        await asyncio.sleep(600)
        assert keeper.notified == [f"firing scheduler_hung {HOST}"]
        assert warms(sim, began) == [LLAMA]
        sim.restart()


async def test_fault_C18_a_hung_scheduler_is_freed_once_if_asked(sim: Simulator) -> None:
    async with facing(sim, wanted(QWEN, repair=Repair.RELOAD), LLAMA, heal_s=90) as keeper:
        sim.unload(LLAMA)
        await gone(sim, LLAMA)
        sim.deadlock()
        await until(lambda: bool(keeper.all("server.scheduler_hung")), limit_s=2_500)
    assert len(sim.history.unloads(by=US)) <= 1
