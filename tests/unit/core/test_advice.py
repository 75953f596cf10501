"""What is advised from the hours of use: each rule, and what must not make it speak."""

from datetime import UTC, datetime, timedelta

import pytest

from ollama_keeper.core.advice import DAYS, Hour, advice

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=20)


def hour(days: float, kind: str, minutes: int, at: int = 9) -> Hour:
    """An hour of use so many days ago."""
    begin = (NOW - timedelta(days=days)).replace(hour=at)
    return Hour("gpu", "a", begin, kind, minutes, 5 * 2**30)


def kept(*used: Hour) -> list[Hour]:
    """A pin of which there are records for twenty days."""
    return [hour(20, "pin", 0), *used]


def busy(kind: str, days: int, *hours: int) -> list[Hour]:
    return [hour(back, kind, 10, at) for back in range(1, days + 1) for at in hours]


@pytest.mark.parametrize(
    ("hours", "since", "kinds"),
    [
        pytest.param(kept(), LONG_AGO, ["unused"], id="pinned-and-not-used"),
        pytest.param(kept(hour(15, "pin", 5)), LONG_AGO, ["unused"], id="used-before-that"),
        pytest.param(kept(*busy("pin", DAYS, *range(24))), LONG_AGO, [], id="used-all-day"),
        pytest.param([hour(3, "pin", 0)], LONG_AGO, [], id="not-kept-for-long"),
        pytest.param(kept(), NOW - timedelta(days=13), [], id="records-too-young"),
        pytest.param([hour(20, "lease", 0)], LONG_AGO, [], id="a-lease-is-no-pin"),
        pytest.param(kept(*busy("pin", DAYS, 9)), LONG_AGO, ["lease"], id="used-once-a-day"),
        pytest.param(kept(*busy("pin", DAYS, 0, 5, 10, 15)), LONG_AGO, [], id="a-lease-would-cost-cold-starts"),
        pytest.param(busy("guest", 7, 9), LONG_AGO, ["guest_every_day"], id="guest-of-every-day"),
        pytest.param(busy("guest", 6, 9), LONG_AGO, [], id="guest-of-six-days"),
        pytest.param(busy("lease", 7, 9), LONG_AGO, [], id="kept-by-now"),
    ],
)
def test_advice(hours: list[Hour], since: datetime, kinds: list[str]) -> None:
    assert [one.kind for one in advice(hours, since, NOW)] == kinds


def test_a_lease_says_what_it_frees_and_what_it_costs() -> None:
    (one,) = advice(kept(*busy("pin", DAYS, 13)), LONG_AGO, NOW)
    assert "5.0 GiB for 88% of the time, at about 1.0 cold starts a day" in one.text


def test_models_are_judged_one_by_one() -> None:
    both = [*kept(), *(Hour("cpu", "b", h.begin, h.kind, h.minutes) for h in busy("guest", 7, 3))]
    assert [(one.server, one.model, one.kind) for one in advice(both, LONG_AGO, NOW)] == [
        ("gpu", "a", "unused"), ("cpu", "b", "guest_every_day")
    ]  # fmt: skip
