"""The status surface over the real daemon, on a simulated server in virtual time."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest

from ollama_keeper.simulator import Simulator
from ollama_keeper.web.app import Reckoned, web_app
from ollama_keeper.web.hosts import Hosts
from tests.component.test_keeping import LLAMA, QWEN, pinned
from tests.component.test_reload import settled
from tests.kit.keeper import Keeper, keeping, until, wanted
from tests.kit.virtual import LoopClock


def surface(keeper: Keeper, *, base_url: str = "http://127.0.0.1:11480") -> httpx.AsyncClient:
    app: Any = web_app(
        lambda: [server.memory for server in keeper.daemon.servers],
        LoopClock().now,
        Hosts("127.0.0.1", ["keeper.test"]),
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url)


async def test_readyz_is_503_with_the_reason_until_the_required_models_are_ready(sim: Simulator) -> None:
    """Acceptance story 10."""
    sim.load_time(QWEN, 60)
    async with keeping(sim, QWEN, wanted(LLAMA, required=False)) as keeper, surface(keeper) as web:
        await asyncio.sleep(10)
        answer = await web.get("/readyz")
        assert answer.status_code == 503
        (unready,) = answer.json()["unready"]
        assert (unready["model"], unready["state"], unready["reason"]) == (QWEN, "loading", "first_seen")
        assert 9 <= unready["age_s"] <= 10
        assert (await web.get("/livez")).status_code == 200
        await pinned(sim, QWEN)
        assert (await web.get("/readyz")).status_code == 200
        assert (await web.get(f"/readyz/{LLAMA}")).status_code == 503
        await settled(sim, keeper, LLAMA)
        assert (await web.get(f"/readyz/library/{LLAMA}")).json() == {"ready": True, "unready": []}


async def test_a_dead_server_is_not_ready_and_the_keeper_is_live(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        await settled(sim, keeper, QWEN)
        sim.stop()
        await until(lambda: keeper.state(QWEN) == "unknown")
        assert (await web.get("/livez")).status_code == 200
        (unready,) = (await web.get("/readyz")).json()["unready"]
        assert unready["reason"] == "server_down"


async def test_status_is_what_the_server_truly_has(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        await settled(sim, keeper, QWEN)
        document = (await web.get("/status")).json()
        assert document["version"] == 1
        (row,) = document["models"]
        (truth,) = sim.resident()
        assert (row["model"], row["resident"], row["until"]) == (QWEN, True, "forever")
        assert row["context_length"] == truth.context
        assert row["next"] == "ping"
        keeper.daemon.pause((), by="root", for_s=600, note=None, unload=False)
        assert (await web.get("/status")).json()["models"][0]["state"] == "paused"


async def test_status_tells_what_share_of_the_time_a_model_was_warm(sim: Simulator) -> None:
    @dataclass
    class Shares:
        day: float | None
        month: float | None

    async with keeping(sim, QWEN) as keeper:
        await settled(sim, keeper, QWEN)
        asked: list[tuple[str, str]] = []

        def shares(server: str, model: str, now: datetime) -> Shares:
            asked.append((server, model))
            return Shares(0.98765432, None)

        memories = [server.memory for server in keeper.daemon.servers]
        app: Any = web_app(lambda: memories, LoopClock().now, Hosts("127.0.0.1"), reckoned=Reckoned(shares))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as web:
            (row,) = (await web.get("/status")).json()["models"]
        assert (row["warm_day"], row["warm_month"]) == (0.98765, None)
        assert asked == [(memories[0].server, QWEN)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/readyz/nope", 404, id="a-model-that-is-not-kept"),
        pytest.param("/readyz/..%2f..%2fetc%2fpasswd", 404, id="a-path-that-climbs"),
        pytest.param("/readyz/" + "x" * 10_000, 404, id="a-name-of-10-kilobytes"),
        pytest.param("/readyz/%3Cscript%3E", 404, id="a-name-with-markup"),
        pytest.param("/nothing", 404, id="an-unknown-route"),
    ],
)
async def test_what_is_not_there_is_404_and_tells_nothing_back(sim: Simulator, path: str, status: int) -> None:
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        answer = await web.get(path)
        assert answer.status_code == status
        assert "<script" not in answer.text
        assert len(answer.text) < 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_changed_over_it(sim: Simulator, method: str) -> None:
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        answer = await web.request(method, "/status")
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:11480", True),
        ("localhost:11480", True),
        ("[::1]:11480", True),
        ("keeper.test", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
async def test_only_known_hosts_are_answered(sim: Simulator, host: str, *, allowed: bool) -> None:
    """DNS rebinding (OPERATIONS 7)."""
    async with keeping(sim, QWEN) as keeper, surface(keeper) as web:
        answer = await web.get("/status", headers={"host": host})
        assert answer.status_code == (200 if allowed else 403)
        assert answer.headers["x-content-type-options"] == "nosniff"
