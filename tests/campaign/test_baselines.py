"""What the table of docs/campaign.md is made of: waits, the cron line, the oracle; on days of one or two requests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ollama_keeper.simulator.state import Settings
from tests.campaign.cron import CURL, curl_in_cron
from tests.campaign.day import Record, run_day
from tests.campaign.oracle import ORACLE, oracle, oracle_of_wanted
from tests.campaign.scene import PALETTE, Ask, Mishap, Scene, size_of
from tests.campaign.table import SERVING, Cause, Lived, Share, lived, table, work
from tests.campaign.waits import Wait, waits
from tests.kit.keeper import wanted

QWEN, LLAMA = PALETTE[0].name, PALETTE[1].name
LOAD_S = 6.0
TOKENS = 40
NOON = 43_200.0
NOBODY: Mapping[str, Any] = {"kept": False}


def scene_of(*asks: Ask, mishaps: tuple[Mishap, ...] = (), places: int = 0) -> Scene:
    """Two models that load in 6 s and talk for 2 s, of which the first is wanted; room for both."""
    models = tuple(replace(one, load_s=LOAD_S, answer_tokens=TOKENS) for one in PALETTE[:2])
    room = int(2 * sum(size_of(one, Settings(gpus=1)) for one in models))
    wishes = (wanted(QWEN, interval_s=60.0),)
    settings = Settings(gpus=1, vram=room, max_loaded_models=places)
    return Scene(0, 0, models, settings, wishes, wishes, asks, mishaps)


def lives(*asks: Ask, given: Mapping[str, Any] = NOBODY, **more: Any) -> Record:
    return run_day(scene_of(*asks, **more), **given)


def waited(record: Record) -> list[tuple[float, str]]:
    return [(round(one.wait_s, 1), one.why) for one in waits(record)]


def test_a_request_for_a_model_that_nobody_loaded_waits_for_its_load() -> None:
    record = lives(Ask(NOON, QWEN, 10), Ask(NOON + 60, QWEN, 10))
    assert waited(record) == [(LOAD_S, "nobody had loaded it yet"), (0.0, "")]


def test_one_that_comes_during_the_load_waits_for_the_rest_of_it() -> None:
    record = lives(Ask(NOON, QWEN, 10), Ask(NOON + 2, QWEN, 10))
    assert waited(record)[1] == (4.0, "nobody had loaded it yet")


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (Ask(NOON, QWEN, 10), "its keep_alive had run out"),
        (Ask(NOON, QWEN, 10, keep_alive=0), "a client had unloaded it (keep_alive 0)"),
        (Ask(NOON, QWEN, 10, keep_alive=-1, context=2048), "asked for with another context"),
    ],
)
def test_it_is_told_why_a_model_was_not_there(first: Ask, why: str) -> None:
    assert waited(lives(first, Ask(NOON + 600, QWEN, 10)))[1] == (LOAD_S, why)


def test_mishaps_and_other_clients_are_told_as_well() -> None:
    asks = (Ask(NOON, QWEN, 10, keep_alive=-1), Ask(NOON + 600, QWEN, 10))
    restart = Mishap(NOON + 60, "restart", {"down_s": 5.0, "starting_s": 0.0})
    stopped = Mishap(NOON + 60, "stopped", {"model": QWEN})
    assert waited(lives(*asks, mishaps=(restart,)))[1] == (LOAD_S, "the server had restarted")
    assert waited(lives(*asks, mishaps=(stopped,)))[1] == (LOAD_S, "a person had stopped it")
    pushed = lives(asks[0], Ask(NOON + 60, LLAMA, 10), asks[1], places=1)
    assert waited(pushed)[2] == (LOAD_S, "pushed out by a client's load")


def test_a_frozen_server_is_no_cold_model() -> None:
    frozen = Mishap(NOON, "frozen", {"until_s": 30.0})
    asks = (Ask(NOON - 60, QWEN, 10), Ask(NOON + 5, QWEN, 10))
    assert waited(lives(*asks, mishaps=(frozen,)))[1] == (0.0, "")


def test_a_request_that_is_cut_off_with_the_server_is_not_answered() -> None:
    stop = Mishap(NOON + 1, "restart", {"down_s": 5.0, "starting_s": 0.0})
    (only,) = waits(lives(Ask(NOON, QWEN, 10), mishaps=(stop,)))
    assert (only.answered, only.cold) == (False, False)


def test_who_waits_behind_another_on_the_runner_meets_no_cold_model() -> None:
    first, second = waits(lives(Ask(NOON, QWEN, 100), Ask(NOON + 7, QWEN, 10)))[:2]
    assert first.cold
    assert not second.cold
    assert second.slot_s > 0


def test_the_cron_line_keeps_the_model_and_talks_all_day() -> None:
    record = lives(Ask(NOON, QWEN, 10), given={"kept": False, "beside": curl_in_cron})
    assert waited(record) == [(0.0, "")]
    assert record.history.tokens(who=CURL) == 1_440 * TOKENS


def test_who_knows_the_future_waits_for_nothing() -> None:
    asks = (Ask(NOON, QWEN, 10), Ask(NOON + 60, LLAMA, 10), Ask(NOON + 900, QWEN, 10, context=8192))
    record = lives(*asks, given={"kept": False, "beside": oracle}, places=1)
    assert [wait for wait, _ in waited(record)] == [0.0, 0.0, 0.0]
    assert record.trouble == []


def test_not_even_it_can_load_faster_than_the_server() -> None:
    asks = (Ask(NOON, QWEN, 10), Ask(NOON + 2, LLAMA, 10))
    record = lives(*asks, given={"kept": False, "beside": oracle}, places=1)
    (first, second) = waits(record)
    assert (first.cold, second.cold) == (False, True)
    assert 0 < second.wait_s < LOAD_S


def test_one_for_what_is_wanted_leaves_the_rest_alone() -> None:
    asks = (Ask(NOON, QWEN, 10), Ask(NOON + 60, LLAMA, 10))
    record = lives(*asks, given={"kept": False, "beside": oracle_of_wanted})
    assert [one.cold for one in waits(record)] == [False, True]
    assert {load.model for load in record.history.loads(who=ORACLE)} == {QWEN}


def test_a_mishap_stops_no_oracle() -> None:
    restart = Mishap(NOON, "restart", {"down_s": 5.0, "starting_s": 3.0})
    asks = (Ask(NOON - 60, QWEN, 10), Ask(NOON + 60, QWEN, 10))
    record = lives(*asks, mishaps=(restart,), given={"kept": False, "beside": oracle})
    assert [one.cold for one in waits(record)] == [False, False]


def test_each_day_is_lived_under_each_of_them() -> None:
    assert work(7, range(2)) == [(serving, 7, day) for day in (0, 1) for serving in SERVING]
    day = lived(("nobody", 1, 2))
    assert day.all.requests == 59
    assert 0 < day.wanted.cold <= day.all.cold


def test_the_table_adds_days_up_and_compares_with_the_oracles() -> None:
    cause = Cause(wanted=True, why="it was stopped", shown="cold (unload_grace)")
    days = [
        Lived("ollama-keeper", Share(50, 5, 30.0), Share(40, 4, 12.0), 2.0, 6, 0, {cause: 12.0}, ("day 3: something",)),
        Lived("ollama-keeper", Share(50, 0, 0.0), Share(40, 0, 0.0), 0.0, 2, 0, {}, (), has_room=False),
        Lived("oracle", Share(100, 2, 20.0), Share(80, 1, 4.0), 0.0, 7, 0, {}, ()),
        Lived("oracle of the wanted models", Share(100, 2, 22.0), Share(80, 1, 4.0), 0.0, 7, 0, {}, ()),
    ]
    lines = list(table(days, seed=1, first=0, count=2))
    assert "| ollama-keeper | 5.0 % | 15.0 | 1.5 | 5.0 % | 6.0 | 3.0 | 4.0 | 0 | 1.0 |" in lines
    assert "| all that is wanted fits | 1 | 0.0 | 0.0 | 12.0 | 4.0 | 4.0 | 3.0 |" in lines
    assert "| not all that is wanted fits | 1 | 0.0 | 0.0 | 0.0 | 0.0 | 0.0 | – |" in lines
    assert "| cold (unload_grace) | it was stopped | 6.0 | 100 % |" in lines
    assert lines[-1] == "broken: day 3: something"


def test_cut_off_requests_do_not_count() -> None:
    ask = Ask(NOON, QWEN, 10)
    cut = Wait(ask, wanted=True, answered=False, wait_s=0.0, slot_s=0.0, why="", shown="")
    cold = replace(cut, answered=True, wait_s=3.0, why="it was stopped")
    assert Share.of([cut, cold]) == Share(1, 1, 3.0)
