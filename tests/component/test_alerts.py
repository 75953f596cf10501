"""Alerts of the whole daemon: heartbeat, reloads, and what reaches whom."""

import asyncio
from dataclasses import replace
from pathlib import Path

from ollama_keeper.config.effective import AlertSettings
from ollama_keeper.core.alert_rules import FOR_S, Rules
from ollama_keeper.core.reasons import Alert
from ollama_keeper.simulator import Simulator
from tests.kit.hooked import Hook
from tests.kit.keeper import HOST, keeping, until
from tests.kit.services import Service, Services, made

QWEN, LLAMA = "qwen3:8b", "llama3.2:3b"


async def test_the_heartbeat_beats_only_while_all_is_well(sim: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "beat-url"
    file.write_text("https://beat.test/ping/hunter2\n")
    beat = made("webhook")
    settings = AlertSettings(heartbeat_url_file=file, heartbeat_every_s=60.0)
    async with keeping(sim, QWEN, alerts=settings, services=Services(beat=beat)):
        await asyncio.sleep(600)
        assert 9 <= len(beat.beats) <= 10
        sim.stop()
        await asyncio.sleep(60)
        stopped = len(beat.beats)
        await asyncio.sleep(600)
        assert len(beat.beats) == stopped
        sim.start()
        await until(lambda: len(beat.beats) > stopped, limit_s=200)


async def test_a_heartbeat_that_fails_is_told_once(sim: Simulator, tmp_path: Path) -> None:
    file = tmp_path / "beat-url"
    file.write_text("https://beat.test/ping/hunter2\n")
    settings = AlertSettings(heartbeat_url_file=file, heartbeat_every_s=60.0)
    beat = Service(made("webhook").check, always=(404, {}, b"no hunter2"))
    async with keeping(sim, QWEN, alerts=settings, services=Services(beat=beat)) as keeper:
        await asyncio.sleep(600)
        (told,) = keeper.all("notification.delayed")
        assert (told.sink, told.reason) == ("heartbeat", "client_error")
        assert "hunter2" not in (told.hint or "")


async def test_one_message_for_a_server_with_many_models_and_one_when_it_is_back(
    sim: Simulator, tmp_path: Path
) -> None:
    hook = Hook(tmp_path)
    async with keeping(sim, QWEN, LLAMA, **hook.given):
        await asyncio.sleep(60)
        sim.stop()
        await asyncio.sleep(1_800)
        sim.start()
        await asyncio.sleep(600)
    assert hook.told == [f"firing server_down {HOST}", f"resolved server_down {HOST}"]
    assert len(hook.service.taken) == 2
    assert "the trouble lasted 30m" in hook.service.taken[1].text


async def test_new_rules_and_a_new_sink_hold_from_a_reload_on(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path, ("webhook", "feishu"))
    whole = hook.settings
    hook.settings = replace(whole, sinks=whole.sinks[:1])
    async with keeping(sim, QWEN, **hook.given) as keeper:
        await asyncio.sleep(60)
        sim.load_error(QWEN)
        sim.unload(QWEN)
        await asyncio.sleep(120)
        assert hook.told == []
        rules = Rules({**FOR_S, Alert.MODEL_LOST: 30.0, Alert.BREAKER_OPEN: 30.0})
        keeper.alerts.configure(replace(keeper._next, alerts=replace(whole, rules=rules)))
        await until(lambda: bool(hook.told), limit_s=120)
        assert len(hook.services["feishu"].taken) == 1


async def test_a_sink_that_is_taken_out_is_told_nothing_more(sim: Simulator, tmp_path: Path) -> None:
    hook = Hook(tmp_path)
    async with keeping(sim, QWEN, **hook.given) as keeper:
        await asyncio.sleep(60)
        keeper.alerts.configure(replace(keeper._next, alerts=AlertSettings()))
        sim.stop()
        await asyncio.sleep(600)
        assert hook.told == []
        assert [change.event for change in keeper.all("alert.firing")] == ["alert.firing"]
        sim.start()
        await asyncio.sleep(60)
