"""The daemon's whole day on a faithful server: what it sends, what it never sends, and that models come back."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import default_models, make_model
from ollama_keeper.simulator.state import FOREVER, Settings
from ollama_keeper.simulator.versions import Version
from ollama_keeper.store import open_store
from tests.kit.keeper import US, Keeper, did_no_harm, keeping, touches, until, wanted
from tests.kit.transport import SimTransport

QWEN, LLAMA, LLAVA, EMBED = "qwen3:8b", "llama3.2:3b", "llava:13b", "nomic-embed-text"


def resident(sim: Simulator, name: str) -> Any:
    return next((one for one in sim.resident() if one.name.startswith(name)), None)


async def pinned(sim: Simulator, *names: str) -> None:
    await until(
        lambda: all((one := resident(sim, name)) is not None and one.pinned and not one.loading for name in names)
    )
    await asyncio.sleep(0.5)


@pytest.fixture
def talkative() -> Simulator:
    """A server whose models talk as long as they are let."""
    return Simulator([replace(model, answer_tokens=10**6) for model in default_models()])


# --- start ------------------------------------------------------------------------------------------------------------


async def test_absent_models_are_loaded_one_at_a_time_by_rank_and_pinned(sim: Simulator) -> None:
    async with keeping(sim, wanted(LLAMA, priority=1), wanted(QWEN, priority=9), EMBED) as keeper:
        await pinned(sim, QWEN, LLAMA, EMBED)
        assert [load.model for load in sim.history.loads(who=US)] == [f"{EMBED}:latest", QWEN, LLAMA]
        assert keeper.events("model.ready") == ["model.ready"] * 3
        assert keeper.state(QWEN) == "ready"


async def test_an_hour_of_health_is_a_look_an_interval_and_a_ping_each_five_minutes(sim: Simulator) -> None:
    """Acceptance story 2."""
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        began = asyncio.get_running_loop().time()
        told = len(keeper.events())
        await asyncio.sleep(3_600)
        later = [request for request in sim.history.requests(who=US) if request.at > began]
        paths = [request.path for request in later]
        assert 239 <= paths.count("/api/ps") <= 241
        assert 11 <= paths.count("/api/tags") <= 12
        assert 11 <= paths.count("/api/generate") <= 12
        assert set(paths) == {"/api/ps", "/api/tags", "/api/generate"}
        assert all("keep_alive" not in request.body for request in later if request.path == "/api/generate")
        assert len(sim.history.loads(who=US)) == 1
        assert set(keeper.events()[told:]) <= {"keeper.summary", "model.renewed"}


async def test_a_server_that_is_absent_for_an_hour_is_waited_for(sim: Simulator) -> None:
    sim.stop()
    async with keeping(sim, QWEN) as keeper:
        await asyncio.sleep(3_600)
        assert 55 <= len(keeper.events("server.waiting")) <= 61
        sim.start()
        assert await until(lambda: sim.is_resident(QWEN)) < 40
        await asyncio.sleep(0.5)
        assert keeper.events("server")[-1] == "server.up"
        assert "model.lost" not in keeper.events()


async def test_a_model_found_pinned_by_somebody_else_is_sent_nothing_for_an_hour(sim: Simulator) -> None:
    """Acceptance story 8."""
    await sim.client(QWEN, keep_alive=-1, num_ctx=8_192)
    async with keeping(sim, QWEN) as keeper:
        await asyncio.sleep(3_600)
        assert touches(sim, QWEN) == []
        assert len(sim.history.loads(QWEN)) == 1
        assert keeper.state(QWEN) == "ready"


async def test_an_embedder_is_loaded_by_embed_with_empty_input(sim: Simulator) -> None:
    """Acceptance story 9."""
    async with keeping(sim, EMBED):
        await pinned(sim, EMBED)
        await asyncio.sleep(700)
        assert {request.path for request in touches(sim, EMBED)} == {"/api/embed"}
        assert all(request.status == 200 for request in sim.history.requests(who=US))


async def test_a_model_that_is_not_pulled_is_missing_and_is_loaded_when_it_arrives(sim: Simulator) -> None:
    """Acceptance story 15."""
    async with keeping(sim, "gemma3:4b", QWEN) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(600)
        assert keeper.state("gemma3:4b") == "missing"
        assert [change.hint for change in keeper.all("model.missing")] == ["ollama pull gemma3:4b"]
        assert touches(sim, "gemma3:4b") == []
        sim.pull("gemma3:4b")
        assert await until(lambda: sim.is_resident("gemma3:4b")) < 80
        await asyncio.sleep(0.5)


async def test_cloud_models_are_refused_by_name_and_never_asked_for(sim: Simulator) -> None:
    async with keeping(sim, "gpt-oss:120b-cloud", QWEN) as keeper:
        await pinned(sim, QWEN)
        assert keeper.state("gpt-oss:120b-cloud") == "refused"
        assert touches(sim, "gpt-oss:120b-cloud") == []


@pytest.mark.parametrize("spelt", ["QWEN3:8B", "library/qwen3:8b", "registry.ollama.ai/library/qwen3:8b"])
async def test_however_the_name_is_spelt_it_is_one_model(sim: Simulator, spelt: str) -> None:
    """Acceptance story 11."""
    async with keeping(sim, spelt):
        await pinned(sim, QWEN)
        await asyncio.sleep(3_600)
        assert len(sim.history.loads()) == 1


async def test_a_copy_that_is_resident_under_its_other_name_is_not_loaded_in_a_loop(sim: Simulator) -> None:
    sim.alias(QWEN, "copy")
    await sim.client("copy", keep_alive=-1)
    async with keeping(sim, QWEN) as keeper:
        await asyncio.sleep(3_600)
        assert keeper.state(QWEN) == "ready"
        assert len(sim.history.loads()) == 1


async def test_a_variant_of_the_same_weights_that_is_resident_is_recognised_too(sim: Simulator) -> None:
    sim.alias(QWEN, "variant", parameters={"num_ctx": 2_048})
    await sim.client("variant", keep_alive=-1)
    async with keeping(sim, QWEN) as keeper:
        await asyncio.sleep(600)
        assert keeper.state(QWEN) == "ready"
        assert len(sim.history.loads()) == 1


async def test_old_weights_whose_name_has_come_to_mean_ours_are_not_ours(sim: Simulator) -> None:
    await sim.client(LLAMA, keep_alive=-1)
    sim.alias(QWEN, LLAMA)
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        assert keeper.state(QWEN) == "ready"


# --- losses -----------------------------------------------------------------------------------------------------------


async def test_after_a_restart_all_come_back_by_rank_with_one_line_for_the_server(sim: Simulator) -> None:
    """Acceptance story 5."""
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await pinned(sim, QWEN, LLAMA)
        await asyncio.sleep(100)
        sim.restart("0.34.0", down_s=3)
        await asyncio.sleep(4)
        await pinned(sim, QWEN, LLAMA)
        assert keeper.events("server.restarted") == ["server.restarted"]
        assert {change.cause for change in keeper.all("model.lost")} == {"server_restarted"}
        assert [load.model for load in sim.history.loads(who=US)] == [QWEN, LLAMA] * 2
        assert not sim.history.loads_overlapped()


async def test_a_restart_within_one_interval_is_noticed_by_the_closed_connection(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(100)
        sim.restart(down_s=0.2)
        assert await until(lambda: sim.is_resident(QWEN)) < 16 + 4 + 2
        assert keeper.last("model.lost").cause == "server_restarted"


async def test_ollama_stop_is_respected_for_a_minute(sim: Simulator) -> None:
    """Acceptance story 13."""
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(60)
        stopped = asyncio.get_running_loop().time()
        sim.unload(QWEN)
        await until(lambda: not sim.is_resident(QWEN))
        await until(lambda: sim.is_resident(QWEN))
        load = sim.history.loads(QWEN, who=US)[-1]
        noticed = keeper.last("model.lost")
        assert (noticed.cause, noticed.state) == ("unloaded", "cold")
        assert 60 <= load.start - stopped <= 60 + 16 + 2
        await asyncio.sleep(0.5)


async def test_a_lease_is_renewed_and_never_expires(sim: Simulator) -> None:
    async with keeping(sim, wanted(QWEN, lease_s=120.0)) as keeper:
        await until(lambda: sim.is_resident(QWEN))
        await asyncio.sleep(3_600)
        assert len(sim.history.loads()) == 1
        assert "model.lost" not in keeper.events()
        assert not resident(sim, QWEN).pinned


async def test_an_expired_clients_load_is_warmed_at_once(sim: Simulator) -> None:
    await sim.client(EMBED, path="/api/embed", keep_alive="50s", num_ctx=512)
    async with keeping(sim, EMBED) as keeper:
        await until(lambda: bool(keeper.all("model.lost")))
        assert keeper.last("model.lost").cause == "expired"
        assert await until(lambda: sim.is_resident(EMBED)) < 2
        await asyncio.sleep(0.5)


async def test_a_runner_that_died_while_listed_is_found_and_healed_by_the_next_ping(sim: Simulator) -> None:
    async with keeping(sim, QWEN, reloads=1) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(60)
        sim.kill(QWEN)
        assert not sim.is_resident(QWEN)
        assert await until(lambda: sim.is_resident(QWEN)) < 320
        await pinned(sim, QWEN)
        assert keeper.events("model.lost") == []
        assert [(change.by, change.reason) for change in keeper.all("model.reloaded")] == [("keeper", "runner_died")]


async def test_a_displaced_model_returns_once_the_guest_is_idle(sim: Simulator) -> None:
    """Acceptance story 3."""
    sim.max_loaded(1)
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(30)
        for _ in range(10):
            await sim.client(LLAVA, prompt="what is this?", tokens=40)
            await asyncio.sleep(20)
        used = asyncio.get_running_loop().time() - 20
        assert keeper.last("model.lost").displaced_by == LLAVA
        assert keeper.state(QWEN) == "yielding"
        await until(lambda: sim.is_resident(QWEN))
        assert sim.history.loads(QWEN, who=US)[-1].start - used >= 60
        await asyncio.sleep(0.5)


async def test_two_that_cannot_be_together_cost_three_loads_and_then_none(sim: Simulator) -> None:
    """Acceptance story 7."""
    sim.max_loaded(1)
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await asyncio.sleep(1_800)
        assert [load.model for load in sim.history.loads(who=US)] == [QWEN, LLAMA, QWEN]
        assert sim.is_resident(QWEN)
        assert keeper.state(LLAMA) == "contended"
        assert [change.with_ for change in keeper.all("model.contended")] == [QWEN]


# --- clients ----------------------------------------------------------------------------------------------------------


async def test_a_pin_that_a_client_shortened_is_restored_while_the_model_is_idle(sim: Simulator) -> None:
    """Acceptance story 12."""
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await sim.client(QWEN, prompt="hi", tokens=20, keep_alive="5m")
        assert not resident(sim, QWEN).pinned
        await pinned(sim, QWEN)
        assert keeper.events("model.repinned") == ["model.repinned"]
        assert len(sim.history.loads()) == 1


async def test_it_is_never_restored_while_the_model_is_busy(talkative: Simulator) -> None:
    sim = talkative
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await sim.client(QWEN, prompt="hi", tokens=1, keep_alive="5m")
        long = sim.client(QWEN, prompt="tell me all", tokens=40 * 200)
        await asyncio.sleep(190)
        assert keeper.events("model.repinned") == []
        assert sum("keep_alive" in request.body for request in touches(sim, QWEN)) == 1
        await long
        await pinned(sim, QWEN)


async def test_a_keep_alive_never_reaches_a_busy_condemned_model_so_the_scheduler_never_hangs(
    talkative: Simulator,
) -> None:
    """OLLAMA.md 4.1 (#17408): the simulator hangs as Ollama does if a keep_alive arrives then."""
    sim = talkative
    sim.max_loaded(1)
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        for _ in range(6):
            await until(lambda: sim.is_resident(QWEN))
            await sim.client(QWEN, prompt="hi", tokens=1, keep_alive="5m")
            busy = sim.client(QWEN, prompt="a long one", tokens=40 * 45)
            await asyncio.sleep(3)
            guest = sim.client(LLAMA, prompt="hi", tokens=5, keep_alive="10s")
            status, _ = await asyncio.wait_for(guest, 300)
            assert status == 200, "the scheduler hung"
            await busy
            await asyncio.sleep(200)
        assert keeper.events("server.scheduler_hung") == []


async def test_a_busy_machine_on_which_an_end_is_noticed_late_looks_like_no_user(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        sim.ends_late(0.03)
        await sim.client(QWEN, prompt="hi", tokens=3, keep_alive="5m")
        await asyncio.sleep(120)
        assert keeper.events("model.repinned") == ["model.repinned"]


async def test_an_idle_test_whose_last_look_is_slow_shows_nothing(sim: Simulator) -> None:
    """Who came while that look was on its way would get a keep_alive into a running request (OLLAMA.md 4.1)."""
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await sim.client(QWEN, prompt="hi", tokens=3, keep_alive="5m")
        sim.delay("ps", 2.0, times=9)
        await asyncio.sleep(60)
        assert keeper.events("model.repinned") == []
        await asyncio.sleep(120)
        assert keeper.events("model.repinned") == ["model.repinned"]


async def test_a_clients_other_context_is_taken_over_without_a_reload_and_used_for_the_next_warm(
    sim: Simulator,
) -> None:
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await sim.client(QWEN, prompt="hi", tokens=3, num_ctx=8_192)
        assert resident(sim, QWEN).context == 8_192
        await pinned(sim, QWEN)
        assert resident(sim, QWEN).context == 8_192
        assert len(sim.history.reloads(QWEN)) == 1
        sim.unload(QWEN)
        await asyncio.sleep(10)
        await pinned(sim, QWEN)
        assert resident(sim, QWEN).context == 8_192
        assert "model.reloaded" in keeper.events()


@pytest.mark.parametrize("option", [{"num_gpu": 12}, {"num_batch": 128}], ids=["num_gpu", "num_batch"])
async def test_options_that_no_look_shows_cost_two_reloads_at_most_then_the_model_is_left_alone(
    sim: Simulator, option: dict[str, int]
) -> None:
    async with keeping(sim, QWEN, reloads=2):
        await pinned(sim, QWEN)
        for _ in range(24):
            await sim.client(QWEN, prompt="hi", tokens=3, options=option)
            await asyncio.sleep(400)
        assert len(sim.history.reloads(QWEN, who=US)) <= 2


@pytest.mark.parametrize("default", ["-1", "0"])
async def test_a_server_wide_keep_alive_changes_nothing_for_us(default: str) -> None:
    sim = Simulator(settings=Settings(keep_alive=FOREVER if default == "-1" else 0))
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(1_800)
        assert len(sim.history.loads()) == 1
        assert "model.lost" not in keeper.events()


# --- life of the keeper -----------------------------------------------------------------------------------------------


async def test_a_restarted_keeper_goes_on_with_what_it_loaded(sim: Simulator, tmp_path: Path) -> None:
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, wanted(QWEN, context=8_192), store=store):
        await pinned(sim, QWEN)
        await asyncio.sleep(200)
    store.close(5)
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, wanted(QWEN, context=8_192), store=store) as keeper:
        await asyncio.sleep(400)
        assert [change.by for change in keeper.all("model.ready")] == ["found"]
    store.close(5)
    assert len(sim.history.loads()) == 1
    pings = [request.at for request in touches(sim, QWEN)]
    assert max(later - earlier for earlier, later in pairwise(pings)) < 320
    assert touches(sim, QWEN)[-1].body["options"] == {"num_ctx": 8_192}


async def test_a_load_of_ten_minutes_is_one_request_not_aborted_and_not_doubled(sim: Simulator) -> None:
    """Acceptance story 6."""
    sim.load_time(QWEN, 600)
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await until(lambda: sim.is_resident(QWEN))
        await pinned(sim, LLAMA)
        assert len(sim.history.loads(QWEN)) == 1
        assert keeper.all("model.ready")[0].cold_start is True
        assert sim.history.most_open("/api/generate", who=US) == 1


async def test_a_stop_during_a_short_load_lets_it_end(sim: Simulator) -> None:
    sim.load_time(QWEN, 10)
    async with keeping(sim, QWEN) as keeper:
        await asyncio.sleep(3)
    assert sim.is_resident(QWEN)
    assert keeper.last("keeper.stopped").loads_abandoned == 0


async def test_a_stop_during_a_long_load_ends_it_after_the_grace_and_says_so(sim: Simulator) -> None:
    sim.load_time(QWEN, 300)
    async with keeping(sim, QWEN, aborts=1) as keeper:
        await asyncio.sleep(3)
    assert keeper.last("keeper.stopped").loads_abandoned == 1
    assert asyncio.get_running_loop().time() < 30


async def test_a_load_older_than_its_limit_is_given_up_and_not_repeated_until_something_changes(sim: Simulator) -> None:
    sim.load_time(QWEN, 4_000)
    async with keeping(sim, wanted(QWEN, load_timeout_s=600.0), aborts=1) as keeper:
        await asyncio.sleep(3_000)
        assert keeper.last("warm.failed").reason == "load_timeout"
        assert len(sim.history.loads(QWEN)) == 1


async def test_a_dead_server_does_not_delay_the_looks_at_the_others() -> None:
    sims = {f"10.0.0.{number}:11434": Simulator() for number in range(1, 6)}
    network = SimTransport(sims)
    dead = "10.0.0.3:11434"
    network.link(dead).swallowed = True
    names = [f"model{number}" for number in range(10)]
    for sim in sims.values():
        sim.store(*(make_model(name, load_s=1.0, size=10**8) for name in names))
        sim.max_loaded(20)
    keeper = Keeper({host: tuple(wanted(name) for name in names) for host in sims}, network)
    keeper.start()
    await asyncio.sleep(600)
    for host, sim in sims.items():
        looks = [request.at for request in sim.history.requests("/api/ps", who=US)]
        if host == dead:
            assert looks == []
            continue
        assert all(sim.is_resident(name) for name in names)
        assert max(later - earlier for earlier, later in pairwise(looks)) <= 15.1
        did_no_harm(sim)
    await keeper.stop()


async def test_an_old_server_that_goes_away_is_asked_again_and_again_and_comes_back() -> None:
    """Below 0.32.4 looks are 30 s apart, but not those of a server that is down."""
    sim = Simulator(settings=Settings(version=Version("0.24.0")))
    async with keeping(sim, QWEN) as keeper:
        await pinned(sim, QWEN)
        await asyncio.sleep(100)
        sim.restart(down_s=120)
        await asyncio.sleep(125)
        assert "server.down" in keeper.events()
        assert await until(lambda: sim.is_resident(QWEN)) < 30 + 4
        await asyncio.sleep(1)
