"""FAULTS 9: alerts and the services they are sent to."""

import asyncio
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ollama_keeper.core.alert_rules import FOR_S, Rules
from ollama_keeper.core.reasons import Alert
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import make_model
from ollama_keeper.web.app import Reckoned, web_app
from ollama_keeper.web.hosts import Hosts
from tests.faults.scenes import INTERVAL_S, LLAMA, QWEN, looks, now
from tests.kit.checks import gaps
from tests.kit.hooked import Hook
from tests.kit.keeper import HOST, Keeper, until, wanted
from tests.kit.ordeal import address, facing
from tests.kit.proc import World, free_port, wait_for
from tests.kit.receiver import receiving
from tests.kit.services import TOKEN, Remembered, arrived, said
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock

QUICK = Rules({**FOR_S, Alert.MODEL_LOST: 20.0})
HOUR_S = 3_600.0
HEAL_S = 60.0


async def away(sim: Simulator, seconds: float) -> None:
    """The server is gone for so long."""
    sim.stop()
    await asyncio.sleep(seconds)
    sim.start()


@pytest.mark.slow
async def test_fault_F1_the_endpoint_is_down_for_eight_hours(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path)
    async with facing(sim, QWEN, heal_s=HEAL_S, **hook.given) as keeper:
        began = now()
        hook.service.down = True
        await away(sim, 600)
        await asyncio.sleep(8 * HOUR_S)
        assert max(gaps(looks(sim, began + 700))) <= INTERVAL_S + 1
        hook.service.down = False
        came = now()
        await until(lambda: bool(hook.service.taken), limit_s=301)
        await asyncio.sleep(HOUR_S)
    assert hook.told == [f"resolved server_down {HOST}"]
    assert hook.times()[0] <= came + 301
    assert keeper.events("notification") == ["notification.delayed", "notification.sent"]


@pytest.mark.slow
async def test_fault_F1_given_up_after_a_day(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path)
    async with facing(sim, QWEN, **hook.given) as keeper:
        hook.service.down = True
        await away(sim, 600)
        await asyncio.sleep(25 * HOUR_S)
    assert keeper.events("notification")[:2] == ["notification.delayed", "notification.failed"]


@pytest.mark.parametrize("how", ["slow", "hangs"])
async def test_fault_F2_an_endpoint_that_hangs_delays_no_other(sim: Simulator, tmp_path: Path, how: str) -> None:
    hook = Hook(tmp_path, ("webhook", "feishu"))
    async with facing(sim, QWEN, **hook.given) as keeper:
        began = now()
        hook.service.delay_s, hook.service.hangs = (30.0, False) if how == "slow" else (0.0, True)
        await away(sim, HOUR_S)
        assert len(hook.services["feishu"].taken) == 1
        assert hook.services["feishu"].taken[0].at <= began + 34 + 90 + 20
        stopping = now()
    assert now() - stopping <= 200
    asked = next(at for at, change in keeper.recorder.changes if change.event == "keeper.stopping")
    ended = next(at for at, change in keeper.recorder.changes if change.event == "keeper.stopped")
    assert (ended - asked).total_seconds() <= 1.0


REFUSALS = {
    "code": (200, {}, b'{"code": 19024, "msg": "Key Words Not Found"}'),
    "errcode": said(310000, "keywords not in content"),
    "text": (200, {}, b"invalid token"),
    "html": (200, {"content-type": "text/html"}, b"<!doctype html><html>log in</html>"),
}


@pytest.mark.parametrize("kind", ["feishu", "wecom", "dingtalk"])
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_fault_F3_200_is_no_delivery(sim: Simulator, tmp_path: Path, kind: str, refusal: str) -> None:
    hook = Hook(tmp_path, (kind,))
    async with facing(sim, QWEN, **hook.given) as keeper:
        hook.service.always = REFUSALS[refusal]
        await away(sim, 600)
        await asyncio.sleep(600)
        (sink,) = keeper.alerts.sinks
        assert sum(sink.failures.values()) == len(hook.service.asked)
        assert {reason.value for reason in sink.failures} <= {"rejected", "auth"}
        assert min(gaps(hook.service.asked)) >= 59.9  # type: ignore[arg-type]
        assert not keeper.all("notification.sent")
        hook.service.always = None
        await until(lambda: bool(hook.service.taken), limit_s=301)
    assert keeper.all("notification.sent")


async def test_fault_F4_429_is_obeyed_and_merged(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path, rules=QUICK)
    async with facing(sim, QWEN, LLAMA, **hook.given):
        hook.service.replies = [(429, {"retry-after": "900"}, b"")]
        sim.load_error(QWEN)
        sim.unload(QWEN)
        await until(lambda: bool(hook.service.asked), limit_s=600)
        asked = hook.service.asked[0].at
        sim.load_error(LLAMA)
        sim.unload(LLAMA)
        await asyncio.sleep(880)
        assert len(hook.service.asked) == 1
        sim.load_heals(QWEN)
        sim.load_heals(LLAMA)
        await asyncio.sleep(60)
        assert len(hook.service.taken) == 1
        assert hook.service.taken[0].at - asked >= 900
        await asyncio.sleep(2 * HOUR_S)
    assert {alert["labels"]["model"] for alert in arrived(hook.services)} == {QWEN, LLAMA}


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_fault_F5_a_revoked_url_is_given_up_at_once_and_told_elsewhere(
    sim: Simulator, tmp_path: Path, status: int
) -> None:
    hook = Hook(tmp_path, ("webhook", "wecom"))
    async with facing(sim, QWEN, **hook.given) as keeper:
        hook.service.always = (status, {}, b"gone")
        await away(sim, 300)
        await asyncio.sleep(30)
        assert len(hook.service.asked) == 1
        assert keeper.last("notification.failed").reason == "client_error"
        told = await readiness(keeper)
        assert (told["ready"], told["failing_sinks"]) == (True, [{"sink": "webhook", "reason": "client_error"}])
        await asyncio.sleep(300)
    assert any("webhook" in one.text for one in hook.services["wecom"].taken)


async def readiness(keeper: Keeper) -> Any:
    """What `/readyz` tells."""
    app: Any = web_app(
        lambda: [server.memory for server in keeper.daemon.servers],
        LoopClock().now,
        Hosts("127.0.0.1"),
        reckoned=Reckoned(voice=keeper.alerts),
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as web:
        return (await web.get("/readyz")).json()


@pytest.mark.slow
async def test_fault_F6_a_storm_is_a_few_messages_with_a_count(sim: Simulator, tmp_path: Path) -> None:
    models = [f"model-{number}:1b" for number in range(60)]
    hook = Hook(tmp_path, ("wecom",), rules=QUICK)
    sim.store(*(make_model(name) for name in models))
    sim.memory(10**15)
    sim.max_loaded(1_000)
    async with facing(sim, *models, heal_s=1_200, **hook.given) as keeper:
        began = now()
        sim.load_error(models[0])
        sim.unload_all()
        await asyncio.sleep(600)
        for name in models:
            sim.load_heals(name)
    sent = [one for one in hook.service.taken if one.at >= began]
    assert len(sent) <= 1 + (sent[-1].at - sent[0].at) / 60
    assert all(one.text.encode().__len__() <= 5_000 for one in sent)
    assert keeper.all("alert.firing")


async def test_fault_F7_a_flapping_model_is_one_alert(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path)
    async with facing(sim, QWEN, **hook.given):
        for _ in range(90):
            sim.unload(QWEN)
            await asyncio.sleep(12)
            await sim.client(QWEN, keep_alive=-1)
            await asyncio.sleep(8)
        assert hook.told == [f"firing model_lost {QWEN}"]
        assert "times" in hook.service.taken[0].text
        await asyncio.sleep(600)
    assert hook.told == [f"firing model_lost {QWEN}", f"resolved model_lost {QWEN}"]


# --- F8: restarts -----------------------------------------------------------------------------------------------------


async def test_fault_F8_killed_in_mid_alert(sim: Simulator, tmp_path: Path) -> None:
    hook, notes = Hook(tmp_path), Remembered()
    await killed_after(sim, hook, notes, lambda: hook.told == [f"firing server_down {HOST}"])
    async with facing(sim, QWEN, settled=False, notes=notes, **hook.given):
        await asyncio.sleep(120)
        sim.start()
        await asyncio.sleep(200)
    assert hook.told == [f"firing server_down {HOST}", f"resolved server_down {HOST}"]


@pytest.mark.parametrize("late_s", [0.0, 5.0, 9.9, 10.1, 30.0])
async def test_fault_F8_killed_at_any_moment_after_it_fired(sim: Simulator, tmp_path: Path, late_s: float) -> None:
    """Duplicates are allowed, one a restart; a loss is not."""
    hook, notes = Hook(tmp_path), Remembered()
    fired: list[float] = []
    await killed_after(sim, hook, notes, lambda: since_firing(notes, fired) >= late_s)
    async with facing(sim, QWEN, settled=False, notes=notes, **hook.given):
        await asyncio.sleep(60)
        assert 1 <= len(hook.told) <= 2
        sim.start()
        await asyncio.sleep(200)
    assert hook.told[-1] == f"resolved server_down {HOST}"


async def test_fault_F8_what_ended_while_the_keeper_was_away_is_told(sim: Simulator, tmp_path: Path) -> None:
    hook, notes = Hook(tmp_path), Remembered()
    await killed_after(sim, hook, notes, lambda: bool(hook.told))
    sim.start()
    await asyncio.sleep(HOUR_S)
    async with facing(sim, QWEN, settled=False, notes=notes, **hook.given):
        await asyncio.sleep(200)
    assert hook.told == [f"firing server_down {HOST}", f"resolved server_down {HOST}"]


async def killed_after(sim: Simulator, hook: Hook, notes: Remembered, true: Callable[[], bool]) -> None:
    """A keeper whose server stops, killed once something holds."""
    keeper = Keeper({address(): (wanted(QWEN),)}, SimTransport(sim), notes=notes, **hook.given)
    keeper.start()
    await until(lambda: keeper.state(QWEN) == "ready")
    sim.stop()
    await until(true, limit_s=600)
    kept = dict(notes.documents)
    await keeper.stop()
    notes.documents = kept


def since_firing(notes: Remembered, fired: list[float]) -> float:
    if not fired and notes.notes("alerts.open."):
        fired.append(now())
    return now() - fired[0] if fired else -1.0


@pytest.mark.process
def test_fault_F8_killed_between_firing_and_sending(world: World) -> None:
    with receiving("webhook") as receiver:
        (world.home / "team-url").write_text(receiver.url)
        config = world.home / "config.yaml"
        config.write_text(
            f"ollama: http://127.0.0.1:{free_port()}\nmodels: [{QWEN}]\ninterval: 1s\nstate_dir: state\n"
            "alerts:\n  for: {server_down: 1s}\n  sinks: [{name: team, type: webhook, url_file: team-url}]\n"
        )
        first = world.run("--config", str(config))
        told = first.until("alert.firing")
        wait_for(lambda: (world.home / "state" / "state.db").is_file() and noted(world.home / "state" / "state.db"))
        first.signal(signal.SIGKILL)
        first.ended()
        assert receiver.service.taken == []
        second = world.run("--config", str(config))
        second.until("notification.sent", limit_s=30)
        assert "alert.firing" not in second.told
        (alert,) = receiver.service.taken[0].document["alerts"]
        assert alert["fingerprint"] == told["fingerprint"]
        second.signal(signal.SIGTERM)
        assert second.ended() == 0
        assert TOKEN not in f"{first.events} {first.errors} {second.events} {second.errors}"


def noted(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT count(*) FROM notes WHERE key LIKE 'alerts.open.%'").fetchone()
    return bool(rows[0])


# --- F9: redirects and inner addresses --------------------------------------------------------------------------------


async def test_fault_F9_a_redirect_is_never_followed(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path, ("webhook", "feishu"))
    inner = hook.services["feishu"]
    hook.settings = replace(hook.settings, sinks=hook.settings.sinks[:1])
    async with facing(sim, QWEN, **hook.given) as keeper:
        hook.service.always = (302, {"location": "https://feishu.test/inner"}, b"")
        await away(sim, 600)
        assert keeper.last("notification.failed").hint == "HTTP 302: it redirects, which is not followed"
    assert inner.asked == []


async def test_fault_F9_a_link_local_address_is_refused(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path)
    hook.settings.sinks[0].url_file.write_text("http://169.254.169.254/latest/meta-data")
    hook.services.services["169"] = hook.service
    async with facing(sim, QWEN, **hook.given) as keeper:
        await away(sim, 600)
        assert "link-local" in keeper.last("notification.failed").hint
    assert hook.service.asked == []
