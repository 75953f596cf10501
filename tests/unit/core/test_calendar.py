"""Active hours in local time, over midnight and over changes of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_keeper.core.calendar import Window, active, closes_at, opens_at

BERLIN, NEW_YORK, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Shanghai")
YEARS = datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-12-31")
WORKDAYS, ALL = frozenset(range(5)), frozenset(range(7))


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


OFFICE = (Window(WORKDAYS, 8 * 60, 18 * 60, BERLIN),)
NIGHT = (Window(frozenset({4}), 22 * 60, 6 * 60, BERLIN),)  # begins on Friday


@pytest.mark.parametrize(
    ("windows", "now", "inside"),
    [
        pytest.param(OFFICE, at("2026-11-25T08:00"), True, id="the-first-minute"),
        pytest.param(OFFICE, at("2026-11-25T18:00"), False, id="the-minute-after"),
        pytest.param(OFFICE, at("2026-11-28T12:00"), False, id="saturday"),
        pytest.param(OFFICE, at("2026-11-25T08:30", SHANGHAI), False, id="another-zone"),
        pytest.param(NIGHT, at("2026-11-27T23:00"), True, id="before-midnight"),
        pytest.param(NIGHT, at("2026-11-28T05:59"), True, id="after-midnight"),
        pytest.param(NIGHT, at("2026-11-27T05:00"), False, id="the-morning-before"),
        pytest.param((), at("2026-11-25T03:00"), True, id="no-windows-are-always"),
        pytest.param((Window(ALL, 0, 1440, BERLIN),), at("2026-11-25T23:59"), True, id="a-whole-day"),
    ],
)
def test_active(windows: tuple[Window, ...], now: datetime, inside: bool) -> None:
    assert active(windows, now) is inside


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        pytest.param(at("2026-11-25T19:00"), at("2026-11-26T08:00"), id="tomorrow"),
        pytest.param(at("2026-11-27T19:00"), at("2026-11-30T08:00"), id="over-the-weekend"),
        pytest.param(at("2026-03-27T19:00"), at("2026-03-30T08:00"), id="over-the-change-to-summer"),
    ],
)
def test_it_opens_next(now: datetime, opens: datetime) -> None:
    assert opens_at(OFFICE, now) == opens


def test_windows_that_touch_close_once() -> None:
    windows = (Window(ALL, 8 * 60, 12 * 60, BERLIN), Window(ALL, 12 * 60, 20 * 60, BERLIN))
    assert closes_at(windows, at("2026-11-25T09:00")) == at("2026-11-25T20:00")


def test_an_hour_that_comes_twice_is_inside_once() -> None:
    """Berlin, 25 October 2026: 02:00 to 03:00 comes twice; a window to 02:30 ends in the second one."""
    windows = (Window(ALL, 60, 150, BERLIN),)
    inside = [active(windows, at("2026-10-25T00:59") + timedelta(minutes=minute)) for minute in range(4 * 60)]
    edges = [minute for minute in range(1, len(inside)) if inside[minute] != inside[minute - 1]]
    assert edges == [1, 1 + 90 + 60]


def test_a_beginning_that_is_skipped_comes_an_hour_later() -> None:
    """Berlin, 29 March 2026: 02:00 to 03:00 does not exist."""
    windows = (Window(ALL, 150, 300, BERLIN),)
    assert opens_at(windows, at("2026-03-29T01:00")) == at("2026-03-29T03:30")
    assert closes_at(windows, at("2026-03-29T04:00")) == at("2026-03-29T05:00")


@given(
    day=st.datetimes(*YEARS),
    start=st.integers(0, 1439),
    end=st.integers(0, 1440),
    days=st.frozensets(st.integers(0, 6), min_size=1),
    zone=st.sampled_from([BERLIN, NEW_YORK, SHANGHAI]),
)
def test_outside_it_opens_inside_it_closes_and_both_lie_ahead(
    day: datetime, start: int, end: int, days: frozenset[int], zone: ZoneInfo
) -> None:
    now, windows = day.replace(tzinfo=UTC), (Window(days, start, end, zone),)
    closes, opens = closes_at(windows, now), opens_at(windows, now)
    assert opens is not None
    assert opens > now
    if closes is not None:
        assert closes > now
    elif opens is not None:
        assert active(windows, opens)
