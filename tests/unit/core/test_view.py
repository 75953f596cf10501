"""What is shown of servers and models, in plain values, and whether the required ones can serve (CONTRACT 3)."""

import json
import re
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import pytest

from ollama_keeper.core.calendar import Window
from ollama_keeper.core.facts import Configured, Paused
from ollama_keeper.core.outlook import Step
from ollama_keeper.core.policy import Budget, Contention, OnExpire, ranked
from ollama_keeper.core.readiness import unready, unready_of
from ollama_keeper.core.reasons import Failure, ServerState, State
from ollama_keeper.core.view import GUEST, READYZ, VERSION, ModelRow, ServerRow, document, snapshot
from tests.kit.story import GIB, NOON, Story, listed, wanted

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "status.schema.json").read_text(encoding="utf-8"))


def kept(**wishes: object) -> Story:
    """A story in which `a` was warmed by us."""
    policy = wanted("a", **wishes)
    entry = listed("a", 4 + policy.lease_s) if policy.lease_s else listed("a")
    return Story((policy,)).begins().warms("a", 4.0, entry)


def rows(story: Story) -> tuple[ModelRow, ...]:
    return snapshot([story.memory], story.now).models


def row(story: Story) -> ModelRow:
    return rows(story)[0]


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_pinned_model_is_shown_as_it_is_listed() -> None:
    shown = row(kept().at(60).looks(listed("a")))
    assert (shown.state, shown.reason, shown.resident, shown.required) == ("ready", None, True, True)
    assert (shown.until, shown.remaining_s, shown.context_length) == ("forever", None, 4096)
    assert shown.since == "2026-11-24T12:00:04+00:00"


def test_a_lease_is_shown_with_its_end() -> None:
    shown = row(kept(lease_s=1_800.0).at(64).looks(listed("a", 1_804)))
    assert (shown.until, shown.remaining_s) == ("2026-11-24T12:30:04+00:00", 1_740.0)


def test_an_absent_model_is_shown_without_what_only_a_listed_one_has() -> None:
    shown = row(Story((wanted("a", required=False),)).begins())
    assert (shown.resident, shown.required, shown.until, shown.size_bytes) == (False, False, None, None)


def test_a_guest_comes_after_the_wanted_models_and_is_required_by_nobody() -> None:
    mine, guest = rows(kept().at(15).looks(listed("a"), listed("g", 300)))
    assert mine.state == "ready"
    assert (guest.model, guest.state, guest.resident, guest.required) == ("g:latest", GUEST, True, False)
    assert guest.remaining_s == 285.0


def test_a_server_is_shown_with_the_reason_of_its_silence() -> None:
    (server,) = snapshot([kept().at(15).fails_to_look(times=3).memory], Story(()).now).servers
    assert (server.state, server.reason) == ("down", "connect_refused")


# --- what is left alone -----------------------------------------------------------------------------------------------


def test_a_pause_is_shown_with_who_since_when_until_when_and_why() -> None:
    until = NOON + timedelta(hours=2)
    story = kept().at(60).learns(Paused(("a",), until, by="anna", note="a game")).at(90)
    shown = row(story)
    assert (shown.state, shown.since) == ("paused", "2026-11-24T12:01:00+00:00")
    assert (shown.paused_by, shown.paused_until, shown.paused_note) == (
        "anna",
        "2026-11-24T14:00:00+00:00",
        "a game",
    )


def test_what_is_not_paused_shows_no_pause() -> None:
    shown = row(kept())
    assert (shown.paused_by, shown.paused_until, shown.paused_note, shown.owed) == (None, None, None, False)
    assert not shown.left_alone


def test_a_paused_pin_is_owed_until_a_look_shows_it_lowered() -> None:
    story = kept().at(60).learns(Paused(("a",), None, by="anna"))
    assert row(story).owed
    request = story.finds_idle("a").decides("a").request
    assert request is not None
    story.sends(request)
    assert row(story).owed
    assert not row(story.at(75).looks(listed("a", 360))).owed


def test_a_model_to_be_unloaded_is_owed_until_it_has_left_and_not_when_a_client_brings_it_back() -> None:
    story = kept().at(60).learns(Paused(("a",), None, by="anna", unload=True))
    request = story.decides("a").request
    assert request is not None
    story.sends(request).at(62).looks(listed("a"))
    assert row(story).owed
    assert not row(story.at(75).looks()).owed
    assert not row(story.at(90).looks(listed("a", 390))).owed


def test_a_load_under_way_is_owed_once_the_model_is_paused() -> None:
    story = Story((wanted("a"),)).begins()
    story.opens_warm("a")
    assert not row(story).owed
    assert row(story.learns(Paused(("a",), None, by="anna"))).owed


def test_a_paused_lease_and_a_clients_load_are_not_owed() -> None:
    assert not row(kept(lease_s=1_800.0).at(60).learns(Paused(("a",), None, by="anna"))).owed
    assert not row(Story((wanted("a"),)).begins(listed("a")).learns(Paused(("a",), None, by="anna"))).owed


# --- since ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "seconds"),
    [
        pytest.param(Story((wanted("a"),)).at(9), 0, id="never-looked-at-since-the-keeper-began"),
        pytest.param(kept().at(15).looks().at(40), 15, id="absent-since-the-look-that-missed-it"),
        pytest.param(kept().at(15).looks(listed("a")).at(600), 15, id="stale-since-the-last-good-look"),
        pytest.param(kept().at(15).fails_to_look(times=3).at(40), 15, id="down-since-the-server-is"),
    ],
)
def test_a_model_is_as_it_is_since_what_showed_it(story: Story, seconds: float) -> None:
    assert row(story).since == (NOON + timedelta(seconds=seconds)).isoformat(timespec="seconds")


# --- next -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "step", "in_s"),
    [
        pytest.param(kept().at(104).looks(listed("a")), Step.PING, 200.0, id="a-pin-is-pinged-in-its-turn"),
        pytest.param(
            kept(lease_s=300.0).at(64).looks(listed("a", 304)), Step.PING, 90.0, id="a-lease-at-half-of-its-time"
        ),
        pytest.param(kept().at(304).looks(listed("a")), Step.PING, 0.0, id="a-ping-that-is-due"),
        pytest.param(
            kept().learns(Paused(("a",), None, "root")), Step.PING, 0.0, id="paused-and-tested-before-it-is-given-back"
        ),
        pytest.param(kept().at(34).looks(listed("a", 100)), Step.PING, 0.0, id="a-shortened-one-is-tested-first"),
        pytest.param(kept().at(15).looks(), Step.WARM, 60.0, id="an-unloaded-one-is-warmed-after-its-grace"),
        pytest.param(
            Story((wanted("a"),)).begins().fails_to_warm("a", Failure.LOAD_FAILED), Step.WARM, None, id="backing-off"
        ),
        pytest.param(Story((wanted("a"),)).begins(), Step.WARM, None, id="its-turn-comes-when-it-comes"),
        pytest.param(
            Story((wanted("a"),)).begins().learns(Paused(("a",), NOON + timedelta(seconds=600), "root")),
            Step.RESUME,
            600.0,
            id="paused-and-absent",
        ),
        pytest.param(
            Story((wanted("a"),)).begins(listed("a", 300)).at(15).looks(listed("a", 300)),
            Step.REPIN,
            45.0,
            id="a-clients-lease-once-nobody-uses-it-for-a-minute",
        ),
        pytest.param(
            Story((wanted("a"),)).begins(listed("a", 60)).at(15).looks(listed("a", 60)),
            Step.REPIN,
            15.0,
            id="or-before-it-ends",
        ),
        pytest.param(
            kept().at(34).looks(listed("a", 334)).finds_idle("a", idle=False).at(44),
            Step.REPIN,
            50.0,
            id="a-shortened-one-that-was-busy-is-tested-again",
        ),
    ],
)
def test_what_comes_next_is_shown_with_its_time(story: Story, step: Step, in_s: float | None) -> None:
    shown = row(story)
    assert shown.next == step
    if in_s is not None:
        assert shown.next_s == in_s


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(
            Story((wanted("a"),)).begins().learns(Paused(("a",), None, "root")), id="paused-until-somebody-resumes-it"
        ),
        pytest.param(Story((wanted("a", contention=Contention.OBSERVE),)).begins(), id="only-observed"),
        pytest.param(kept(lease_s=300.0, on_expire=OnExpire.RELEASE, ping_every_s=None), id="left-to-expire"),
        pytest.param(kept(ping_every_s=None), id="pinned-and-never-pinged"),
        pytest.param(Story((wanted("a"),)).begins(listed("a")), id="somebody-elses-pin"),
        pytest.param(Story((wanted("a"),)), id="nothing-known-yet"),
    ],
)
def test_nothing_is_foreseen_where_only_an_event_can_bring_it(story: Story) -> None:
    assert (row(story).next, row(story).next_s) == (None, None)


def test_a_server_is_shown_with_its_budget_and_the_age_of_what_is_known() -> None:
    story = kept().at(15).looks(listed("a")).learns(Configured(ranked((wanted("a"),)), budget=Budget(22 * GIB, 3)))
    (shown,) = snapshot([story.memory], story.at(20).now).servers
    assert (shown.budget_bytes, shown.budget_models) == (22 * GIB, 3)
    assert shown.looked == "2026-11-24T12:00:15+00:00"
    assert snapshot([story.memory], story.now).at == "2026-11-24T12:00:20+00:00"


def test_a_server_that_never_answered_was_never_looked_at() -> None:
    story = Story((wanted("a"),)).fails_to_look()
    (shown,) = snapshot([story.memory], story.now).servers
    assert (shown.looked, shown.budget_bytes, shown.budget_models) == (None, None, None)


# --- readiness --------------------------------------------------------------------------------------------------------


def test_the_states_that_do_not_make_readyz_fail_are_those_of_the_reference() -> None:
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"`/readyz` is 503 .* in another state than (.*);", text)
    assert set(re.findall(r"`(\w+)`", told)) == {state for state, ready in READYZ.items() if ready is not False}


def test_all_is_ready_when_the_required_models_are() -> None:
    story = Story((wanted("a"), wanted("b", required=False))).begins().warms("a", 4.0, listed("a"))
    assert unready([story.memory], story.now) == ()


def test_what_is_not_ready_is_told_with_reason_and_age() -> None:
    story = kept().at(15).looks().at(45)
    (told,) = unready([story.memory], story.now)
    assert (told.model, told.state, told.reason, told.age_s) == ("a", "cold", "unload_grace", 30.0)


def test_a_model_outside_its_hours_is_not_asked_unless_by_its_name() -> None:
    evening = Window(frozenset(range(7)), 20 * 60, 21 * 60, ZoneInfo("UTC"))
    story = Story((wanted("a", active=(evening,)),)).begins()
    assert story.state("a")[0] == State.OFF_HOURS
    assert unready([story.memory], story.now) == ()
    told = unready_of("a", [story.memory], story.now)
    assert told is not None
    assert told[0].reason == "outside_hours"


def test_a_model_is_ready_when_it_is_on_every_server_that_is_to_keep_it() -> None:
    good, bad = kept(), Story((wanted("a"),)).begins()
    other = replace(bad.memory, server="other")
    found = unready_of("A:latest", [good.memory, other], good.now)
    assert found is not None
    assert [one.server for one in found] == ["other"]


@pytest.mark.parametrize("name", ["b", "a:other", "", "a b", "x" * 10_000, "../../etc/passwd", "<script>"])
def test_a_model_that_nobody_keeps_is_none(name: str) -> None:
    story = kept()
    assert unready_of(name, [story.memory], story.now) is None


# --- the document -----------------------------------------------------------------------------------------------------

KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


@pytest.mark.parametrize(("part", "kind"), [("servers", ServerRow), ("models", ModelRow)])
def test_the_schema_has_every_key_of_a_row_with_its_type(part: str, kind: type[Any]) -> None:
    items = SCHEMA["properties"][part]["items"]
    hints = get_type_hints(kind)
    assert items["required"] == [field.name for field in fields(kind)]
    for name, told in items["properties"].items():
        types = told["type"] if isinstance(told["type"], list) else [told["type"]]
        wished = getattr(hints[name], "__args__", (hints[name],))
        assert set(types) == {KINDS[one] for one in wished}, name
        assert told["description"]


def test_the_schema_names_the_states_the_steps_and_the_version() -> None:
    properties = {part: SCHEMA["properties"][part]["items"]["properties"] for part in ("servers", "models")}
    assert properties["models"]["state"]["enum"] == [*State, GUEST]
    assert properties["models"]["next"]["enum"] == [*Step, None]
    assert properties["servers"]["state"]["enum"] == list(ServerState)
    assert SCHEMA["properties"]["version"]["const"] == VERSION


def test_the_document_has_the_keys_of_the_schema_and_no_other() -> None:
    story = kept().at(15).looks(listed("a"), listed("g", 300))
    written = json.loads(json.dumps(document(snapshot([story.memory], story.now))))
    assert list(written) == SCHEMA["required"]
    for part in ("servers", "models"):
        for one in written[part]:
            assert list(one) == SCHEMA["properties"][part]["items"]["required"]
