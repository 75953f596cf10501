"""When a model is not to be kept: paused, outside its hours, over the budget of its server."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from ollama_keeper.core.calendar import Window
from ollama_keeper.core.decide import Act, Why
from ollama_keeper.core.facts import Configured, Hurried, Paused, Resumed
from ollama_keeper.core.keep import model_document, restored_model
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.policy import Budget, Policy, Release, ranked
from ollama_keeper.core.reasons import Failure
from ollama_keeper.core.sizes import size_of
from tests.kit.story import GIB, NOON, PIN_S, Story, listed, wanted

UTC = ZoneInfo("UTC")
ALL_DAYS = frozenset(range(7))
FROM_ONE = (Window(ALL_DAYS, 13 * 60, 18 * 60, UTC),)  # a story begins at noon


def warm(*policies: Policy) -> Story:
    story = Story(policies).begins()
    entries = []
    for policy in policies:
        entries.append(listed(policy.model, story.seconds + 4 + PIN_S))
        story.warms(policy.model, 4.0, *entries)
    return story


def pause(*models: str, until_s: float | None = None, unload: bool = False) -> Paused:
    until = None if until_s is None else NOON + timedelta(seconds=until_s)
    return Paused(models, until, by="root", note="a game", unload=unload)


# --- pause ------------------------------------------------------------------------------------------------------------


def test_a_paused_model_is_given_back_and_not_pinged() -> None:
    story = warm(wanted("a")).learns(pause("a"))
    assert story.state("a") == ("paused", "by_command")
    assert story.decides("a").act is Act.IDLE_TEST
    lowered = story.finds_idle("a").decides("a").request
    assert lowered is not None
    assert lowered.keep_alive == "5m"
    story.sends(lowered)
    story.at(400).looks(listed("a", 500))
    assert story.decides("a").why is Why.NOT_TO_BE_KEPT


def test_pause_unload_takes_it_out_whatever_its_policy() -> None:
    story = warm(wanted("a")).learns(pause("a", unload=True))
    assert story.decides("a").act is Act.UNLOAD
    request = story.decides("a").request
    assert request is not None
    story.sends(request).looks()
    assert "model.lost" not in story.events()
    assert story.last("model.released").how == "unload"


def test_a_paused_model_that_is_absent_is_not_warmed() -> None:
    story = Story((wanted("a"), wanted("b"))).begins().learns(pause("a"))
    assert story.loads_next() == "b"


def test_a_pause_ends_by_itself_and_the_model_is_warmed() -> None:
    story = Story((wanted("a"),)).begins().learns(pause("a", until_s=100))
    assert story.at(99).looks().loads_next() is None
    assert story.at(100).looks().loads_next() == "a"
    assert story.last("model.resumed").by == "time"
    assert story.model("a").departure.cause == "by_command"


def test_resume_warms_at_once_also_what_somebody_unloaded() -> None:
    story = warm(wanted("a"))
    story.at(15).looks()
    assert story.state("a") == ("cold", "unload_grace")
    story.learns(pause("a")).learns(Resumed(("a",), "root"))
    assert story.loads_next() == "a"


def test_resume_of_what_is_not_paused_says_nothing() -> None:
    story = warm(wanted("a")).learns(Resumed(("a", "unknown"), "root"))
    assert "model.resumed" not in story.events()


def test_a_pause_outlives_the_keeper() -> None:
    story = warm(wanted("a")).learns(pause("a", until_s=7_200))
    again = restored_model(replace(story.model("a"), pause=None), model_document(story.model("a")), story.now)
    assert again.pause == story.model("a").pause


def test_a_longer_pause_replaces_a_shorter_one() -> None:
    story = warm(wanted("a")).learns(pause("a", until_s=100)).learns(pause("a"))
    assert story.at(200).looks(listed("a")).state("a") == ("paused", "by_command")
    assert story.events("model.paused") == ["model.paused"] * 2


# --- warm by command --------------------------------------------------------------------------------------------------


def unloaded(*names: str) -> Story:
    """One second after somebody unloaded them, in their grace."""
    story = Story(tuple(wanted(name) for name in names)).begins()
    for name in names:
        story.warms(name, 4.0, *(listed(each) for each in names[: names.index(name) + 1]))
    return story.at(story.seconds + 1).looks()


def test_warm_ends_the_grace_and_its_cause_is_the_command() -> None:
    story = unloaded("a")
    assert story.state("a") == ("cold", "unload_grace")
    story.learns(Hurried(("a",)))
    assert story.loads_next() == "a"
    story.opens_warm("a")
    assert story.last("warm.started").cause == "by_command"


def test_warm_ends_the_wait_for_a_guest() -> None:
    story = unloaded("a")
    story.at(story.seconds + 1).looks(listed("guest", story.seconds + 300))
    assert story.state("a") == ("yielding", "guest_active")
    story.learns(Hurried(("a",)))
    assert story.loads_next() == "a"


def test_warm_goes_by_rank_and_names_only_whom_it_means() -> None:
    story = unloaded("a", "b")
    story.learns(Hurried(("b",)))
    assert story.loads_next() == "b"
    story.learns(Hurried(("a", "unknown")))
    assert story.loads_next() == "a"


def test_warm_ends_no_pause() -> None:
    story = unloaded("a").learns(pause("a")).learns(Hurried(("a",)))
    assert story.state("a") == ("paused", "by_command")
    assert story.loads_next() is None


def test_warm_bypasses_neither_the_back_off_nor_the_breaker() -> None:
    story = Story((wanted("a"),)).begins()
    for failures in (1, 2, 3):
        story.fails_to_warm("a", Failure.LOAD_FAILED).learns(Hurried(("a",)))
        assert story.state("a")[0] == "backing_off"
        assert story.loads_next() is None
        if failures < 3:
            story.at(story.seconds + 30).looks()
    assert story.state("a") == ("backing_off", "breaker_open")
    assert story.model("a").departure.cause == "first_seen"


def test_warm_bypasses_no_full_server() -> None:
    story = Story((wanted("a", priority=200), wanted("b"))).begins(listed("a"))
    story.warms("b", 4.0, listed("b"))
    assert story.memory.full is not None
    story.warms("a", 4.0, listed("a"))
    assert story.state("b")[0] == "contended"
    assert story.learns(Hurried(("b",))).loads_next() is None


def test_warm_of_a_resident_model_changes_nothing() -> None:
    story = warm(wanted("a"))
    before = story.memory
    assert story.learns(Hurried(("a",))).memory == before


# --- hours ------------------------------------------------------------------------------------------------------------


def test_outside_its_hours_a_model_is_cold_and_the_line_says_until_when() -> None:
    story = Story((wanted("a", active=FROM_ONE),)).begins()
    assert story.state("a") == ("off_hours", "outside_hours")
    assert story.loads_next() is None
    assert story.last("model.off_hours").until == NOON + timedelta(hours=1)


def test_it_is_loaded_ahead_of_its_hours() -> None:
    story = Story((wanted("a", active=FROM_ONE, ahead_s=120.0),)).begins()
    assert story.looks_until(3_470).loads_next() is None
    assert story.looks_until(3_481).loads_next() == "a"
    assert story.model("a").departure.cause == "ahead_of_hours"


def test_at_the_end_of_its_hours_it_is_given_back() -> None:
    until_one = (Window(ALL_DAYS, 8 * 60, 13 * 60, UTC),)
    story = warm(wanted("a", active=until_one, release=Release.UNLOAD))
    assert story.decides("a").act is Act.NOTHING
    story.looks_until(3_600, listed("a"))
    assert story.decides("a").act is Act.UNLOAD


def test_a_clients_load_outside_the_hours_is_left_as_it_is() -> None:
    story = Story((wanted("a", active=FROM_ONE, release=Release.UNLOAD),)).begins(listed("a"))
    assert story.decides("a").act is Act.NOTHING


# --- budget -----------------------------------------------------------------------------------------------------------


def budgeted(story: Story, **budget: int) -> Story:
    return story.learns(Configured(ranked(story.policies), budget=Budget(**budget)))


def test_the_number_of_models_goes_to_the_best_ranks() -> None:
    story = budgeted(Story((wanted("a"), wanted("b", priority=200), wanted("c"))).begins(), models=2)
    assert [story.state(name)[0] for name in "abc"] == ["queued", "queued", "over_budget"]
    assert story.state("c") == ("over_budget", "model_budget")


@pytest.mark.parametrize(("room", "kept"), [(16, "abc"), (12, "ab"), (7, "a")])
def test_memory_goes_by_rank_with_the_sizes_that_were_learned(room: int, kept: str) -> None:
    story = warm(wanted("a"), wanted("b"), wanted("c"))  # 5 GiB each
    story.at(100).looks()
    budgeted(story, memory=room * GIB)
    assert "".join(name for name in "abc" if story.state(name)[0] != "over_budget") == kept


def test_a_small_model_of_low_rank_may_fit_where_a_larger_one_does_not() -> None:
    story = warm(wanted("a"), wanted("big"), wanted("c"))
    story.looks(listed("a"), listed("big", size=9 * GIB), listed("c", size=GIB))
    budgeted(story, memory=8 * GIB)
    assert [story.state(name)[0] for name in ("a", "big", "c")] == ["ready", "over_budget", "ready"]


def test_guests_take_room_from_what_would_have_to_be_loaded_and_from_nothing_else() -> None:
    story = warm(wanted("a"))
    budgeted(story, memory=8 * GIB)
    story.looks(listed("a"), listed("guest"))
    assert story.state("a")[0] == "ready"
    absent = budgeted(Story((wanted("a"),)).begins(listed("guest")), models=1)
    assert absent.state("a") == ("over_budget", "model_budget")
    assert absent.at(15).looks().at(75).looks().loads_next() == "a"


def test_a_learned_size_counts_only_for_the_same_weights_and_options() -> None:
    story = warm(wanted("a"))
    story.at(100).looks()
    assert size_of(story.model("a")).learned is True
    other = replace(story.model("a"), pulled="other")
    assert size_of(other) is None
    assert parse_name("a") == story.model("a").policy.name


def test_over_budget_tells_what_it_takes_and_what_is_left() -> None:
    story = warm(wanted("a"), wanted("b"))
    story.at(100).looks()
    budgeted(story, memory=7 * GIB)
    told = story.last("model.over_budget")
    assert (told.model, told.size_bytes, told.left_bytes) == ("b", 5 * GIB, 2 * GIB)
