"""Whose turn it is to be pulled, when it is tried again, and what is told of it."""

from datetime import timedelta

import pytest

from ollama_keeper.core.facts import (
    Configured,
    LookFailed,
    Paused,
    PullEnded,
    PullFailed,
    PullOpened,
    PullProgressed,
)
from ollama_keeper.core.outlook import Step, outlook
from ollama_keeper.core.policy import Budget, Policy, PullRule, ranked
from ollama_keeper.core.pulls import fraction, may_go_on, next_pull, next_try, retry_at
from ollama_keeper.core.reasons import Failure, Unpulled
from tests.kit.story import GIB, NOON, Story, listed, wanted


def missing(name: str, **wishes: object) -> Policy:
    return wanted(name, pull=PullRule.IF_MISSING, **wishes)


def nothing_pulled(*policies: Policy) -> Story:
    names = [policy.model for policy in policies if policy.pull is PullRule.IF_MISSING]
    return Story(policies).begins().learns_what_is_pulled(*names)


def next_of(story: Story) -> str | None:
    return next_pull(story.memory, story.now)


@pytest.mark.parametrize(
    ("story", "pulled"),
    [
        pytest.param(nothing_pulled(missing("a"), missing("b", priority=200)), "b", id="the best rank first"),
        pytest.param(Story((missing("a"),)).begins(), None, id="nothing that is there"),
        pytest.param(Story((missing("a"),)), None, id="nothing before the server has told what it has"),
        pytest.param(Story((wanted("a"),)).begins().learns_what_is_pulled("a"), None, id="nothing unasked"),
        pytest.param(nothing_pulled(missing("gpt-oss:120b-cloud")), None, id="nothing of the cloud"),
        pytest.param(nothing_pulled(missing("a"), missing("b")).learns(PullOpened("a")), None, id="one at a time"),
        pytest.param(nothing_pulled(missing("a")).learns(LookFailed(Failure.RESET)), None, id="not while looks fail"),
        pytest.param(
            nothing_pulled(missing("a"), missing("b")).learns(Paused(("a",), None, by="root")), "b", id="none paused"
        ),
        pytest.param(
            nothing_pulled(missing("a"), missing("b"))
            .learns(PullOpened("a"))
            .learns(PullFailed("a", Unpulled.DISK_FULL)),
            "b",
            id="one that failed waits, and the next has its turn",
        ),
    ],
)
def test_whose_turn_it_is(story: Story, pulled: str | None) -> None:
    assert next_of(story) == pulled


def test_over_the_budget_nothing_is_pulled() -> None:
    story = nothing_pulled(wanted("a"), missing("b")).warms("a")
    policies = tuple(model.policy for model in story.memory.models)
    assert next_of(story) == "b"
    story.learns(Configured(ranked(policies), budget=Budget(models=1)))
    assert next_of(story) is None


@pytest.mark.parametrize(
    ("reason", "first_s", "most_s"),
    [
        pytest.param(Failure.RESET, 5, 300, id="cut"),
        pytest.param(Unpulled.PULL_STALLED, 5, 300, id="stalled"),
        pytest.param(Unpulled.REGISTRY_UNREACHABLE, 60, 3_600, id="no registry"),
        pytest.param(Unpulled.NOT_IN_REGISTRY, 600, 21_600, id="unknown name"),
        pytest.param(Unpulled.DISK_FULL, 600, 21_600, id="full disk"),
        pytest.param(Unpulled.REGISTRY_REFUSED, 600, 21_600, id="refused"),
    ],
)
def test_the_time_to_the_next_try_doubles_up_to_a_limit(
    reason: Failure | Unpulled, first_s: float, most_s: float
) -> None:
    story, waits = nothing_pulled(missing("a")), []
    for _ in range(16):
        story.learns(PullOpened("a")).learns(PullFailed("a", reason))
        waits.append(retry_at(story.model("a"), "gpu") - story.now.mono)
        assert next_of(story) is None
        assert next_try(story.memory, story.now) == pytest.approx(story.now.mono + waits[-1])
        story.at(story.seconds + waits[-1]).looks()
        assert next_of(story) == "a"
    assert waits[0] == pytest.approx(first_s, rel=0.11)
    assert waits[1] == pytest.approx(2 * first_s, rel=0.11)
    assert waits[-1] == pytest.approx(most_s, rel=0.11)


def test_a_pull_that_brought_something_begins_its_waits_anew() -> None:
    story = nothing_pulled(missing("a"))
    for _ in range(5):
        story.learns(PullOpened("a")).learns(PullFailed("a", Failure.RESET))
    story.learns(PullOpened("a")).learns(PullProgressed("a", GIB, 4 * GIB)).learns(
        PullProgressed("a", 2 * GIB, 4 * GIB)
    )
    story.learns(PullFailed("a", Failure.RESET))
    assert retry_at(story.model("a"), "gpu") - story.now.mono == pytest.approx(5, rel=0.11)


def test_a_pull_that_we_ended_is_no_failure_and_is_not_told() -> None:
    story = nothing_pulled(missing("a")).learns(PullOpened("a")).learns(PullFailed("a", Failure.RESET, stopping=True))
    assert story.events("pull") == ["pull.started"]
    assert next_of(story) == "a"


def test_what_is_pulled_asks_at_the_next_look_what_is_there() -> None:
    story = nothing_pulled(missing("a")).learns(PullOpened("a")).learns(PullEnded("a"))
    assert story.memory.tagged is None
    story.learns_what_is_pulled()
    assert story.loads_next() == "a"


def test_the_state_stays_missing_and_is_told_once() -> None:
    story = nothing_pulled(missing("a"))
    assert story.state("a") == ("missing", "not_pulled")
    story.learns(PullOpened("a"))
    assert story.state("a") == ("missing", "being_pulled")
    story.learns(PullFailed("a", Unpulled.DISK_FULL))
    assert story.state("a") == ("missing", "not_pulled")
    assert story.events("model.missing", "pull") == ["model.missing", "pull.started", "pull.failed"]


def test_progress_is_told_at_each_tenth_but_each_ten_seconds_at_most() -> None:
    story = nothing_pulled(missing("a")).learns(PullOpened("a"))
    for second in range(1, 101):
        story.at(second).learns(PullProgressed("a", second * GIB, 100 * GIB))
    assert len(story.events("pull.progress")) == 9
    quick = nothing_pulled(missing("a")).learns(PullOpened("a"))
    for second in range(1, 10):
        quick.at(second).learns(PullProgressed("a", 10 * second * GIB, 100 * GIB))
    assert quick.events("pull.progress") == []


def test_how_far_it_is_is_known_once_the_server_has_told() -> None:
    story = nothing_pulled(missing("a"))
    assert fraction(story.model("a")) is None
    story.learns(PullOpened("a"))
    assert fraction(story.model("a")) is None
    story.learns(PullProgressed("a", GIB, 4 * GIB))
    assert fraction(story.model("a")) == 0.25


def test_what_comes_next_is_a_pull_after_its_wait_or_a_warm_after_the_pull() -> None:
    story = nothing_pulled(missing("a"))
    now = outlook(story.model("a"), story.memory, story.now)
    assert now is not None
    assert (now.step, now.in_s) == (Step.PULL, 0.0)
    story.learns(PullOpened("a"))
    meanwhile = outlook(story.model("a"), story.memory, story.now)
    assert meanwhile is not None
    assert (meanwhile.step, meanwhile.in_s) == (Step.WARM, None)
    story.learns(PullFailed("a", Unpulled.NOT_IN_REGISTRY))
    later = outlook(story.model("a"), story.memory, story.now)
    assert later is not None
    assert later.step is Step.PULL
    assert later.in_s == pytest.approx(600, rel=0.11)


@pytest.mark.parametrize(
    ("fact", "goes_on"),
    [
        pytest.param(None, True, id="wanted"),
        pytest.param(Paused(("a",), NOON + timedelta(hours=1), by="root"), False, id="paused"),
        pytest.param(Configured(ranked((missing("b"),))), False, id="wanted no more"),
        pytest.param(Configured(ranked((wanted("a"),))), False, id="to be pulled no more"),
    ],
)
def test_an_open_pull_goes_on_only_while_it_is_wanted(fact: Paused | Configured | None, goes_on: bool) -> None:
    story = nothing_pulled(missing("a")).learns(PullOpened("a"))
    if fact is not None:
        story.learns(fact)
    assert may_go_on("a", story.memory, story.now) is goes_on


def test_facts_of_a_model_that_is_not_known_change_nothing() -> None:
    story = Story((wanted("a"),)).begins(listed("a"))
    before = story.memory
    for fact in (
        PullOpened("b"),
        PullProgressed("b", 1, 2),
        PullEnded("b"),
        PullFailed("b", Failure.RESET),
        PullProgressed("a", 1, 2),
    ):
        assert story.learns(fact).memory == before
