"""What an hour of health adds up to."""

from ollama_keeper.core.changes import KeeperSummary, ModelLost, ModelMissing, WarmStarted
from ollama_keeper.core.reasons import Cause, Reason
from ollama_keeper.report.summary import Summary

NOTHING = KeeperSummary(states={}, checks=0, looks=0, pings=0, warms=0, losses=0, cold_s=0.0)


def test_a_summary_adds_up_changes_counts_and_cold_seconds() -> None:
    summary = Summary()
    summary.take(ModelLost(cause=Cause.EXPIRED))
    summary.take(ModelMissing())
    for _ in range(2):
        summary.take(WarmStarted(cause=Cause.EXPIRED, attempt=1))
        summary.count(checks=240, looks=120, pings=12)
        summary.cold(0.1)
    assert summary.summary({"ready": 2}) == KeeperSummary(
        states={"ready": 2}, checks=480, looks=240, pings=24, warms=2, losses=1, cold_s=0.2
    )


def test_what_we_gave_back_is_no_loss() -> None:
    summary = Summary()
    summary.take(ModelLost(reason=Reason.RELEASED))
    assert summary.summary({}) == NOTHING


def test_counting_begins_anew_after_each_summary() -> None:
    summary = Summary()
    summary.take(ModelLost())
    summary.count(checks=1, looks=1, pings=1)
    summary.cold(60.0)
    summary.summary({})
    assert summary.summary({}) == NOTHING


def test_the_states_of_a_summary_are_its_own() -> None:
    states = {"ready": 1}
    line = Summary().summary(states)
    states["ready"] = 2
    assert line.states == {"ready": 1}
