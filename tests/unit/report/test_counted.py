"""What is counted of changes and of time."""

from datetime import UTC, datetime

import pytest

from ollama_keeper.core.changes import (
    BreakerOpened,
    Change,
    ClockJumped,
    ConfigLoaded,
    ConfigRejected,
    KeeperStopping,
    ModelLost,
    ModelReady,
    ModelReloaded,
    ModelRepinned,
    PingFailed,
    WarmFailed,
    WarmStarted,
)
from ollama_keeper.core.facts import Paused
from ollama_keeper.core.reasons import By, Cause, Failure, Reason, Reloaded
from ollama_keeper.report.metrics.counted import Counted
from tests.kit.story import Story, instant, listed, wanted

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
OF = {"server": "gpu", "model": "a"}


def counted(*changes: Change) -> Counted:
    counts = Counted(instant(0))
    for change in changes:
        counts.take(change, AT)
    return counts


@pytest.mark.parametrize(
    ("change", "counter"),
    [
        (ModelLost(**OF, cause=Cause.EXPIRED), ("model_losses_total", "cause", "expired")),
        (WarmStarted(**OF, cause=Cause.FIRST_SEEN, attempt=1), ("warms_total", "cause", "first_seen")),
        (
            WarmFailed(**OF, reason=Failure.OUT_OF_MEMORY, attempt=1, took_s=2.0),
            ("warm_failures_total", "reason", "out_of_memory"),
        ),
        (PingFailed(**OF, reason=Failure.RESET, took_s=2.0), ("ping_failures_total", "reason", "reset")),
        (
            ModelReloaded(**OF, by=By.CLIENT, reason=Reloaded.OTHER_OPTIONS),
            ("model_reloads_total", "by", "client"),
        ),
    ],
    ids=lambda value: getattr(value, "event", ""),
)
def test_what_happens_to_a_model_is_counted_by_why(change: Change, counter: tuple[str, str, str]) -> None:
    assert counted(change, change).of_model("gpu", "a").by == {counter: 2}


def test_what_we_gave_back_is_no_loss() -> None:
    assert not counted(ModelLost(**OF, cause=Cause.EXPIRED, reason=Reason.RELEASED)).models


def test_repins_and_breakers_are_counted() -> None:
    own = counted(ModelRepinned(**OF, remaining_s=3.0, took_s=0.1), BreakerOpened(**OF, open_s=300.0, failures=3))
    assert (own.of_model("gpu", "a").repins, own.of_model("gpu", "a").tripped) == (1, True)


def test_loads_of_ours_and_outages_are_spans() -> None:
    ready = [
        ModelReady(**OF, by=By.KEEPER, load_s=9.0, outage_s=9.5, cause=Cause.FIRST_SEEN),
        ModelReady(**OF, by=By.KEEPER, load_s=11.0, outage_s=70.0),
        ModelReady(**OF, by=By.CLIENT, load_s=5.0, outage_s=30.0),
        ModelReady(**OF, by=By.FOUND),
    ]
    server = counted(*ready).of_server("gpu")
    assert (sum(server.load_s.counts), server.load_s.sum) == (2, 20.0)
    assert (sum(server.outage_s.counts), server.outage_s.sum) == (2, 100.0)


def test_the_first_reading_of_the_configuration_is_no_reload() -> None:
    config = counted(ConfigLoaded(), ConfigLoaded(), ConfigRejected()).config
    assert (config.reloads, config.failures, config.good, config.succeeded) == (2, 1, False, AT)


def test_a_good_configuration_after_a_bad_one_is_good() -> None:
    assert counted(ConfigLoaded(), ConfigRejected(), ConfigLoaded()).config.good


def test_jumps_of_the_clock_have_a_direction() -> None:
    assert counted(ClockJumped(delta_s=3_600.0), ClockJumped(delta_s=-5.0)).jumps == {"forward": 1, "back": 1}


def test_other_changes_are_passed_over() -> None:
    assert not counted(KeeperStopping(signal="SIGTERM")).models


# --- time -------------------------------------------------------------------------------------------------------------


def kept() -> Story:
    return Story((wanted("a"),)).begins().warms("a", 4.0, listed("a"))


def seconds(counts: Counted) -> tuple[float, float]:
    own = counts.of_model("gpu", "a")
    return own.wanted_s, own.warm_s


def test_time_in_which_a_model_is_resident_is_wanted_and_warm() -> None:
    counts, story = Counted(instant(4)), kept()
    for at in (9, 14):
        story.at(at).looks(listed("a"))
        counts.see([story.memory], story.now)
    assert seconds(counts) == (10.0, 10.0)


def test_time_in_which_it_is_absent_is_wanted_only() -> None:
    counts, story = Counted(instant(4)), kept().at(9).looks()
    counts.see([story.memory], story.now)
    assert seconds(counts) == (5.0, 0.0)


def test_time_of_a_server_that_is_down_is_wanted_and_not_warm_though_it_was_listed_last() -> None:
    counts, story = Counted(instant(0)), kept().at(60).fails_to_look(times=3)
    counts.see([story.memory], story.now)
    assert story.memory.model("a").listed
    assert seconds(counts) == (60.0, 0.0)


def test_time_before_the_first_look_is_neither() -> None:
    counts, story = Counted(instant(0)), Story((wanted("a"),)).at(5)
    counts.see([story.memory], story.now)
    assert not counts.models


def test_time_of_a_pause_is_neither() -> None:
    counts, story = Counted(instant(4)), kept().learns(Paused(("a",), None, "root"))
    counts.see([story.memory], story.at(9).now)
    assert not counts.models


def test_what_is_kept_no_more_is_forgotten() -> None:
    counts, story = counted(ModelLost(**OF, cause=Cause.EXPIRED)), kept()
    counts.of_server("gone")
    counts.see([story.memory], story.now)
    assert set(counts.models) == {("gpu", "a")}
    counts.see([], story.now)
    assert not counts.models
    assert not counts.servers


def test_a_state_is_asked_anew_once_something_was_learnt() -> None:
    counts, story = Counted(instant(0)), kept()
    counts.see([story.memory], story.now)
    assert [state.value for state, _ in counts.states(story.memory, story.now)] == ["ready"]
    story.learns(Paused(("a",), None, "root"))
    assert [state.value for state, _ in counts.states(story.memory, story.now)] == ["paused"]
