"""Why a model left (CONTRACT 4): the first cause whose test holds."""

import pytest

from ollama_keeper.core.policy import OnExpire
from ollama_keeper.core.reasons import Cause, Failure
from tests.kit.story import Story, listed, wanted


def resident(*names: str, expires_s: float = 10_000_000_000.0) -> Story:
    """A story in which the named models are listed at noon."""
    story = Story(tuple(wanted(name) for name in names))
    return story.begins(*(listed(name, expires_s) for name in names))


def test_a_model_that_vanishes_with_time_left_was_unloaded() -> None:
    story = resident("a", "b").at(15).looks(listed("b"))
    assert story.last("model.lost").cause is Cause.UNLOADED


def test_a_client_that_unloads_after_each_request_is_told_from_the_third_time_in_an_hour_on() -> None:
    story = resident("a")
    hints = []
    for _ in range(3):
        story.at(story.seconds + 15).looks()
        hints.append(story.last("model.lost").hint or "")
        story.at(story.seconds + 100).looks().warms("a", 4.0, listed("a"))
    assert ["keep_alive 0" in hint for hint in hints] == [False, False, True]
    story.at(story.seconds + 4_000).looks(listed("a")).at(story.seconds + 15).looks()
    assert "on purpose" in (story.last("model.lost").hint or "")


def test_a_guest_that_was_loading_is_no_client_that_unloads() -> None:
    story = resident("a")
    story.at(15).looks().at(30).looks(listed("guest", 330))
    assert story.model("a").unloads == ()


def test_a_model_whose_expiry_passed_has_expired() -> None:
    story = resident("a", expires_s=10).at(15).looks()
    assert story.last("model.lost").cause is Cause.EXPIRED


def test_a_model_whose_expiry_was_already_past_was_unloaded() -> None:
    """`ollama stop` of a busy model sets the expiry to now and lists it on (OLLAMA.md 2)."""
    story = resident("a", expires_s=10).at(15).looks(listed("a", 10)).at(30).looks()
    assert story.last("model.lost").cause is Cause.UNLOADED


def test_a_busy_model_that_was_condemned_at_the_last_look_was_unloaded() -> None:
    """A client that waits for it with other options, or keep_alive 0: each look lists its own time as the end."""
    story = resident("a", expires_s=300).at(15).looks(listed("a", 15.004)).at(30).looks()
    assert story.last("model.lost").cause is Cause.UNLOADED
    assert story.state("a")[0] == "cold"


def test_a_model_that_left_while_another_came_was_displaced_by_it() -> None:
    lost = resident("a").at(15).looks(listed("guest")).last("model.lost")
    assert (lost.cause, lost.displaced_by) == (Cause.DISPLACED, "guest:latest")


def test_a_model_that_left_while_our_load_of_another_was_open_was_displaced_by_that() -> None:
    story = Story((wanted("a"), wanted("b"))).begins(listed("a"))
    story.opens_warm("b")
    lost = story.at(3).looks().last("model.lost")
    assert (lost.cause, lost.displaced_by) == (Cause.DISPLACED, "b")


def test_a_model_that_our_load_of_another_condemned_in_its_first_request_was_displaced_by_that() -> None:
    """Its keep-alive is 0 then, so that it is listed as ending at each look (OLLAMA.md 1, 2)."""
    story = Story((wanted("a"), wanted("b"))).begins(listed("a", 300)).at(1)
    story.opens_warm("b")
    lost = story.at(5).looks(listed("a", 5)).at(8).looks().last("model.lost")
    assert (lost.cause, lost.displaced_by) == (Cause.DISPLACED, "b")


def test_a_lease_that_ends_while_our_load_of_another_is_open_has_expired() -> None:
    story = Story((wanted("a"), wanted("b"))).begins(listed("a", 7)).at(1)
    story.opens_warm("b")
    assert story.at(8).looks().last("model.lost").cause is Cause.EXPIRED


def test_two_gone_at_once_and_nothing_listed_is_a_memory_sweep() -> None:
    story = resident("a", "b").at(15).looks()
    assert [change.cause for change in story.told if change.event == "model.lost"] == [Cause.MEMORY_SWEEP] * 2


def test_all_gone_after_a_failed_look_is_a_restart() -> None:
    story = resident("a", "b").at(15).fails_to_look(Failure.RESET).at(17).looks()
    assert story.last("model.lost").cause is Cause.SERVER_RESTARTED
    assert story.events("server.restarted") == ["server.restarted"]


def test_all_gone_after_the_server_closed_the_connection_is_a_restart() -> None:
    story = resident("a").at(15).looks(reconnected=True)
    assert story.last("model.lost").cause is Cause.SERVER_RESTARTED


def test_another_version_is_a_restart_told_once() -> None:
    story = resident("a", "b").at(15)
    story.version = "0.34.0"
    story.begins()
    restarted = story.last("server.restarted")
    assert (restarted.version_before, restarted.version) == ("0.33.0", "0.34.0")
    assert story.events("server.restarted") == ["server.restarted"]
    assert story.last("model.lost").cause is Cause.SERVER_RESTARTED


def test_a_gap_of_more_than_three_intervals_leaves_the_cause_unobserved() -> None:
    story = resident("a").at(60).looks()
    assert story.last("model.lost").cause is Cause.UNOBSERVED


def test_one_gone_after_a_failed_look_while_others_stay_is_no_restart() -> None:
    story = resident("a", "b").at(15).fails_to_look().at(17).looks(listed("b"))
    assert story.last("model.lost").cause is Cause.UNLOADED


@pytest.mark.parametrize(
    ("longest_load_s", "grace_s"),
    [
        pytest.param(4.0, 60.0, id="short-loads-leave-the-configured-grace"),
        pytest.param(80.0, 120.0, id="a-long-load-known-lengthens-it-by-half"),
        pytest.param(4_000.0, 600.0, id="but-to-ten-minutes-at-most"),
    ],
)
def test_grace_covers_a_load_that_is_listed_nowhere(longest_load_s: float, grace_s: float) -> None:
    story = Story((wanted("a"), wanted("b"))).begins()
    story.warms("a", longest_load_s)
    story.at(story.seconds + 15).looks()
    assert story.last("model.lost").grace_s == grace_s


def test_a_released_lease_is_a_quiet_loss_and_stays_cold() -> None:
    policy = wanted("a", lease_s=60.0, on_expire=OnExpire.RELEASE)
    story = Story((policy,)).begins()
    story.warms("a", 1.0, listed("a", 61))
    story.looks_until(50, listed("a", 61)).at(65).looks()
    lost = story.last("model.lost")
    assert (lost.level, lost.state, lost.reason) == ("info", "cold", "released")
    assert story.at(4_000).looks().loads_next() is None


def test_a_model_that_vanishes_under_our_open_ping_is_a_reload_and_no_loss() -> None:
    story = Story((wanted("a"),)).begins()
    story.warms("a", 4.0, listed("a"))
    ping = story.looks_until(320, listed("a")).decides("a").request
    assert ping is not None
    from ollama_keeper.core.facts import Answered, Opened

    story.learns(Opened(ping)).at(323).looks()
    assert story.state("a")[0] == "loading"
    story.at(326).learns(Answered(ping)).looks(listed("a", 626))
    assert story.events("model.lost") == []
    reloaded = story.last("model.reloaded")
    assert (reloaded.by, reloaded.reason) == ("keeper", "runner_died")
