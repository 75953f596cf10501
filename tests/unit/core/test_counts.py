"""What the shell counts of its own work."""

import pytest

from ollama_keeper.core.counts import MINUTE_OF_BEATS, Counts, Histogram, Timing
from ollama_keeper.core.reasons import Failure


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        pytest.param(0.0, [1, 0, 0], id="the-least"),
        pytest.param(1.0, [1, 0, 0], id="a-bound-belongs-to-the-class-that-ends-there"),
        pytest.param(1.1, [0, 1, 0], id="between"),
        pytest.param(99.0, [0, 0, 1], id="beyond-the-last"),
    ],
)
def test_a_value_is_counted_in_its_class(value: float, counts: list[int]) -> None:
    histogram = Histogram((1.0, 5.0))
    histogram.take(value)
    assert (histogram.counts, histogram.sum) == (counts, value)


def test_failed_looks_are_counted_by_reason() -> None:
    counts = Counts()
    for reason in (Failure.RESET, Failure.DNS, Failure.RESET):
        counts.look_failed(reason)
    assert counts.look_failures == {Failure.RESET: 2, Failure.DNS: 1}


def test_the_lag_of_the_loop_is_the_worst_beat_of_the_last_minute() -> None:
    timing = Timing()
    assert timing.loop_lag_s == 0.0
    timing.beats.extend([0.7, 0.1])
    assert timing.loop_lag_s == 0.7
    timing.beats.extend([0.2] * MINUTE_OF_BEATS)
    assert timing.loop_lag_s == 0.2
