"""What a listed model is sent (CONTRACT 1, DESIGN 3.1)."""

from dataclasses import replace

import pytest

from ollama_keeper.core.decide import Act, Why
from ollama_keeper.core.facts import Answered, Kind, Looked, Pulled, Send, Shown, Tagged
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.policy import Contention, OnExpire
from tests.kit.story import GIB, PIN_S, Story, digest_of, listed, wanted


def kept(**wishes: object) -> Story:
    """A model that our own warm pinned at second 4."""
    story = Story((wanted("a", **wishes),)).begins()
    return story.warms("a", 4.0, listed("a"))


def found(*entries: object, **wishes: object) -> Story:
    """A model that was listed when the keeper came, by nobody knows whom."""
    return Story((wanted("a", **wishes),)).begins(*entries)


# --- ours -------------------------------------------------------------------------------------------------------------


def test_a_model_just_warmed_is_sent_nothing() -> None:
    assert kept().decides("a").why is Why.NOT_DUE


def test_a_pin_of_ours_gets_a_ping_without_keep_alive_every_five_minutes() -> None:
    story = kept().looks_until(303, listed("a"))
    assert story.decides("a").act is Act.NOTHING
    decision = story.at(304.5).looks(listed("a")).decides("a")
    assert (decision.act, decision.why) == (Act.PING, Why.DUE)
    assert decision.request is not None
    assert decision.request.keep_alive is None


def test_a_ping_carries_the_options_of_the_load_it_goes_to() -> None:
    story = kept(context=8_192, options=(("num_gpu", 20),)).looks_until(320, listed("a"))
    request = story.decides("a").request
    assert request is not None
    assert request.options == (("num_ctx", 8_192), ("num_gpu", 20))


def test_pings_can_be_switched_off() -> None:
    assert kept(ping_every_s=None).looks_until(9_000, listed("a")).decides("a").act is Act.NOTHING


def test_a_lease_is_renewed_at_half_of_its_time() -> None:
    story = Story((wanted("a", lease_s=120.0),)).begins()
    story.warms("a", 4.0, listed("a", 124))
    assert story.at(50).looks(listed("a", 124)).decides("a").act is Act.NOTHING
    decision = story.at(65).looks(listed("a", 124)).decides("a")
    assert (decision.act, decision.why) == (Act.PING, Why.HALF_TIME)


def test_a_lease_that_is_to_be_released_is_neither_renewed_nor_pinged() -> None:
    story = Story((wanted("a", lease_s=1_000.0, on_expire=OnExpire.RELEASE),)).begins()
    story.warms("a", 4.0, listed("a", 1_004))
    assert story.looks_until(900, listed("a", 1_004)).decides("a").act is Act.NOTHING


# --- shortened --------------------------------------------------------------------------------------------------------


def test_a_pin_that_a_client_shortened_is_tested_before_anything_is_sent() -> None:
    decision = kept().at(20).looks(listed("a", 320)).decides("a")
    assert (decision.act, decision.why) == (Act.IDLE_TEST, Why.SHORTENED)
    assert decision.request is not None
    assert decision.request.keep_alive is None


def test_found_idle_it_is_pinned_again_at_once() -> None:
    decision = kept().at(20).looks(listed("a", 320)).finds_idle("a").decides("a")
    assert decision.act is Act.KEEP
    assert decision.request is not None
    assert (decision.request.send, decision.request.keep_alive) == (Send.REPIN, -1)


def test_what_an_idle_test_allowed_is_not_allowed_two_seconds_later() -> None:
    story = kept().at(20).looks(listed("a", 320)).finds_idle("a")
    assert story.at(22).decides("a").why is Why.BUSY


def test_found_busy_it_is_left_alone_for_a_minute() -> None:
    story = kept().at(20).looks(listed("a", 320)).finds_idle("a", idle=False)
    assert story.decides("a").why is Why.BUSY
    assert story.at(79).looks(listed("a", 320)).decides("a").why is Why.BUSY
    assert story.at(81).looks(listed("a", 320)).decides("a").act is Act.IDLE_TEST


@pytest.mark.parametrize("expires_s", [20.0, 10.0, -60.0, 20.9], ids=["now", "past", "long-past", "in-the-last-second"])
def test_a_past_expiry_is_never_touched(expires_s: float) -> None:
    """It may be somebody's `ollama stop`, which a keep_alive would cancel (OLLAMA.md 4.1)."""
    assert kept().at(20).looks(listed("a", expires_s)).decides("a").why is Why.HANDS_OFF


def test_a_shortened_lease_is_seen_by_its_expiry_coming_too_early() -> None:
    story = Story((wanted("a", lease_s=600.0),)).begins()
    story.warms("a", 4.0, listed("a", 604))
    assert story.at(20).looks(listed("a", 604)).decides("a").act is Act.NOTHING
    assert story.at(30).looks(listed("a", 60)).decides("a").why is Why.SHORTENED


@pytest.mark.parametrize("skew_s", [3_600.0, -3_600.0], ids=["forward", "back"])
def test_a_lease_that_nobody_touched_is_renewed_whatever_the_servers_clock_says(skew_s: float) -> None:
    """The server counts it by a monotonic clock (OLLAMA.md 1), and so can we (FAULTS D5)."""
    story = Story((wanted("a", lease_s=120.0, ping_every_s=None),)).begins()
    story.warms("a", 4.0, listed("a", 124))
    for seconds in (19, 34, 49, 64):
        story.at(seconds).learns(Looked((listed("a", 124),), asked=story.now, skew_s=skew_s))
    decision = story.decides("a")
    assert (decision.act, decision.why) == (Act.PING, Why.HALF_TIME)


def test_a_condemned_runner_in_use_is_not_pinged_when_its_moving_end_comes_to_that_of_our_lease() -> None:
    story = Story((wanted("a", lease_s=600.0, ping_every_s=None),)).begins()
    story.warms("a", 4.0, listed("a", 604))
    for second in range(10, 604, 15):
        story.at(second).looks(listed("a", second))
    assert story.at(602.5).looks(listed("a", 602.5)).decides("a").why is Why.HANDS_OFF


def test_a_stop_of_a_lease_is_no_clock_that_was_set() -> None:
    story = Story((wanted("a", lease_s=120.0),)).begins()
    story.warms("a", 4.0, listed("a", 124))
    assert story.at(70).looks(listed("a", 66)).decides("a").why is Why.HANDS_OFF


def test_a_late_proving_look_does_not_take_a_clients_reload_for_our_load() -> None:
    story = Story((wanted("a"),)).begins()
    request = story.opens_warm("a")
    story.at(4).learns(Answered(request))
    story.at(60).looks(listed("a", 350, context=8_192, size=6 * GIB))
    assert story.model("a").record is None
    assert story.state("a") == ("ready", None)
    assert story.decides("a").why is Why.HANDS_OFF


def test_after_a_re_pin_the_model_is_ours_again() -> None:
    story = kept().at(20).looks(listed("a", 320)).finds_idle("a")
    request = story.decides("a").request
    assert request is not None
    story.sends(request).looks(listed("a", 20 + PIN_S))
    assert story.events("model.repinned") == ["model.repinned"]
    assert story.decides("a").why is Why.NOT_DUE


# --- a client's -------------------------------------------------------------------------------------------------------


def test_a_clients_pin_is_sent_nothing_for_ever() -> None:
    story = found(listed("a", context=8_192)).looks_until(4_000, listed("a", context=8_192))
    assert story.decides("a").why is Why.HANDS_OFF
    assert story.state("a") == ("ready", None)


def test_a_clients_lease_in_use_is_only_watched() -> None:
    story = found(listed("a", 300))
    for second in range(15, 600, 15):
        assert story.at(second).looks(listed("a", second + 300)).decides("a").why is Why.HANDS_OFF


def test_a_clients_lease_that_has_not_moved_for_a_minute_is_taken_over_with_its_own_context() -> None:
    decision = found(listed("a", 300, context=8_192)).looks_until(60, listed("a", 300, context=8_192)).decides("a")
    assert (decision.act, decision.why) == (Act.IDLE_TEST, Why.IDLE_LEASE)
    assert decision.request is not None
    assert decision.request.options == (("num_ctx", 8_192),)


def test_a_clients_lease_about_to_run_out_is_taken_over_without_the_minute() -> None:
    story = found(listed("a", 300)).at(15).looks(listed("a", 40))
    assert story.decides("a").act is Act.IDLE_TEST


def test_a_lease_with_the_context_of_our_own_load_is_taken_over_with_our_options() -> None:
    story = kept(options=(("num_batch", 256),)).at(20).looks(listed("a", 320, size=7))
    story.looks_until(90, listed("a", 320, size=7))
    request = story.decides("a").request
    assert request is not None
    assert request.options == (("num_batch", 256),)


@pytest.mark.parametrize(
    ("version", "shown", "context", "why"),
    [
        pytest.param(
            "0.24.0", Shown(Kind.COMPLETION, "w", 8_192), 8_192, Why.UNSAFE_OPTIONS, id="0.24-shows-it-clamped"
        ),
        pytest.param("0.24.0", Shown(Kind.COMPLETION, "w", 8_192), 4_096, Why.IDLE_LEASE, id="0.24-below-trained"),
        pytest.param("0.33.0", Shown(Kind.EMBEDDER, "w", 512), 512, Why.UNSAFE_OPTIONS, id="small-embedder"),
        pytest.param("0.33.0", Shown(Kind.EMBEDDER, "w", 8_192), 2_048, Why.IDLE_LEASE, id="embedder-from-2048-up"),
        pytest.param("0.9.0", Shown(Kind.COMPLETION, "w", 8_192), None, Why.OLD_SERVER, id="no-context-told"),
        pytest.param("0.33.0", Shown(Kind.COMPLETION, "w", 8_192, mlx=True), 0, Why.IDLE_LEASE, id="mlx-never-reloads"),
        pytest.param("0.0.0", Shown(Kind.COMPLETION, "w", 8_192), 8_192, Why.IDLE_LEASE, id="source-build-is-newest"),
    ],
)
def test_a_take_over_is_made_only_where_the_echo_is_safe(
    version: str, shown: Shown, context: int | None, why: Why
) -> None:
    story = Story((wanted("a"),), version=version, kinds={"a": shown})
    entry = listed("a", 300, context=context)
    assert story.begins(entry).looks_until(75, entry).decides("a").why is why


def test_taken_over_it_is_ours_and_pinned() -> None:
    story = found(listed("a", 300)).looks_until(60, listed("a", 300)).finds_idle("a")
    request = story.decides("a").request
    assert request is not None
    assert (request.send, request.keep_alive) == (Send.TAKEOVER, -1)
    story.sends(request).looks(listed("a"))
    assert story.decides("a").why is Why.NOT_DUE


# --- when nothing may be sent -----------------------------------------------------------------------------------------


def test_other_weights_pulled_stop_the_pings() -> None:
    story = kept().looks_until(320, listed("a")).learns(Tagged((Pulled(parse_name("a"), "new"),)))
    assert story.decides("a").why is Why.OTHER_DIGEST


def test_a_server_below_0_11_5_gets_no_pings() -> None:
    story = Story((wanted("a"),), version="0.11.4").begins()
    assert story.warms("a", 4.0, listed("a")).looks_until(400, listed("a")).decides("a").why is Why.OLD_SERVER


def test_a_server_that_has_not_answered_gets_nothing() -> None:
    story = kept().looks_until(320, listed("a")).fails_to_look()
    assert story.decides("a").why is Why.NOT_ANSWERED


def test_no_ping_beside_a_young_load_of_ours_but_beside_an_old_one() -> None:
    story = Story((wanted("a"), wanted("b"))).begins()
    story.warms("a", 4.0, listed("a")).looks_until(320, listed("a"))
    story.opens_warm("b")
    assert story.decides("a").why is Why.BEHIND_LOAD
    assert story.at(349).looks(listed("a")).decides("a").why is Why.BEHIND_LOAD
    assert story.at(351).looks(listed("a")).decides("a").act is Act.PING


def test_no_re_pin_while_any_load_of_ours_is_open() -> None:
    story = Story((wanted("a"), wanted("b"))).begins()
    story.warms("a", 4.0, listed("a"))
    story.opens_warm("b")
    story.at(60).looks(listed("a", 300)).finds_idle("a")
    assert story.decides("a").why is Why.BEHIND_LOAD


def test_after_the_second_reload_of_ours_in_a_day_the_model_is_left_alone() -> None:
    story = kept()
    for minute in (6, 12):
        request = story.looks_until(minute * 60, listed("a")).decides("a").request
        assert request is not None
        story.sends(request, took_s=3.0).looks(listed("a", minute * 60 + 300))
    assert story.events("model.reloaded") == ["model.reloaded"] * 2
    assert "neither pinged" in str(story.last("model.reloaded").hint)
    assert story.looks_until(4_000, listed("a")).decides("a").why is Why.LEFT_ALONE


def test_a_slow_ping_behind_which_our_pin_is_still_there_is_no_reload() -> None:
    story = kept()
    for minute in (6, 12, 18):
        request = story.looks_until(minute * 60, listed("a")).decides("a").request
        assert request is not None
        story.sends(request, took_s=3.0).looks(listed("a"))
    assert story.events("model.reloaded") == []
    assert story.looks_until(1_400, listed("a")).decides("a").act is Act.PING


def test_a_slow_ping_is_a_reload_though_our_pin_is_still_there_where_others_have_pins_too() -> None:
    """The server may pin whatever it loads."""
    story = kept().looks_until(320, listed("a"), listed("guest"))
    request = story.decides("a").request
    assert request is not None
    story.sends(request, took_s=3.0).looks(listed("a"), listed("guest"))
    assert story.events("model.reloaded") == ["model.reloaded"]


def test_a_quick_ping_is_no_reload() -> None:
    story = kept().looks_until(320, listed("a"))
    request = story.decides("a").request
    assert request is not None
    assert story.sends(request, took_s=0.1).looks(listed("a")).events("model.reloaded") == []


def test_an_absent_model_asks_for_nothing_here() -> None:
    assert Story((wanted("a", contention=Contention.OBSERVE),)).begins().decides("a").why is Why.NOT_LISTED


# --- the context that clients use -------------------------------------------------------------------------------------


def test_the_context_of_a_client_is_learned_and_used_for_the_next_warm() -> None:
    story = kept().at(20).looks(listed("a", 320, context=16_384, size=6)).at(25).looks(listed("guest"))
    story.looks_until(200, listed("guest"))
    assert story.loads_next() == "a"
    assert story.opens_warm("a").options == (("num_ctx", 16_384),)


def test_a_client_that_returns_to_the_default_is_followed() -> None:
    story = kept().at(20).looks(listed("a", 320, context=16_384)).at(35).looks(listed("a", 335, context=4_096, size=9))
    assert story.model("a").learned_context == 4_096


@pytest.mark.parametrize(
    ("wishes", "entry"),
    [
        pytest.param({"context": 8_192}, {"context": 16_384}, id="where-the-operator-gave-one"),
        pytest.param({}, {"context": 16_384, "vram": 0}, id="where-it-fell-to-the-cpu"),
        pytest.param({}, {"context": None}, id="where-none-is-told"),
    ],
)
def test_no_context_is_learned(wishes: dict[str, object], entry: dict[str, object]) -> None:
    story = kept(**wishes).at(20).looks(replace(listed("a", 320, **entry), size=6))
    assert story.model("a").learned_context is None


def test_a_small_context_of_an_embedder_is_not_learned() -> None:
    story = Story((wanted("a"),), kinds={"a": Shown(Kind.EMBEDDER, "w", 512)}).begins(listed("a", 300, context=512))
    assert story.at(15).looks(listed("a", 300, context=512)).model("a").learned_context is None


def test_digests_of_names_differ() -> None:
    """Control: the story's digests tell models apart."""
    assert digest_of("a") != digest_of("b")
