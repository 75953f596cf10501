"""When an alert begins, fires and ends: tables of situations, and what must hold of all of them."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_keeper.core.alert_rules import FOR_S, Rules
from ollama_keeper.core.alerting import fingerprint
from ollama_keeper.core.changes import (
    AlertFiring,
    ConfigLoaded,
    ConfigRejected,
    LoopStalled,
    ModelOptionsDisagree,
    NotificationFailed,
)
from ollama_keeper.core.facts import Configured, Paused
from ollama_keeper.core.memory import Breaker, Full
from ollama_keeper.core.policy import ranked
from ollama_keeper.core.reasons import Alert, Failure, ServerState
from tests.kit.examples import examples
from tests.kit.story import Story, instant, listed, wanted
from tests.kit.watching import EVERY_S, Watch


def kept(*names: str, **wishes: object) -> Story:
    """A story in which models were warmed by us, long enough ago for the server to be taken as settled."""
    story = Story(tuple(wanted(name, **wishes) for name in names or ("a",))).begins()
    present: list[object] = []
    for name in names or ("a",):
        present.append(listed(name))
        story.warms(name, 4.0, *present)
    return story.looks_until(200, *present)


def lost(*names: str) -> Story:
    """The same, and at 215 s nothing is listed any more."""
    return kept(*names).at(215).looks()


def looks_on(story: Story, watch: Watch, until: float, *entries: object) -> Watch:
    """Looks at the server, and at it all, every five seconds."""
    while story.seconds < until:
        story.at(story.seconds + EVERY_S).looks(*entries)
        watch.sees(story, at=story.seconds)
    return watch


def fails_on(story: Story, watch: Watch, until: float) -> Watch:
    while story.seconds < until:
        story.at(story.seconds + EVERY_S).fails_to_look(times=3)
        watch.sees(story, at=story.seconds)
    return watch


# --- for --------------------------------------------------------------------------------------------------------------


def test_a_healthy_server_gives_no_alert() -> None:
    assert looks_on(kept(), Watch(), 2_000, listed("a")).lines == []


def test_a_lost_model_is_told_after_five_minutes_and_not_before() -> None:
    story, watch = lost(), Watch()
    assert looks_on(story, watch, 510).lines == []
    assert looks_on(story, watch, 525).lines == ["firing model_lost a"]
    assert watch.incident().since == instant(215).wall


def test_a_loss_that_is_made_good_in_time_is_never_told() -> None:
    story, watch = lost(), Watch()
    looks_on(story, watch, 400)
    assert looks_on(story, watch, 1_500, listed("a")).lines == []
    assert watch.book.open == ()


def test_an_alert_is_over_once_the_model_has_stayed_for_a_minute() -> None:
    story, watch = lost(), Watch()
    looks_on(story, watch, 600)
    assert looks_on(story, watch, 655, listed("a")).lines == ["firing model_lost a"]
    assert looks_on(story, watch, 670, listed("a")).lines[1:] == ["resolved model_lost a recovered"]
    assert watch.book.over[0].ended == instant(605).wall


def test_for_is_what_the_operator_wrote() -> None:
    story, watch = lost(), Watch(Rules(FOR_S | {Alert.MODEL_LOST: 30.0}))
    assert looks_on(story, watch, 255).lines == ["firing model_lost a"]


def test_an_alert_that_is_off_is_never_told() -> None:
    rules = Rules({**FOR_S, Alert.MODEL_LOST: None})
    assert looks_on(lost(), Watch(rules), 3_000).lines == []


def test_a_dead_server_is_told_after_ninety_seconds_and_its_models_are_not() -> None:
    story, watch = kept("a", "b"), Watch()
    assert fails_on(story, watch, 285).lines == []
    assert fails_on(story, watch, 1_500).lines == ["firing server_down gpu"]
    assert watch.incident().reason is Failure.CONNECT_REFUSED


def test_models_are_not_told_of_right_after_their_server_has_come_back() -> None:
    story, watch = kept("a"), Watch(Rules(FOR_S | {Alert.MODEL_LOST: 10.0}))
    fails_on(story, watch, 400)
    came = story.seconds
    assert looks_on(story, watch, came + 90).lines == ["firing server_down gpu", "resolved server_down gpu recovered"]
    assert looks_on(story, watch, came + 130).lines[2:] == ["firing model_lost a"]


def test_a_short_outage_of_the_server_is_never_told() -> None:
    story, watch = kept("a"), Watch()
    fails_on(story, watch, 270)
    assert looks_on(story, watch, 2_000, listed("a")).lines == []


# --- kinds ------------------------------------------------------------------------------------------------------------


def changed(story: Story, **memory: object) -> Story:
    story.memory = replace(story.memory, **memory)
    return story


def of_model(story: Story, **memory: object) -> Story:
    story.memory = story.memory.with_model(replace(story.model("a"), **memory))
    return story


def contended(story: Story) -> Story:
    return changed(of_model(story, stood_with=()), full=Full(instant(215), 0, "a", "b", winner_size=1, loser_size=2))


KINDS: dict[str, tuple[Callable[[], Story], str]] = {
    "not-pulled": (lambda: of_model(lost(), missing=True), "missing a"),
    "they-do-not-fit": (lambda: contended(lost()), "contended a"),
    "loads-have-failed": (lambda: of_model(lost(), breaker=Breaker(instant(215), 9_999, 1, 3)), "breaker_open a"),
    "on-the-cpu": (lambda: changed(of_model(kept(), best_gpu=2.0), gpu_seen=True), "degraded a"),
    "never-answers": (lambda: of_model(kept(), probe_failures=2), "stuck a"),
    "hangs": (lambda: changed(kept(), hung=instant(200)), "scheduler_hung gpu"),
    "other-clock": (lambda: changed(kept(), skew_s=-3_600.0), "clock_skew gpu"),
    "busy": (lambda: changed(kept(), state=ServerState.BUSY, since=instant(200)), "server_busy gpu"),
    "never-answered": (lambda: Story((wanted("a"),)).fails_to_look(), "server_down gpu"),
    "options": (lambda: of_model(kept(), client_reloads=(1_180.0, 1_190.0, 1_200.0)), "options_disagree a"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_trouble_has_one_alert(kind: str) -> None:
    make, told = KINDS[kind]
    story, watch = make(), Watch()
    good = story.memory.good
    for seconds in range(220, 1_500, 5):
        fresh = replace(story.memory, good=instant(seconds) if good else None)
        watch.sees(fresh, at=seconds)
    assert watch.lines == [f"firing {told}"]
    server, model = ("gpu", told.split()[1]) if told.endswith(" a") else ("gpu", "")
    assert watch.incident().fingerprint == fingerprint(Alert(told.split()[0]), server, model)


def test_a_model_that_is_lost_in_another_way_meanwhile_is_one_alert() -> None:
    story, watch = lost(), Watch()
    looks_on(story, watch, 600)
    of_model(story, missing=True)
    assert looks_on(story, watch, 2_000).lines == ["firing model_lost a"]
    assert watch.incident().reason == "not_pulled"


def test_an_alert_tells_both_sizes_where_two_do_not_fit() -> None:
    story, watch = contended(lost("a", "b")), Watch()
    looks_on(story, watch, 600, listed("b"))
    told = dict(watch.incident().details)
    assert (told["with"], told["size_bytes"], told["with_size_bytes"]) == ("b", 5 * 2**30, 5 * 2**30)


def test_a_model_on_its_way_back_is_given_the_time_that_it_takes() -> None:
    story, watch = lost(), Watch()
    of_model(story, longest_load_s=500.0)
    changed(story, longest_load_s=500.0)
    story.opens_warm("a")
    assert looks_on(story, watch, 1_000).lines == []


def test_a_load_that_takes_far_too_long_is_told_of_the_server_alone() -> None:
    story, watch = lost(), Watch()
    story.opens_warm("a")
    assert looks_on(story, watch, 900).lines == []
    assert looks_on(story, watch, 3_000).lines == ["firing scheduler_hung gpu"]


def test_a_first_load_that_nobody_knows_the_time_of_is_told_after_twenty_minutes() -> None:
    story, watch = Story((wanted("a"),)).begins(), Watch()
    story.opens_warm("a")
    assert looks_on(story, watch, 1_195).lines == []
    assert looks_on(story, watch, 1_205).lines == ["firing model_lost a"]


# --- flapping ---------------------------------------------------------------------------------------------------------


def test_a_model_that_comes_and_goes_is_one_alert_and_called_so() -> None:
    story, watch = kept(), Watch()
    for begin in range(200, 1_400, 20):
        looks_on(story, watch, begin + 5)
        looks_on(story, watch, begin + 20, listed("a"))
    assert watch.lines == ["firing model_lost a"]
    assert watch.incident().flapping
    assert looks_on(story, watch, 1_650, listed("a")).lines == ["firing model_lost a"]
    assert looks_on(story, watch, 1_750, listed("a")).lines[1:] == ["resolved model_lost a recovered"]


# --- what cannot be told ----------------------------------------------------------------------------------------------


def test_what_is_not_known_neither_fires_nor_ends_anything() -> None:
    story, watch = lost(), Watch()
    looks_on(story, watch, 600)
    fails_on(story, watch, 650)
    assert [line for line in fails_on(story, watch, 3_000).lines if "model_lost" in line] == ["firing model_lost a"]


def test_time_in_which_nobody_looked_does_not_count() -> None:
    story, watch = lost(), Watch()
    looks_on(story, watch, 300)
    story.at(9_000).looks()
    assert watch.sees(story, at=9_000) == []
    assert looks_on(story, watch, 9_150).lines == []
    assert looks_on(story, watch, 9_300).lines == ["firing model_lost a"]


# --- wanted no more ---------------------------------------------------------------------------------------------------


def test_a_model_that_is_taken_out_of_the_configuration_ends_its_alert() -> None:
    story, watch = lost("a", "b"), Watch()
    looks_on(story, watch, 600, listed("b"))
    story.learns(Configured(ranked((wanted("b"),))))
    assert watch.sees(story, at=605) == ["resolved model_lost a not_wanted"]


def test_a_paused_model_ends_its_alert() -> None:
    story, watch = lost(), Watch()
    looks_on(story, watch, 600)
    story.learns(Paused(("a",), None, "me"))
    assert watch.sees(story, at=605) == ["resolved model_lost a paused"]


def test_a_server_that_is_wanted_no_more_ends_its_alert() -> None:
    story, watch = kept(), Watch()
    fails_on(story, watch, 400)
    assert watch.sees(at=405) == ["resolved server_down gpu not_wanted"]


# --- what only happens ------------------------------------------------------------------------------------------------


def test_a_cold_start_after_a_loss_is_told_at_once_and_over_after_a_quarter_of_an_hour() -> None:
    story, watch = lost(), Watch()
    story.at(280).looks()
    story.warms("a", 20.0)
    watch.sees(story, at=300)
    assert watch.lines == ["firing cold_start a"]
    assert dict(watch.incident().details)["load_s"] == 20.0
    assert looks_on(story, watch, 1_195, listed("a")).lines == ["firing cold_start a"]
    assert looks_on(story, watch, 1_210, listed("a")).lines[1:] == ["resolved cold_start a recovered"]


def test_a_slow_first_load_is_no_cold_start() -> None:
    story = Story((wanted("a"),)).begins().warms("a", 60.0)
    assert looks_on(story, Watch(), 400, listed("a")).lines == []


def test_a_rejected_configuration_is_told_until_one_is_taken() -> None:
    story, watch = kept(), Watch()
    watch.notes(ConfigRejected(path="c.yaml", line=3, column=5, key="interval"), at=200)
    assert looks_on(story, watch, 510, listed("a")).lines == ["firing config_rejected keeper"]
    assert dict(watch.incident().details) == {"path": "c.yaml", "line": "3", "column": "5", "key": "interval"}
    watch.notes(ConfigLoaded(path="c.yaml"), at=510)
    assert looks_on(story, watch, 515, listed("a")).lines[1:] == ["resolved config_rejected keeper recovered"]


def test_a_sink_that_fails_makes_the_keeper_unhealthy_for_a_while() -> None:
    story, watch = kept(), Watch()
    watch.notes(NotificationFailed(sink="team", attempts=1, took_s=1.0), at=200)
    assert looks_on(story, watch, 1_095, listed("a")).lines == ["firing keeper_unhealthy keeper"]
    assert watch.incident().details == (("notification.failed", "team"),)
    assert looks_on(story, watch, 1_110, listed("a")).lines[1:] == ["resolved keeper_unhealthy keeper recovered"]


@pytest.mark.parametrize(("stalls", "told"), [(1, []), (3, ["firing keeper_unhealthy keeper"])])
def test_a_machine_that_slept_once_is_no_fault(stalls: int, told: list[str]) -> None:
    story, watch = kept(), Watch()
    for number in range(stalls):
        watch.notes(LoopStalled(stall_s=60.0), at=200 + number)
    assert looks_on(story, watch, 300, listed("a")).lines == told


def test_both_contexts_of_a_disagreement_are_told() -> None:
    story, watch = of_model(kept(), client_reloads=(1_180.0, 1_190.0, 1_200.0)), Watch()
    change = ModelOptionsDisagree(server="gpu", model="a", reloads=3, context_length=8192, context_length_before=32768)
    watch.notes(change, at=200)
    looks_on(story, watch, 600, listed("a"))
    told = dict(watch.incident().details)
    assert (told["context_length"], told["context_length_before"]) == (8192, 32768)


# --- for all ----------------------------------------------------------------------------------------------------------

MOVES = st.lists(
    st.tuples(st.sampled_from(["there", "gone", "down", "paused", "back", "sleep"]), st.integers(1, 60)), max_size=25
)


@examples(60)
@given(MOVES)
def test_no_alert_fires_twice_without_an_end_between(moves: list[tuple[str, int]]) -> None:
    story, watch = kept(), Watch()
    for move, times in moves:
        play(story, watch, move, times)
    firing: set[str] = set()
    for change in watch.told:
        print_of = change.fingerprint  # type: ignore[attr-defined]
        assert (print_of in firing) != isinstance(change, AlertFiring)
        firing ^= {print_of}
    assert firing == {one.fingerprint for one in watch.book.firing}
    assert len({one.subject for one in watch.book.open}) == len(watch.book.open)


def play(story: Story, watch: Watch, move: str, times: int) -> None:
    if move == "sleep":
        story.at(story.seconds + 100 * times)
    until = story.seconds + EVERY_S * times
    if move == "down":
        fails_on(story, watch, until)
    elif move == "paused":
        story.learns(Paused(("a",), story.now.later(300).wall, "me"))
    else:
        looks_on(story, watch, until, *([] if move == "gone" else [listed("a")]))


def test_a_thousand_models_that_are_gone_are_a_thousand_alerts_once() -> None:
    gone = lost()
    model = gone.model("a")
    models = tuple(replace(model, policy=wanted(f"m{number}")) for number in range(1_000))
    memory, watch = replace(gone.memory, models=models), Watch(Rules(FOR_S | {Alert.MODEL_LOST: 10.0}))
    for seconds in range(220, 250, 5):
        watch.sees(replace(memory, good=instant(seconds)), at=seconds)
    assert len(watch.lines) == len(set(watch.lines)) == 1_000
