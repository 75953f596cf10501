"""Stretches of a model's life: without gap or overlap whatever was written, and what of them counts."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_keeper.core.tally import Tally
from ollama_keeper.core.timeline import Share, Span, availability, counted, timeline

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY_S = 86_400.0


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def span(state: str, begin_s: float, end_s: float, reason: str | None = None) -> Span:
    return Span(state, reason, state == "ready", at(begin_s), at(end_s), "gpu", "a")


seconds = st.integers(-5_000, 5_000)
spans = st.lists(st.builds(span, st.sampled_from(["ready", "cold", "paused"]), seconds, seconds), max_size=20)


@given(spans, seconds, st.integers(1, 9_000))
def test_a_timeline_covers_the_time_in_order_without_gap_or_overlap(written: list[Span], since: int, long: int) -> None:
    found = timeline(written, at(since), at(since + long))
    assert found[0].begin == at(since)
    assert found[-1].end == at(since + long)
    assert all(one.end == other.begin for one, other in pairwise(found))
    assert all(one.begin < one.end for one in found)


@given(spans)
def test_a_timeline_invents_nothing(written: list[Span]) -> None:
    known = [one for one in timeline(written, at(-6_000), at(6_000)) if one.state != "unknown"]
    assert all(any(one.begin <= each.begin and each.end <= one.end for one in written) for each in known)


def test_what_no_span_covers_is_unknown() -> None:
    found = timeline([span("ready", 10, 20), span("cold", 30, 40)], at(0), at(50))
    assert [(one.state, one.resident) for one in found] == [
        ("unknown", None), ("ready", True), ("unknown", None), ("cold", False), ("unknown", None)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("state", "reason", "wanted_and_warm"),
    [
        ("ready", None, (True, True)),
        ("degraded", "on_cpu", (True, True)),
        ("stuck", "probe_failed", (True, False)),
        ("cold", "unload_grace", (True, False)),
        ("yielding", "guest_active", (True, False)),
        ("missing", "not_pulled", (True, False)),
        ("unknown", "server_down", (True, False)),
        ("unknown", "stale", (False, False)),
        ("unknown", None, (False, False)),
        ("paused", "by_command", (False, False)),
        ("off_hours", "outside_hours", (False, False)),
        ("over_budget", "memory_budget", (False, False)),
        ("refused", "cloud_model", (False, False)),
    ],
)
def test_what_counts_as_wanted_and_as_warm(state: str, reason: str | None, wanted_and_warm: tuple[bool, bool]) -> None:
    assert counted(state, reason) == wanted_and_warm


def test_availability_is_warm_by_wanted_seconds_and_leaves_out_what_nobody_saw() -> None:
    found = availability([span("ready", -400, -100), span("cold", -100, 0)], NOON)
    assert found.total == Share(400.0, 300.0)
    assert found.total.share == 0.75


def test_days_are_those_of_who_asks() -> None:
    """Noon UTC is 20:00 in Shanghai, so a span that began nine hours before began there in the same day's morning."""
    spans = [span("ready", -21 * 3_600, 0)]
    utc = availability(spans, NOON)
    china = availability(spans, NOON.astimezone(ZoneInfo("Asia/Shanghai")))
    assert [day.share.warm_s for day in utc.days] == [9 * 3_600, 12 * 3_600]
    assert [day.share.warm_s for day in china.days] == [3_600, 20 * 3_600]


def test_a_model_that_was_never_wanted_has_no_share() -> None:
    assert availability([span("paused", -100, 0)], NOON).total.share is None


# --- the sums in memory -----------------------------------------------------------------------------------------------


def test_a_tally_forgets_what_is_older_than_a_day_and_a_month() -> None:
    tally = Tally()
    tally.add(at(0), Share(100.0, 0.0))
    tally.add(at(2 * DAY_S), Share(100.0, 100.0))
    assert (tally.shares(at(2 * DAY_S)).day, tally.shares(at(2 * DAY_S)).month) == (1.0, 0.5)
    assert tally.shares(at(31 * DAY_S)).month == 1.0
    assert tally.shares(at(40 * DAY_S)).month is None


def test_a_tally_of_spans_joins_what_was_counted_since() -> None:
    older, now = Tally(), Tally()
    older.add_span(span("cold", -5_000, -1_000))
    now.add(at(0), Share(4_000.0, 4_000.0))
    now.join(older)
    assert now.shares(at(0)).month == 0.5


@given(spans)
def test_a_tally_and_an_availability_agree(written: list[Span]) -> None:
    ordered = timeline(written, at(-6_000), at(6_000))
    tally = Tally()
    for each in ordered:
        tally.add_span(each)
    found, expected = tally.shares(at(6_000)).month, availability(ordered, at(6_000)).total.share
    assert (found is None) == (expected is None)
    assert found == pytest.approx(expected)
