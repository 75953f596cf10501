"""What a soak makes of its samples; each leak turns exactly its own figure red."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.soak.reckoning import Sample, Verdict, closing_line, reckon, warmed_up

HOUR_S = 3_600.0
CHECKS_AN_HOUR = 2_000


def steady(hour: int) -> Sample:
    """A keeper that does not grow: pages come and go, and what a mishap holds is given back."""
    busy = hour % 3 == 1
    return Sample(
        at_s=hour * HOUR_S,
        checks=hour * CHECKS_AN_HOUR,
        rss_kib=40_000 + hour % 2 * 8,
        blocks=500_000 + 3_000 * busy,
        descriptors=10 + 3 * busy,
        threads=5,
        tasks=13 + 4 * busy,
        jobs=4 + 2 * busy,
        store_bytes=16_384 + 32_768 * busy,
        lines=50 * hour,
    )


def life(change: Callable[[Sample, int], Sample] = lambda sample, _: sample, *, hours: int = 48) -> list[Sample]:
    return [change(steady(hour), hour) for hour in range(1, hours + 1)]


def test_a_steady_life_is_flat() -> None:
    reckoning = reckon(life())
    assert reckoning.verdict is Verdict.FLAT
    assert reckoning.grew == ()
    assert abs(reckoning.mib_a_day) < 0.01
    assert reckoning.floors["tasks"] == (13, 13)
    assert reckoning.lines_an_hour == 50


@pytest.mark.parametrize(
    ("field", "step"), [("descriptors", 1), ("threads", 1), ("tasks", 1), ("jobs", 1), ("store_bytes", 8192)]
)
def test_one_more_every_few_hours_is_a_leak(field: str, step: int) -> None:
    def leak(sample: Sample, hour: int) -> Sample:
        return replace(sample, **{field: getattr(sample, field) + hour // 6 * step})

    reckoning = reckon(life(leak))
    assert reckoning.verdict is Verdict.GREW
    assert reckoning.grew == (field.replace("_", " "),)


def test_memory_that_grows_by_more_than_a_mebibyte_a_day_is_a_leak() -> None:
    reckoning = reckon(life(lambda sample, hour: replace(sample, rss_kib=sample.rss_kib + 1.1 * 1024 / 24 * hour)))
    assert reckoning.mib_a_day == pytest.approx(1.1, abs=0.02)
    assert reckoning.grew == ("memory",)


def test_objects_that_are_left_behind_are_a_leak_long_before_the_pages_tell() -> None:
    assert reckon(life(lambda sample, hour: replace(sample, blocks=sample.blocks + 30 * hour))).grew == ("blocks",)


def test_a_rise_within_the_allocators_own_noise_is_none() -> None:
    """In a short life it would be a steep slope."""
    samples = [replace(sample, at_s=sample.at_s / 60) for sample in life()]
    assert reckon([replace(one, rss_kib=one.rss_kib + 200 * (one.at_s > 2_000)) for one in samples]).grew == ()


def test_memory_is_counted_by_checks_too() -> None:
    """Few checks a day: less than a mebibyte a day may be much for each of them."""

    def leak(sample: Sample, hour: int) -> Sample:
        return replace(sample, checks=sample.checks // 100, rss_kib=sample.rss_kib + 20 * hour)

    reckoning = reckon(life(leak))
    assert reckoning.mib_a_day < 1
    assert reckoning.kib_per_1000_checks == pytest.approx(1000, rel=0.01)
    assert reckoning.grew == ("memory",)


def test_a_little_less_than_the_limits_is_flat() -> None:
    assert reckon(life(lambda sample, hour: replace(sample, rss_kib=sample.rss_kib + 1.9 * hour))).grew == ()


def test_growth_of_the_warm_up_is_none() -> None:
    reckoning = reckon(life(lambda sample, hour: replace(sample, rss_kib=sample.rss_kib + min(hour, 23) * 10_000)))
    assert reckoning.grew == ()


def test_the_warm_up_of_a_long_life_is_a_day() -> None:
    assert warmed_up(life(hours=100))[0].at_s == 24 * HOUR_S
    assert warmed_up(life(hours=4))[0].at_s == 2 * HOUR_S


def test_a_log_that_tells_more_and_more_is_a_leak() -> None:
    assert reckon(life(lambda sample, hour: replace(sample, lines=hour**2))).grew == ("log lines",)


def test_memory_that_shrinks_is_no_growth() -> None:
    reckoning = reckon(life(lambda sample, hour: replace(sample, rss_kib=sample.rss_kib - 100 * hour)))
    assert reckoning.mib_a_day < 0
    assert reckoning.verdict is Verdict.FLAT


def test_a_life_that_was_stopped_early_says_that_nothing_can_be_told() -> None:
    reckoning = reckon(life(hours=5))
    assert reckoning.verdict is Verdict.TOO_SHORT
    assert closing_line(reckoning).endswith("too short to tell")


def test_a_single_sample_is_a_life() -> None:
    assert reckon(life(hours=1)).verdict is Verdict.TOO_SHORT


def test_without_a_sample_there_is_nothing_to_judge() -> None:
    with pytest.raises(ValueError, match="no samples"):
        reckon([])


def test_the_closing_line_names_what_grew() -> None:
    line = closing_line(reckon(life(lambda sample, hour: replace(sample, tasks=hour, threads=hour))))
    assert line.startswith("soak 96,000 checks in 48.0 h · RSS 39.1 MiB")
    assert line.endswith("grew: threads, tasks")
