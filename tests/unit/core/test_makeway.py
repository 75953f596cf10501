"""Making way: a lesser model that cost better ones their places goes before those come back."""

import pytest

from ollama_keeper.core.decide import Act, Why
from ollama_keeper.core.facts import Answered, Listed, Opened
from ollama_keeper.core.keep import restored_server, server_document
from ollama_keeper.core.reasons import Reason
from tests.kit.story import PIN_S, Story, listed, wanted

BETTER, BEST, LESSER = "b", "a", "c"


def entry(name: str, at_s: float = 0.0) -> Listed:
    return listed(name, PIN_S + at_s)


def costly(*stayed: str) -> Story:
    """Two that were kept together; a third, of least rank, whose load has cost those that have not `stayed`."""
    story = Story((wanted(BEST), wanted(BETTER), wanted(LESSER))).begins()
    story.warms(BEST)
    story.warms(BETTER, 4.0, entry(BEST), entry(BETTER, 4))
    return story.warms(LESSER, 4.0, *(entry(name) for name in stayed), entry(LESSER, 8))


def test_one_that_cost_two_their_places_is_tested_and_unloaded_before_they_come_back() -> None:
    story = costly()
    assert story.loads_next() is None
    test = story.decides(LESSER)
    assert (test.act, test.why) == (Act.IDLE_TEST, Why.MAKES_WAY)
    story.finds_idle(LESSER)
    unload = story.decides(LESSER)
    assert (unload.act, unload.why) == (Act.UNLOAD, Why.MAKES_WAY)
    assert unload.request is not None
    assert unload.request.keep_alive == 0
    story.sends(unload.request)
    assert story.decides(LESSER).act is Act.NOTHING
    assert story.loads_next() is None, "it is listed yet: its memory is not free"
    story.looks()
    assert story.last("model.lost").displaced_by == BEST
    assert story.state(LESSER) == ("contended", Reason.EVICTS_WANTED)
    assert "model.released" not in story.events()
    assert story.loads_next() == BEST
    story.warms(BEST, 4.0, entry(BEST, 12))
    assert story.loads_next() == BETTER
    story.warms(BETTER, 4.0, entry(BEST, 12), entry(BETTER, 16))
    assert story.loads_next() is None, "the lesser one is not tried again"


def test_one_that_cost_one_its_place_beside_another_makes_way_too() -> None:
    story = costly(BEST)
    assert story.decides(LESSER).why is Why.MAKES_WAY
    assert story.loads_next() is None


def test_nothing_is_loaded_while_the_test_of_it_runs() -> None:
    story = costly()
    ping = story.decides(LESSER).request
    assert ping is not None
    story.learns(Opened(ping))
    assert story.loads_next() is None
    story.at(story.seconds + 0.01).learns(Answered(ping))
    assert story.loads_next() is None


def test_one_that_is_in_use_is_waited_for_no_longer_than_the_test() -> None:
    story = costly()
    story.at(story.seconds + 5).finds_idle(LESSER, idle=False)
    assert story.decides(LESSER).act is Act.NOTHING
    assert story.loads_next() == BEST


def test_one_that_does_not_leave_holds_nobody_back_for_more_than_half_a_minute() -> None:
    story = costly()
    story.finds_idle(LESSER)
    unload = story.decides(LESSER).request
    assert unload is not None
    story.sends(unload)
    story.at(story.seconds + 29).looks(entry(LESSER, 8))
    assert story.loads_next() is None
    story.at(story.seconds + 2).finds_idle(LESSER, idle=False)
    assert story.loads_next() == BEST


def test_one_that_a_client_loads_back_at_once_is_not_about_to_go_any_more() -> None:
    story = costly()
    story.finds_idle(LESSER)
    unload = story.decides(LESSER).request
    assert unload is not None
    story.sends(unload).looks()
    story.at(story.seconds + 5).looks(listed(LESSER, story.seconds + 300))
    assert story.loads_next() == BEST
    story.at(story.seconds + 5).looks()
    assert story.last("model.lost").displaced_by != BEST


def test_of_two_the_lesser_one_is_evicted_by_the_server_itself() -> None:
    story = Story((wanted(BEST), wanted(LESSER))).begins()
    story.warms(BEST)
    story.warms(LESSER, 4.0, entry(LESSER, 4))
    assert story.decides(LESSER).act is Act.NOTHING
    assert story.loads_next() == BEST


@pytest.mark.parametrize("gone_s", [60.0, 600.0])
def test_a_load_of_a_client_never_makes_way(gone_s: float) -> None:
    story = costly()
    story.at(story.seconds + gone_s).looks(listed(LESSER, story.seconds + 300, context=8192, size=6 * 2**30))
    assert story.decides(LESSER).why is not Why.MAKES_WAY
    assert story.loads_next() == BEST


def test_whom_it_cost_their_places_is_known_after_a_restart_of_the_keeper() -> None:
    story = costly()
    full = story.memory.full
    assert full is not None
    assert full.losers == (BEST, BETTER)
    anew = Story((wanted(BEST), wanted(BETTER), wanted(LESSER)))
    kept = restored_server(anew.memory, server_document(story.memory), anew.now)
    assert kept.full is not None
    assert kept.full.losers == full.losers
