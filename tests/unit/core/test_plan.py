"""What `plan` tells: the same choice and the same order as the daemon's, and what Ollama would do on its own."""

from dataclasses import replace

import pytest

from ollama_keeper.core.facts import Configured, Paused
from ollama_keeper.core.plan import Do, Plan, plan, step_of, victims
from ollama_keeper.core.policy import Budget, Policy, ranked
from ollama_keeper.core.reasons import Failure
from tests.kit.story import GIB, NOON, Story, listed, wanted


def sized(story: Story, **gib: int) -> Story:
    """The same, with files of so many GiB."""
    for name, size in gib.items():
        story.memory = story.memory.with_model(replace(story.model(name), disk_size=size * GIB))
    return story


def budgeted(story: Story, **budget: int) -> Story:
    policies = tuple(model.policy for model in story.memory.models)
    return story.learns(Configured(ranked(policies), budget=Budget(**budget)))


def planned(story: Story) -> Plan:
    return plan(story.memory, story.now)


def did(plan: Plan) -> list[tuple[str, str]]:
    return [(step.do.value, step.model) for step in plan.steps]


def test_all_absent_models_are_warmed_by_rank() -> None:
    story = Story((wanted("a"), wanted("b", priority=200), wanted("c"))).begins()
    assert did(planned(story)) == [("warm", "b"), ("warm", "a"), ("warm", "c")]


def test_the_order_is_the_one_in_which_the_daemon_loads() -> None:
    story = Story((wanted("a"), wanted("b", priority=200), wanted("c"))).begins()
    warms = [step.model for step in planned(story).steps]
    entries = []
    for name in warms:
        assert story.loads_next() == name
        entries.append(listed(name))
        story.warms(name, 4.0, *entries)
    assert story.loads_next() is None


def test_a_model_over_the_budget_is_left_out_and_the_one_below_it_takes_its_place() -> None:
    story = budgeted(sized(Story((wanted("a"), wanted("big"), wanted("c"))).begins(), a=4, big=9, c=2), memory=8 * GIB)
    found = planned(story)
    assert [(one.policy.model, one.chosen) for one in found.models] == [("a", True), ("big", False), ("c", True)]
    assert found.models[1].over == 5 * GIB
    assert (found.chosen_bytes, found.left_bytes) == (6 * GIB, 2 * GIB)
    assert did(found) == [("warm", "a"), ("warm", "c"), ("nothing", "big")]


def test_what_was_found_not_to_fit_has_no_place() -> None:
    story = Story((wanted("a"), wanted("b"), wanted("c"))).begins()
    story.warms("a", 4.0, listed("a")).warms("b", 4.0, listed("b")).warms("a", 4.0, listed("a"))
    assert [one.chosen for one in planned(story).models] == [True, False, False]


def test_guests_take_room_and_may_overdraw_the_budget() -> None:
    story = Story((wanted("a"),)).begins(listed("guest", 300, size=7 * GIB))
    found = planned(budgeted(sized(story, a=4), memory=8 * GIB))
    assert [guest.listed.text for guest in found.guests] == ["guest:latest"]
    assert (found.guest_bytes, found.left_bytes) == (7 * GIB, GIB)
    assert found.models[0].over == 3 * GIB
    overdrawn = planned(budgeted(Story((wanted("a"),)).begins(listed("a"), listed("guest", 300)), memory=8 * GIB))
    assert overdrawn.left_bytes == -2 * GIB
    assert overdrawn.models[0].chosen


def test_without_a_budget_there_is_a_sum_and_nothing_is_left_out() -> None:
    found = planned(sized(Story((wanted("a"), wanted("b"))).begins(), a=4, b=9))
    assert (found.chosen_bytes, found.left_bytes) == (13 * GIB, None)
    assert all(one.chosen for one in found.models)


def test_a_model_of_unknown_size_is_told_as_such() -> None:
    found = planned(budgeted(Story((wanted("a"),)).begins(), memory=8 * GIB))
    assert found.models[0].size is None
    assert found.models[0].chosen


@pytest.mark.parametrize(
    ("story", "step"),
    [
        pytest.param(
            Story((wanted("a"),)).begins().fails_to_warm("a", Failure.LOAD_FAILED), ("wait", "load_failed"), id="held"
        ),
        pytest.param(
            Story((wanted("a"),)).begins().learns(Paused(("a",), NOON.replace(hour=14), by="root")),
            ("nothing", "by_command"),
            id="paused",
        ),
        pytest.param(
            Story((wanted("a"),)).begins().learns_what_is_pulled("a"), ("nothing", "not_pulled"), id="missing"
        ),
        pytest.param(Story((wanted("a"),)), ("nothing", "first_look"), id="not looked yet"),
        pytest.param(
            Story((wanted("a"),)).begins().warms("a").at(400).looks(listed("a")), ("ping", "a ping is due"), id="pinged"
        ),
    ],
)
def test_one_model_gets_one_step_with_its_reason(story: Story, step: tuple[str, str]) -> None:
    found = step_of(story.model("a"), story.memory, story.now)
    assert (found.do.value, found.because) == step


def test_what_waits_is_told_with_the_time_it_waits() -> None:
    story = Story((wanted("a"),)).begins().fails_to_warm("a", Failure.LOAD_FAILED)
    step = planned(story).steps[0]
    assert step.do is Do.WAIT
    assert step.in_s == pytest.approx(5.0, abs=0.6)


@pytest.mark.parametrize(
    ("policies", "order"),
    [
        pytest.param(
            (wanted("a", priority=300), wanted("b", priority=200), wanted("c")),
            ("c", "b", "a"),
            id="centuries follow the ranks",
        ),
        pytest.param((wanted("b"), wanted("a")), ("a", "b"), id="equal pins by the path of their weights"),
        pytest.param(
            (wanted("a"), wanted("l", priority=900, lease_s=1_800.0)), ("l", "a"), id="a lease before any pin"
        ),
    ],
)
def test_ollama_evicts_the_shortest_keep_alive_first(policies: tuple[Policy, ...], order: tuple[str, ...]) -> None:
    assert planned(Story(policies).begins()).victims == order
    story, entries = Story(policies).begins(), []
    for policy in policies:
        entries.append(listed(policy.model, story.seconds + 4 + (policy.lease_s or 3e9)))
        story.warms(policy.model, 4.0, *entries)
    assert victims(story.memory, story.now) == order


def test_a_guest_goes_before_pins_unless_it_is_pinned_too() -> None:
    leased = Story((wanted("a"),)).begins(listed("guest", 300))
    assert planned(leased).victims == ("guest:latest", "a")
    pinned = Story((wanted("a", lease_s=600.0),)).begins(listed("guest"))
    assert planned(pinned).victims == ("a", "guest:latest")


def test_a_client_s_load_is_ordered_by_the_time_it_was_given() -> None:
    story = Story((wanted("a", priority=900), wanted("b"))).begins(listed("a", 300), listed("b"))
    assert planned(story).victims == ("a", "b")


def test_planning_changes_nothing() -> None:
    story = Story((wanted("a"), wanted("b"))).begins()
    before = story.memory
    planned(story)
    assert story.memory == before
