"""What happens like clockwork is told as the effect of a script or another keeper, and what people do is not."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from ollama_keeper.core.advice import Hour
from ollama_keeper.core.finding import Finding
from ollama_keeper.core.habits import LOADED, LOST, RESTARTED, SHORTENING, UNLOADING, Happened, daily, every, habits

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def hours(minutes: Iterable[int], *, model: str = "a", until: datetime = NOW) -> list[Hour]:
    """Hours of use; the last one is the last full hour before `until`."""
    last = until.replace(minute=0) - HOUR
    listed = list(minutes)
    return [Hour("gpu", model, last - HOUR * (len(listed) - 1 - n), "pin", m) for n, m in enumerate(listed)]


def codes(found: list[Finding]) -> set[str]:
    return {finding.code for finding in found}


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        pytest.param([12] * 24, "12 minutes", id="each five minutes, as another keeper pings"),
        pytest.param([11, 12] * 12, "12 minutes", id="each five minutes and a bit"),
        pytest.param([1] * 30, "1 minute ", id="once an hour"),
        pytest.param([60] * 24, "60 minutes", id="each minute"),
    ],
)
def test_use_that_is_the_same_in_each_hour_of_a_day_and_a_night_is_a_script(minutes: list[int], told: str) -> None:
    (finding,) = habits(hours(minutes), [], NOW)
    assert finding.code == "regular_use"
    assert (finding.server, finding.model) == ("gpu", "a")
    assert f"used in {told}" in finding.what
    assert ("never rests" in finding.why) == (minutes[0] == 60)


@pytest.mark.parametrize(
    "minutes",
    [
        pytest.param([0] * 8 + [12] * 16, id="a night of rest"),
        pytest.param([12] * 20, id="less than a day on record"),
        pytest.param([12] * 20 + [9, 15, 12, 12], id="now more, now less"),
        pytest.param([], id="nothing"),
    ],
)
def test_use_that_comes_and_goes_is_not(minutes: list[int]) -> None:
    assert habits(hours(minutes), [], NOW) == []


def test_an_hour_whose_last_minutes_are_not_written_yet_is_left_out() -> None:
    at = NOW.replace(minute=5)
    assert codes(habits(hours([12] * 24 + [9], until=at), [], at)) == {"regular_use"}


def test_two_models_are_told_of_apart() -> None:
    found = habits([*hours([12] * 24), *hours([3, 40] * 12, model="b")], [], NOW)
    assert [finding.model for finding in found] == ["a"]


def ago(*minutes: float) -> list[datetime]:
    return sorted(NOW - MINUTE * back for back in minutes)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        pytest.param(ago(*range(0, 100, 10)), "each 10m in the last day, 10 times", id="each ten minutes"),
        pytest.param(ago(*(n * 10 + n % 2 / 2 for n in range(10))), "each 10m", id="a little late now and then"),
        pytest.param(ago(*range(0, 1_440, 180)), "each 3h", id="each three hours"),
        pytest.param(ago(*range(0, 50, 10)), None, id="five times only"),
        pytest.param(ago(3, 15, 22, 48, 90, 200, 420), None, id="now and then"),
        pytest.param(ago(*range(0, 20, 2)), None, id="so often that it may be work"),
        pytest.param(ago(*range(3_000, 3_100, 10)), None, id="two days ago"),
    ],
)
def test_a_distance_that_stays_the_same_is_a_clock(at: list[datetime], told: str | None) -> None:
    when = every(at, NOW)
    assert (when is None) == (told is None)
    assert told is None or (when or "").startswith(told)


def days_ago(*days: float, hour: int, minute: int = 0) -> list[datetime]:
    return sorted(NOW.replace(hour=hour, minute=minute) - timedelta(days=day) for day in days)


@pytest.mark.parametrize(
    ("at", "told"),
    [
        pytest.param(days_ago(0, 1, 2, 3, 4, 5, hour=7), "at 07:00 on 6 of the last 8 days", id="each morning"),
        pytest.param([*days_ago(3, 4, hour=23, minute=59), *days_ago(2, 1, hour=0)], "at 00:00", id="about midnight"),
        pytest.param(days_ago(0, 1, 2, hour=7), None, id="three days"),
        pytest.param([*days_ago(0, 1, hour=7), *days_ago(2, 3, hour=9)], None, id="at other times"),
        pytest.param(days_ago(10, 11, 12, 13, hour=7), None, id="once upon a time"),
    ],
)
def test_a_time_of_the_day_that_comes_again_is_a_clock(at: list[datetime], told: str | None) -> None:
    when = daily(at, NOW)
    assert (when is None) == (told is None)
    assert told is None or (when or "").startswith(told)


def happened(what: str, at: Iterable[datetime], model: str | None = "a") -> list[Happened]:
    return [Happened("gpu", model, what, one) for one in at]


def test_each_thing_that_happened_like_clockwork_is_told_as_what_it_is() -> None:
    found = habits(
        [],
        [
            *happened(LOADED, days_ago(0, 1, 2, 3, hour=7)),
            *happened(LOST, ago(*range(0, 100, 10))),
            *happened(RESTARTED, days_ago(0, 1, 2, 3, hour=4), model=None),
        ],
        NOW,
    )
    assert codes(found) == {"regular_loads", "regular_losses", "regular_restarts"}
    told = {finding.code: finding.what for finding in found}
    assert told["regular_loads"] == "it was loaded by a client at 07:00 on 4 of the last 8 days"
    assert told["regular_restarts"] == "it was restarted at 04:00 on 4 of the last 8 days"


def test_a_time_that_is_shortened_again_and_again_is_told_without_a_clock_too() -> None:
    assert codes(habits([], happened(SHORTENING, ago(10, 200, 230, 700)), NOW)) == {"time_shortened"}
    assert codes(habits([], happened(UNLOADING, ago(10, 20, 30, 40, 50, 60, 70)), NOW)) == {"often_unloaded"}
    assert habits([], happened(SHORTENING, ago(10, 200, 2_000, 3_000)), NOW) == []
    assert habits([], happened(LOADED, ago(10, 200, 230, 700)), NOW) == []
