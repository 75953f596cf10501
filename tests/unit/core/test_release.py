"""A model that is not to be kept any more is given back once, and only what is ours."""

from dataclasses import replace

import pytest

from ollama_keeper.core.decide import Act, Why
from ollama_keeper.core.facts import Answered, Configured, Failed, IdleTested, Opened, Paused, Send
from ollama_keeper.core.pace import look_after_s
from ollama_keeper.core.policy import Budget, Policy, Release, ranked
from ollama_keeper.core.reasons import Failure
from ollama_keeper.core.requests import ping_request
from tests.kit.story import PIN_S, Story, listed, wanted


def keeping(*policies: Policy | str) -> Story:
    """A story in which every model was warmed by us."""
    story = Story(tuple(wanted(policy) if isinstance(policy, str) else policy for policy in policies)).begins()
    entries = []
    for policy in story.policies:
        name, left = policy.model, policy.lease_s or PIN_S
        entries.append(listed(name, story.seconds + 4 + left))
        story.warms(name, 4.0, *entries)
    return story


def unwanted(story: Story, *still: Policy) -> Story:
    """The configuration is read anew: only `still` is wanted."""
    return story.learns(Configured(ranked(still)))


def test_a_pin_is_lowered_once_after_the_idle_test() -> None:
    story = unwanted(keeping("a"))
    assert story.decides("a").act is Act.IDLE_TEST
    sent = story.finds_idle("a").decides("a").request
    assert sent is not None
    assert (sent.send, sent.keep_alive) == (Send.RELEASE, "5m")
    story.sends(sent)
    assert [change.how for change in story.told if change.event == "model.released"] == ["expire"]
    assert story.memory.known == ()


def test_a_busy_model_is_asked_again_a_minute_later() -> None:
    story = unwanted(keeping("a")).finds_idle("a", idle=False)
    assert story.decides("a").why is Why.BUSY
    pinned = listed("a")
    assert story.at(story.seconds + 61).looks(pinned).decides("a").act is Act.IDLE_TEST


def test_a_lease_is_only_not_renewed() -> None:
    story = unwanted(keeping(wanted("a", lease_s=120.0)))
    assert story.memory.known == ()
    assert story.last("model.released").how == "expire"


def test_unload_takes_it_out_at_once_and_is_told_when_it_is_gone() -> None:
    story = unwanted(keeping(wanted("a", release=Release.UNLOAD)))
    decision = story.decides("a")
    assert decision.act is Act.UNLOAD
    assert decision.request is not None
    assert decision.request.keep_alive == 0
    story.sends(decision.request)
    assert "model.released" not in story.events()
    story.looks()
    assert story.last("model.released").how == "unload"
    assert story.memory.known == ()


@pytest.mark.parametrize("release", Release)
def test_a_clients_load_is_left_as_it_is(release: Release) -> None:
    story = Story((wanted("a", release=release),)).begins(listed("a"))
    assert unwanted(story).memory.known == ()


def under_two_names() -> Story:
    """`a` was loaded by us, and `alias` has the same runner."""
    story = keeping("a", "alias")
    both = replace(listed("a"), digest=story.model("a").pulled or "")
    story.looks(both)
    alias = replace(story.model("alias"), present=story.model("a").present, departure=None, record=None)
    story.memory = story.memory.with_model(alias)
    return story


def test_what_is_paused_under_all_its_names_is_given_back() -> None:
    story = under_two_names().learns(Paused(("a",), None, "somebody", unload=True))
    assert story.decides("a").act is Act.NOTHING
    assert story.learns(Paused(("alias",), None, "somebody", unload=True)).decides("a").act is Act.UNLOAD


def test_one_runner_under_two_names_takes_its_room_once() -> None:
    story = under_two_names().learns(Configured(ranked((wanted("a"), wanted("alias"))), budget=Budget(models=1)))
    assert [story.state(name)[0] for name in ("a", "alias")] == ["ready", "ready"]


def test_what_was_given_back_is_looked_at_soon() -> None:
    story = keeping(wanted("a", interval_s=600.0)).learns(Paused(("a",), None, "somebody"))
    sent = story.finds_idle("a").decides("a").request
    assert sent is not None
    assert look_after_s(story.memory) == 600
    assert look_after_s(story.sends(sent).memory) == 3
    assert look_after_s(story.looks(listed("a", story.seconds + 300)).memory) == 600


def test_what_another_kept_name_needs_stays_pinned() -> None:
    story = under_two_names()
    assert unwanted(story, wanted("alias")).memory.leaving == ()


def test_a_load_under_way_ends_and_is_given_back_then() -> None:
    story = Story((wanted("a"),)).begins()
    request = story.opens_warm("a")
    unwanted(story)
    assert [model.model for model in story.memory.leaving] == ["a"]
    assert story.loads_next() is None
    story.at(10).learns(Answered(request)).looks(listed("a", 10 + PIN_S))
    assert story.decides("a").act is Act.IDLE_TEST


def test_one_that_leaves_by_itself_is_nobodys_loss() -> None:
    story = unwanted(keeping("a"))
    story.at(story.seconds + 15).looks()
    assert "model.lost" not in story.events()
    assert story.memory.known == ()


def test_one_that_is_wanted_again_goes_on_as_ours() -> None:
    story = unwanted(keeping("a"))
    unwanted(story, wanted("a"))
    assert story.memory.leaving == ()
    assert story.decides("a").why is Why.NOT_DUE


def test_a_failed_release_is_tried_again_after_a_minute() -> None:
    story = unwanted(keeping("a")).finds_idle("a")
    request = story.decides("a").request
    assert request is not None
    story.learns(Opened(request)).learns(Failed(request, Failure.RESET))
    assert story.decides("a").act is Act.NOTHING
    assert story.at(story.seconds + 61).looks(listed("a")).decides("a").act is Act.IDLE_TEST


def test_facts_of_a_model_that_is_gone_change_nothing() -> None:
    story = keeping(wanted("a", lease_s=120.0))
    ping = ping_request(story.model("a"), ())
    before = unwanted(story).memory
    for fact in (Opened(ping), Answered(ping), IdleTested("a", idle=True), Failed(ping, Failure.DNS)):
        assert story.learns(fact).memory == before


def test_a_reload_that_changes_nothing_of_a_model_keeps_what_is_known_of_it() -> None:
    story = keeping("a", "b")
    before = story.model("a")
    unwanted(story, wanted("a"), wanted("c"))
    assert replace(story.model("a"), policy=before.policy) == before
