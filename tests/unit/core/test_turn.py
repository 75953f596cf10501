"""Whose turn it is to load, and every reason to wait (DESIGN 3.2, CONTRACT 8)."""

import pytest

from ollama_keeper.core.facts import Answered, Failed, Hurried, Kind, LookSilent, Shown, Versioned
from ollama_keeper.core.holds import holds
from ollama_keeper.core.policy import Contention, ranked
from ollama_keeper.core.reasons import Failure, Reason
from ollama_keeper.core.turn import next_hold_ends, next_load
from tests.kit.story import PIN_S, Story, instant, listed, wanted


def absent(*names: str, **wishes: object) -> Story:
    return Story(tuple(wanted(name, **wishes) for name in names)).begins()


def test_nothing_is_loaded_before_it_is_known_what_is_pulled_and_what_kind_it_is() -> None:
    story = Story((wanted("a"),)).learns(Versioned("0.33.0")).looks()
    assert story.loads_next() is None
    assert story.learns_what_is_pulled().loads_next() == "a"


def test_loads_go_by_priority_then_by_the_order_given() -> None:
    story = Story((wanted("low", priority=1), wanted("b"), wanted("c"), wanted("high", priority=200))).begins()
    loaded = []
    entries = []
    while (name := story.loads_next()) is not None:
        loaded.append(name)
        entries.append(listed(name, story.seconds + PIN_S))
        story.warms(name, 1.0, *entries)
    assert loaded == ["high", "b", "c", "low"]


def test_pins_of_lower_priority_get_shorter_centuries() -> None:
    policies = ranked(
        (wanted("x", priority=5), wanted("y", priority=9), wanted("z", priority=7), wanted("l", lease_s=90.0))
    )
    assert [(policy.model, policy.keep_alive) for policy in policies] == [
        ("l", 90),
        ("y", -1),
        ("z", "875000h"),
        ("x", "874000h"),
    ]


def test_one_load_at_a_time() -> None:
    story = absent("a", "b")
    story.opens_warm("a")
    assert story.loads_next() is None
    assert story.state("b") == ("queued", Reason.BEHIND_LOAD)


def test_a_ping_that_is_not_answered_for_five_seconds_counts_as_the_one_load() -> None:
    story = absent("a", "b")
    story.warms("a", 4.0, listed("a")).at(330).looks(listed("a"))
    request = story.decides("a").request
    assert request is not None
    from ollama_keeper.core.facts import Opened

    story.learns(Opened(request))
    assert story.at(334).loads_next() == "b"
    assert story.at(335.5).loads_next() is None


@pytest.mark.parametrize("trouble", ["down", "busy", "failed once"])
def test_nothing_is_loaded_into_a_server_that_does_not_answer(trouble: str) -> None:
    story = absent("a").at(15)
    if trouble == "busy":
        story.learns(LookSilent()).learns(Versioned("0.33.0"))
    else:
        story.fails_to_look(times=3 if trouble == "down" else 1)
    assert story.loads_next() is None


def test_what_an_old_guest_has_is_not_asked_by_a_name_that_means_other_weights_by_now() -> None:
    ours = Shown(Kind.COMPLETION, "blob-of-a", trained_context=32_768)
    story = Story((wanted("a"),), kinds={"guest:latest": ours}, pulled={"guest:latest": "copied"})
    story.begins(listed("guest"))
    assert story.model("a").present is None
    assert story.loads_next() == "a"


def test_a_guest_whose_name_still_means_it_may_be_ours() -> None:
    ours = Shown(Kind.COMPLETION, "blob-of-a", trained_context=32_768)
    story = Story((wanted("a"),), kinds={"guest:latest": ours}).begins().looks(listed("guest"))
    assert story.state("a") == ("ready", None)


# --- grace, yield -----------------------------------------------------------------------------------------------------


def test_an_unexplained_unload_is_left_alone_for_a_minute() -> None:
    story = absent("a")
    story.warms("a", 4.0, listed("a")).at(19).looks()
    assert story.state("a") == ("cold", Reason.UNLOAD_GRACE)
    assert story.at(78).looks().loads_next() is None
    assert story.at(80).looks().loads_next() == "a"


def test_an_expired_lease_is_warmed_at_once() -> None:
    story = absent("a")
    story.warms("a", 4.0, listed("a", 14)).at(19).looks()
    assert story.loads_next() == "a"


def test_after_a_restart_all_are_warmed_at_once_by_rank() -> None:
    story = absent("a", "b")
    story.warms("a", 1.0, listed("a")).warms("b", 1.0, listed("a"), listed("b"))
    story.at(20).fails_to_look(Failure.RESET).at(22).looks()
    assert story.loads_next() == "a"


def test_a_guest_that_displaced_us_is_left_alone_until_it_has_been_idle_for_a_minute() -> None:
    story = absent("a")
    story.warms("a", 4.0, listed("a")).at(19).looks(listed("guest", 300))
    assert story.state("a") == ("yielding", Reason.GUEST_ACTIVE)
    story.at(60).looks(listed("guest", 360))
    assert story.at(119).looks(listed("guest", 360)).loads_next() is None
    assert story.at(121).looks(listed("guest", 360)).loads_next() == "a"


def behind_a_guest(guest_until_s: float, *names: str, **wishes: object) -> Story:
    """`a`, which took 4 s to load, was displaced by a guest that is gone at the look at 22 s."""
    story = absent("a", *names, **wishes)
    return story.warms("a", 4.0, listed("a")).at(19).looks(listed("guest", guest_until_s)).at(22).looks()


def test_it_is_warmed_as_soon_as_the_time_of_the_guest_is_over() -> None:
    assert behind_a_guest(21).loads_next() == "a"


def test_a_guest_gone_before_its_time_may_have_made_way_for_another_which_is_given_the_time_to_load() -> None:
    story = behind_a_guest(300)
    assert story.state("a") == ("queued", Reason.BEHIND_LOAD)
    assert story.at(51).looks().loads_next() is None
    assert story.at(53).looks().loads_next() == "a"


def test_the_second_guest_that_comes_is_yielded_to_in_its_turn() -> None:
    story = behind_a_guest(300).at(26).looks(listed("second", 326))
    assert story.state("a") == ("yielding", Reason.GUEST_ACTIVE)


def test_who_insists_does_not_wait_for_a_second_guest() -> None:
    assert behind_a_guest(300, contention=Contention.INSIST).loads_next() == "a"


def test_the_log_names_the_guest_and_says_yielding_once() -> None:
    story = absent("a")
    story.warms("a", 4.0, listed("a")).at(19).looks(listed("guest", 300))
    story.at(22).looks(listed("guest", 302)).at(25).looks(listed("guest", 305))
    assert story.events("model.yielding") == ["model.yielding"]
    assert story.last("model.yielding").to == "guest:latest"


def test_a_guest_that_appears_in_the_grace_makes_the_model_yield() -> None:
    story = absent("a")
    story.warms("a", 4.0, listed("a")).at(19).looks().at(22).looks(listed("guest", 322))
    assert story.state("a") == ("yielding", Reason.GUEST_ACTIVE)


def test_one_of_ours_that_a_client_brought_back_is_given_way_while_it_is_used() -> None:
    story = absent("a", "b")
    story.warms("a", 4.0, listed("a")).warms("b", 4.0, listed("a"), listed("b")).at(19).looks()
    story.at(22).looks(listed("b", 322))
    assert story.state("a") == ("yielding", Reason.GUEST_ACTIVE)
    assert story.at(80).looks(listed("b", 380)).loads_next() is None
    assert story.at(141).looks(listed("b", 380)).loads_next() == "a"


def test_a_kept_model_that_a_client_brings_back_each_time_is_not_fought_for_ever() -> None:
    story = absent("a", "b")
    for _ in range(3):
        start = story.seconds
        story.warms("a", 4.0, listed("a")).at(start + 19).looks().at(start + 30).looks(listed("b", start + 330))
        story.at(start + 100).looks(listed("b", start + 330))
    assert story.events("breaker") == ["breaker.opened"]
    assert story.state("a") == ("backing_off", Reason.BREAKER_OPEN)


def test_insist_comes_back_at_once_and_observe_never() -> None:
    insists = absent("a", contention=Contention.INSIST)
    insists.warms("a", 4.0, listed("a")).at(19).looks(listed("guest", 300))
    assert insists.loads_next() == "a"
    observes = absent("a", contention=Contention.OBSERVE)
    assert observes.loads_next() is None
    assert observes.state("a") == ("cold", Reason.OBSERVED_ONLY)


# --- failures ---------------------------------------------------------------------------------------------------------


def test_failed_warms_back_off_doubling_from_five_seconds_within_ten_percent() -> None:
    story = absent("a")
    waits = []
    for _ in range(2):
        story.fails_to_warm("a", Failure.LOAD_STALLED)
        waits.append(story.last("warm.failed").retry_s)
        story.at(story.seconds + 60).looks()
    assert [wait == pytest.approx(step, rel=0.1) for wait, step in zip(waits, (5, 10), strict=True)] == [True, True]


def test_the_third_failure_in_a_row_opens_the_breaker_for_five_minutes() -> None:
    story = absent("a")
    for _ in range(3):
        story.fails_to_warm("a", Failure.LOAD_FAILED)
        story.at(story.seconds + 25).looks()
    opened = story.last("breaker.opened")
    assert (opened.failures, opened.open_s) == (3, pytest.approx(300, rel=0.1))
    assert story.state("a") == ("backing_off", Reason.BREAKER_OPEN)


def test_a_failed_trial_doubles_the_time_and_a_good_one_closes_the_breaker() -> None:
    story = absent("a")
    for _ in range(3):
        story.fails_to_warm("a", Failure.LOAD_FAILED)
        story.at(story.seconds + 25).looks()
    story.at(story.seconds + 400).looks().fails_to_warm("a", Failure.LOAD_FAILED)
    assert story.last("breaker.opened").open_s == pytest.approx(600, rel=0.1)
    story.at(story.seconds + 700).looks().warms("a", 4.0)
    assert story.events("breaker")[-1] == "breaker.closed"
    assert story.state("a") == ("ready", None)


def test_a_failed_warm_that_made_wanted_models_vanish_opens_the_breaker_at_once() -> None:
    story = absent("a", "b")
    story.warms("a", 4.0, listed("a")).opens_warm("b")
    story.at(6).looks()
    from ollama_keeper.core.requests import warm_request

    story.learns(Failed(warm_request(story.model("b")), Failure.OUT_OF_MEMORY, 500))
    assert story.last("warm.failed").collateral == ("a",)
    assert story.events("breaker") == ["breaker.opened"]
    assert story.state("b") == ("contended", Reason.SWEEPS_WANTED)
    assert story.loads_next() == "a"


def test_three_displacements_in_ten_minutes_open_the_breaker() -> None:
    story = absent("a", contention=Contention.INSIST)
    for _ in range(3):
        story.warms("a", 4.0, listed("a", story.seconds + PIN_S))
        story.at(story.seconds + 15).looks(listed("guest", story.seconds + 300, digest=f"{story.seconds}"))
    assert story.state("a") == ("backing_off", Reason.BREAKER_OPEN)


def swapped(times: int, *, every_s: float) -> Story:
    """Our load, a guest that takes its place after a minute, its rest of a minute, and so on."""
    story = absent("a")
    for _ in range(times):
        story.at(story.seconds + every_s - 79).looks()
        story.warms("a", 4.0, listed("a", story.seconds + PIN_S))
        story.looks_until(story.seconds + 60, story.memory.present[0].listed)
        story.at(story.seconds + 15).looks(listed("guest", 2 * PIN_S + story.seconds))
    return story


def test_a_guest_that_comes_back_within_minutes_of_each_load_is_given_way() -> None:
    story = swapped(3, every_s=700)
    assert story.events("breaker") == ["breaker.opened"]
    assert "a second keeper" in (story.last("breaker.opened").hint or "")
    rests = story.memory.present[0].listed
    assert story.looks_until(story.seconds + 3_500, rests, every=60).loads_next() is None
    assert story.state("a") == ("backing_off", Reason.BREAKER_OPEN)


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "unused-for-an-hour"])
def test_the_guest_is_given_way_until_it_is(gone: bool) -> None:
    story = swapped(3, every_s=700)
    rests = story.memory.present[0].listed
    story.looks_until(story.seconds + (600 if gone else 3_700), rests, every=60)
    there = () if gone else (rests,)
    assert story.at(story.seconds + 15).looks(*there).at(story.seconds + 31).looks(*there).loads_next() == "a"


def test_a_guest_that_comes_every_half_hour_is_not_given_way_for_good() -> None:
    assert swapped(5, every_s=1_800).events("breaker") == []


def test_at_most_twelve_failed_loads_an_hour_a_server() -> None:
    story = absent(*"abcdefghijklm")
    for name in "abcdefghijkl":
        story.fails_to_warm(name, Failure.LOAD_STALLED)
    assert [hold.reason for hold in holds(story.model("m"), story.memory, story.now)] == [Reason.HOUR_LIMIT]
    assert story.at(3_700).looks().loads_next() == "a"


def test_a_model_that_the_server_refuses_by_400_is_not_asked_for_again() -> None:
    story = absent("a").fails_to_warm("a", Failure.BAD_REQUEST)
    assert story.state("a") == ("refused", Reason.BAD_REQUEST)
    assert story.at(90_000).looks().loads_next() is None


def test_a_model_that_is_not_there_is_missing_until_it_arrives() -> None:
    story = absent("a").fails_to_warm("a", Failure.NOT_FOUND)
    assert story.state("a") == ("missing", Reason.NOT_PULLED)
    assert story.last("model.missing").hint == "ollama pull a"
    assert story.at(60).looks().learns_what_is_pulled("a").loads_next() is None
    assert story.at(120).looks().learns_what_is_pulled().loads_next() == "a"


# --- full -------------------------------------------------------------------------------------------------------------


def test_two_that_cannot_be_together_cost_three_loads_and_then_none_for_a_day() -> None:
    story = absent("a", "b")
    loads = []
    resident: list[str] = []
    for _ in range(400):
        name = story.loads_next()
        if name is not None:
            loads.append(name)
            resident = [name]
            story.warms(name, 4.0, listed(name))
        story.at(story.seconds + 15).looks(*(listed(name) for name in resident))
    assert loads == ["a", "b", "a"]
    assert story.state("b") == ("contended", Reason.EVICTS_WANTED)
    assert story.events("model.contended") == ["model.contended"]
    assert story.last("model.contended").with_ == "a"


def test_a_full_server_holds_back_all_lower_ranks_too() -> None:
    story = absent("a", "b", "c")
    story.warms("a", 4.0, listed("a")).warms("b", 4.0, listed("b")).warms("a", 4.0, listed("a"))
    assert story.state("b")[1] is Reason.EVICTS_WANTED
    assert story.state("c")[1] is Reason.SERVER_FULL
    assert story.loads_next() is None


def test_when_the_time_of_a_guest_on_a_full_server_is_over_the_next_is_tried_again() -> None:
    story = absent("a", "b")
    guest = listed("guest", 20)
    story.warms("a", 4.0, listed("a"), guest).warms("b", 4.0, listed("b"), guest).warms("a", 4.0, listed("a"), guest)
    assert story.loads_next() is None
    assert story.at(22).looks(listed("a")).loads_next() == "b"


# --- a gap, which a load that no look shows may be taking -------------------------------------------------------------


def test_a_guest_that_our_load_pushed_out_while_it_was_in_use_is_waited_for() -> None:
    story = absent("a", "b").warms("a", 4.0, listed("a")).warms("b", 4.0, listed("a"), listed("b"))
    story.at(30).looks(listed("a")).at(91).looks(listed("a")).opens_warm("b")
    story.at(95).looks(listed("guest", 395)).at(100).warms("b", 4.0, listed("b"))
    assert story.state("a") == ("queued", Reason.BEHIND_LOAD)
    assert story.at(105).looks(listed("b")).loads_next() is None
    assert story.at(107).looks(listed("b"), listed("guest", 407)).state("a") == ("yielding", Reason.GUEST_ACTIVE)


def test_so_is_a_kept_model_that_a_client_uses_when_our_load_pushes_it_out() -> None:
    story = absent("a", "b", "c").warms("a", 4.0, listed("a")).at(20).looks(listed("a"), listed("c", 320))
    request = story.opens_warm("b")
    story.at(23).looks(listed("a"), listed("c", 323)).at(26).learns(Answered(request)).looks(listed("b"))
    assert story.at(40).looks(listed("b")).loads_next() is None
    assert story.at(61).looks(listed("b")).loads_next() == "a"


def test_a_guest_that_was_idle_when_our_load_pushed_it_out_is_not_waited_for() -> None:
    story = absent("a", "b").looks(listed("guest", 300)).at(61).warms("a", 4.0, listed("a"))
    assert story.loads_next() == "b"


def test_a_full_server_stays_so_when_one_guest_leaves_for_another_that_no_look_shows_yet() -> None:
    """The end of the gap was taken for room: the lesser model was loaded just when the second guest had come."""
    story = absent("best", "lesser").looks(listed("one", 300))
    story.warms("best", 40.0, listed("best"), listed("one", 340)).warms("lesser", 40.0, listed("lesser"), listed("one"))
    story.at(story.seconds + 3).warms("best", 40.0, listed("best"), listed("one"))
    story.at(story.seconds + 15).looks(listed("best")).at(story.seconds + 20).looks(listed("best"), listed("two"))
    assert story.state("lesser") == ("contended", Reason.EVICTS_WANTED)
    assert story.looks_until(story.seconds + 300, listed("best"), listed("two")).loads_next() is None


def test_a_full_server_is_tried_again_once_nobody_has_taken_what_a_guest_left() -> None:
    story = absent("best", "lesser").looks(listed("one", 300))
    story.warms("best", 4.0, listed("best"), listed("one", 340)).warms("lesser", 4.0, listed("lesser"), listed("one"))
    story.at(story.seconds + 3).warms("best", 4.0, listed("best"), listed("one"))
    story.at(story.seconds + 15).looks(listed("best"))
    assert story.state("lesser") == ("contended", Reason.EVICTS_WANTED)
    assert story.at(story.seconds + 31).looks(listed("best")).loads_next() == "lesser"


def all_three() -> Story:
    """Three that fit when the largest, `b`, is loaded before `c`, and not the other way round."""
    story = absent("a", "b", "c").warms("a", 4.0, listed("a")).warms("b", 4.0, listed("a"), listed("b"))
    story.warms("c", 4.0, listed("a"), listed("b"), listed("c"))
    story.at(30).looks(listed("a"), listed("c")).at(91).looks(listed("a"), listed("c"))
    return story.warms("b", 4.0, listed("b")).warms("a", 4.0, listed("a"), listed("b"))


def test_what_stood_beside_all_that_is_there_now_is_tried_again_whatever_another_load_had_cost() -> None:
    assert all_three().loads_next() == "c"


def test_and_is_contended_once_that_proved_wrong() -> None:
    story = all_three().warms("c", 4.0, listed("b"), listed("c")).warms("a", 4.0, listed("a"), listed("b"))
    assert story.state("c")[0] == "contended"


def test_a_mark_that_is_over_is_set_anew_when_the_same_happens_again() -> None:
    story = absent("a", "b").warms("a", 4.0, listed("a")).warms("b", 4.0, listed("b")).warms("a", 4.0, listed("a"))
    story.looks_until(86_500, listed("a"), every=300)
    assert story.loads_next() == "b"
    story.warms("b", 4.0, listed("b")).warms("a", 4.0, listed("a"))
    assert story.state("b") == ("contended", Reason.EVICTS_WANTED)


def test_a_better_model_that_costs_a_lesser_one_its_place_holds_that_back_for_an_hour() -> None:
    story = absent("a", "b").looks(listed("b", 300)).warms("a", 4.0, listed("a"))
    assert story.state("b") == ("contended", Reason.SERVER_FULL)
    assert story.looks_until(3_500, listed("a"), every=60).loads_next() is None
    assert story.looks_until(3_700, listed("a"), every=60).loads_next() == "b"


def test_who_leaves_and_comes_back_by_the_minute_does_not_starve_the_others() -> None:
    """A client that unloads its guest after each answer, on a server with room for all."""
    story = absent("a").warms("a", 4.0, listed("a")).at(19).looks()
    for _ in range(3):
        story.at(story.seconds + 25).looks(listed("guest", story.seconds + 25)).at(story.seconds + 25).looks()
    assert story.loads_next() == "a"


def test_what_a_guest_or_a_client_brought_ends_the_gap() -> None:
    story = absent("a", "b").looks(listed("guest", 300)).at(15).looks()
    assert story.loads_next() is None
    assert story.at(18).looks(listed("other", 318)).loads_next() == "a"


def test_who_was_asked_for_by_name_does_not_wait_for_a_gap() -> None:
    story = absent("a").looks(listed("guest", 300)).at(15).looks()
    assert story.loads_next() is None
    assert story.learns(Hurried(("a",))).loads_next() == "a"


# --- the scheduler's hang ---------------------------------------------------------------------------------------------


def test_a_warm_open_for_thirty_minutes_while_nothing_changes_shows_a_hung_scheduler() -> None:
    story = absent("a", "b")
    story.opens_warm("a")
    story.looks_until(1_790)
    assert story.events("server.scheduler_hung") == []
    story.looks_until(1_830)
    assert story.events("server.scheduler_hung") == ["server.scheduler_hung"]
    assert story.state("b") == ("cold", Reason.SCHEDULER_HUNG)


def test_giving_up_a_load_is_no_recovery_of_the_scheduler_but_a_change_is() -> None:
    story = absent("a")
    request = story.opens_warm("a")
    story.looks_until(1_805).learns(Failed(request, Failure.LOAD_TIMEOUT))
    assert story.memory.hung is not None
    assert story.events("server.recovered") == []
    assert story.looks_until(2_400).loads_next() is None
    story.at(2_415).looks(listed("guest"))
    assert story.events("server.recovered") == ["server.recovered"]
    assert story.memory.hung is None


def test_a_load_that_was_given_up_is_not_repeated_until_something_changes() -> None:
    story = absent("a", "b").fails_to_warm("a", Failure.LOAD_TIMEOUT, took_s=1_800)
    assert story.looks_until(3_000).loads_next() is None
    assert story.at(3_015).looks(listed("guest")).loads_next() == "a"


def test_it_is_known_when_the_first_hold_ends() -> None:
    story = absent("a")
    story.warms("a", 4.0, listed("a")).at(19).looks()
    assert next_hold_ends(story.memory, story.now) == instant(79).mono


# --- names and weights ------------------------------------------------------------------------------------------------


def test_two_names_of_one_blob_with_other_options_leave_the_lower_rank_refused() -> None:
    shown = Shown(Kind.COMPLETION, "blob")
    story = Story((wanted("a"), wanted("b", context=8_192)), kinds={"a": shown, "b": shown}).begins()
    assert story.state("b") == ("refused", Reason.SAME_WEIGHTS)
    assert story.last("model.refused").with_ == "a"
    assert story.loads_next() == "a"


def test_two_names_of_one_blob_with_the_same_options_share_one_load() -> None:
    shown = Shown(Kind.COMPLETION, "blob")
    story = Story((wanted("a"), wanted("b")), kinds={"a": shown, "b": shown}).begins()
    story.warms("a", 4.0, listed("a"))
    assert story.state("b") == ("ready", None)
    assert story.loads_next() is None


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        pytest.param("gpt-oss:120b-cloud", Kind.COMPLETION, Reason.CLOUD_MODEL, id="cloud-by-its-name"),
        pytest.param("stub", Kind.CLOUD, Reason.CLOUD_MODEL, id="cloud-by-what-show-says"),
        pytest.param("flux", Kind.IMAGE, Reason.IMAGE_MODEL, id="image"),
    ],
)
def test_cloud_and_image_models_are_refused_and_the_rest_goes_on(name: str, kind: Kind, reason: Reason) -> None:
    story = Story((wanted(name), wanted("a")), kinds={name: Shown(kind)}).begins()
    assert story.state(name) == ("refused", reason)
    assert story.loads_next() == "a"


def test_next_load_of_an_empty_memory_is_none() -> None:
    assert next_load(Story(()).memory, instant(0)) is None
