"""Metrics of the real daemon on a simulated server, in virtual time: what they tell is what the server truly did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ollama_keeper.report.metrics.counted import Counted
from ollama_keeper.report.metrics.sources import Sources
from ollama_keeper.simulator import Simulator
from ollama_keeper.web.app import web_app
from ollama_keeper.web.hosts import Hosts
from ollama_keeper.web.metrics import metrics_route
from tests.component.test_keeping import LLAMA, QWEN, pinned
from tests.component.test_reload import settled
from tests.kit.keeper import US, Keeper, keeping, until, wanted
from tests.kit.metrics import OPENMETRICS, Page, exposition, read
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock


class Scraped:
    """A daemon, and its page as it is at the moment."""

    def __init__(self, keeper: Keeper, counted: Counted) -> None:
        self.keeper = keeper
        self.counted = counted
        self._made = exposition(keeper.daemon, counted, LoopClock().now, voice=keeper.alerts)

    async def page(self) -> Page:
        return await read(self._made)


@asynccontextmanager
async def scraped(sim: Simulator, *policies: Any, **given: Any) -> AsyncIterator[Scraped]:
    counted = Counted(LoopClock().now())
    async with keeping(sim, *policies, consumers=(counted,), watchers=(counted,), **given) as keeper:
        yield Scraped(keeper, counted)


async def test_an_hour_of_health_counts_what_the_server_was_sent(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        await pinned(sim, QWEN)
        await asyncio.sleep(3_600)
        told = await daemon.page()
        history = sim.history
        assert told.one("looks_total") == len(history.requests("/api/ps", who=US))
        loads = len(history.requests("/api/generate", who=US))
        assert told.one("pings_total") + sum(told.of("warms_total")) == loads
        assert told.of("look_failures_total") == []
        assert told.one("look_duration_seconds_count") == told.one("looks_total")
        assert told.one("model_wanted_seconds_total") - told.one("model_warm_seconds_total") <= 20
        assert told.one("model_warm_seconds_total") >= 3_590
        assert (told.one("schedule_lag_seconds_bucket", le="0.001"), told.one("schedule_missed_total")) == (240, 0)
        assert (told.one("event_loop_lag_seconds"), told.of("clock_jumps_total")) == (0, [0, 0])
        assert (told.one("config_last_reload_successful"), told.one("config_reloads_total")) == (1, 0)


async def test_residency_and_sizes_are_the_servers_own(sim: Simulator) -> None:
    async with scraped(sim, QWEN, LLAMA) as daemon:
        await settled(sim, daemon.keeper, QWEN, LLAMA)
        told = await daemon.page()
        async with sim_client(sim) as client:
            truth = {one["name"]: one for one in (await client.get("/api/ps")).json()["models"]}
        for model in (QWEN, LLAMA):
            assert told.one("model_resident", model=model) == sim.is_resident(model)
            assert told.one("model_size_bytes", model=model) == truth[model]["size"]
            assert told.one("model_vram_bytes", model=model) == truth[model]["size_vram"]
            assert told.one("model_state", model=model, state="ready") == 1


async def test_a_restart_is_a_loss_a_warm_and_an_outage(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        await settled(sim, daemon.keeper, QWEN)
        sim.restart(down_s=1.0)
        await until(lambda: daemon.keeper.state(QWEN) != "ready")
        away = await daemon.page()
        assert (away.one("model_resident"), away.one("model_wanted")) == (0, 1)
        await settled(sim, daemon.keeper, QWEN)
        told = await daemon.page()
        lost = daemon.keeper.last("model.lost")
        assert told.one("model_losses_total", cause=lost.cause.value) == 1
        assert told.one("warms_total", cause="first_seen") == told.one("warms_total", cause=lost.cause.value) == 1
        ready = daemon.keeper.last("model.ready")
        assert told.one("outage_duration_seconds_sum") == pytest.approx(ready.outage_s)
        assert told.one("load_duration_seconds_count") == len(sim.history.loads(who=US)) == 2


async def test_a_dead_server_is_down_for_its_models_and_not_a_loss(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        await settled(sim, daemon.keeper, QWEN)
        sim.stop()
        await until(lambda: daemon.keeper.state(QWEN) == "unknown")
        before = await daemon.page()
        await asyncio.sleep(600)
        told = await daemon.page()
        assert (told.one("server_up"), told.one("server_state", state="down")) == (0, 1)
        assert (told.one("model_resident"), told.one("model_state", state="unknown")) == (0, 1)
        assert told.of("model_losses_total") == []
        assert told.one("look_failures_total", reason="unreachable") > 20
        assert told.one("looks_total") == len(sim.history.requests("/api/ps", who=US)) + 1  # the one that was refused
        away_s = told.one("model_wanted_seconds_total") - before.one("model_wanted_seconds_total")
        assert away_s == pytest.approx(600, abs=5)
        assert told.one("model_warm_seconds_total") == before.one("model_warm_seconds_total")
        assert told.one("alerts_firing", alert="server_down") == 1


async def test_a_failed_load_is_counted_and_its_breaker_told(sim: Simulator) -> None:
    sim.load_error(QWEN)
    async with scraped(sim, QWEN) as daemon:
        await until(lambda: daemon.keeper.events("breaker.opened") != [])
        told = await daemon.page()
        failed = daemon.keeper.all("warm.failed")
        assert sum(told.of("warm_failures_total")) == len(failed) == 3
        assert told.labels("warm_failures_total")[0]["reason"] == failed[0].reason.value
        assert told.one("breaker_open") == 1
        assert told.one("model_warm_seconds_total") == 0


async def test_a_load_that_is_open_is_in_flight(sim: Simulator) -> None:
    sim.load_time(QWEN, 60)
    async with scraped(sim, QWEN) as daemon:
        await asyncio.sleep(31)
        told = await daemon.page()
        assert told.one("loads_in_flight") == 1
        assert 30 <= told.one("load_age_seconds") <= 31
        await settled(sim, daemon.keeper, QWEN)
        assert (await daemon.page()).one("loads_in_flight") == 0


async def test_a_pause_stops_the_time_that_counts(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        await settled(sim, daemon.keeper, QWEN)
        daemon.keeper.daemon.pause((), by="root", for_s=600, note=None, unload=False)
        await asyncio.sleep(10)
        before = await daemon.page()
        await asyncio.sleep(500)
        told = await daemon.page()
        assert told.one("model_wanted") == 0
        assert told.one("model_wanted_seconds_total") == before.one("model_wanted_seconds_total")


async def test_a_model_that_is_taken_out_vanishes_with_its_counts(sim: Simulator) -> None:
    async with scraped(sim, QWEN, LLAMA) as daemon:
        await settled(sim, daemon.keeper, QWEN, LLAMA)
        (server,) = daemon.keeper.daemon.servers
        await daemon.keeper.reload({server.memory.server: (wanted(QWEN),)})
        assert {labels["model"] for labels in (await daemon.page()).labels("model_wanted")} == {QWEN}
        await until(lambda: (server.memory.server, LLAMA) not in daemon.counted.models)
        assert (await daemon.page()).one("config_reloads_total") == 1


async def test_a_scrape_asks_the_server_nothing(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon:
        await settled(sim, daemon.keeper, QWEN)
        before = len(sim.history.requests(who=US))
        for _ in range(100):
            await daemon.page()
        assert len(sim.history.requests(who=US)) == before


# --- over HTTP --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def over_http(daemon: Scraped) -> AsyncIterator[httpx.AsyncClient]:
    now = LoopClock().now
    route = metrics_route(daemon.keeper.daemon, Sources(daemon.counted, lambda: 0), now)
    app: Any = web_app(list, now, Hosts("127.0.0.1"), more=[route])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:11480") as client:
        yield client


def sim_client(sim: Simulator) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=SimTransport(sim), base_url="http://127.0.0.1:11434")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
    ids=["anything", "prometheus"],
)
async def test_the_route_answers_in_the_format_asked_for(sim: Simulator, accept: str, content_type: str) -> None:
    async with scraped(sim, QWEN) as daemon, over_http(daemon) as client:
        answer = await client.get("/metrics", headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
        assert answer.headers["cache-control"] == "no-store"
        assert Page(answer.text, openmetrics="openmetrics" in content_type).one("model_wanted") == 1


async def test_the_route_only_reads_and_knows_its_hosts(sim: Simulator) -> None:
    async with scraped(sim, QWEN) as daemon, over_http(daemon) as client:
        assert (await client.post("/metrics")).status_code == 405
        assert (await client.get("/metrics", headers={"host": "evil.example"})).status_code == 403
        assert (await client.get("/metrics", headers={"accept": "application/openmetrics-text;version=x"})).is_success
