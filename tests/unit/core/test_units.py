"""Durations and sizes with more digits than Python makes a number of."""

import pytest

from ollama_keeper.core.units import BadUnit, parse_duration, parse_go_duration, parse_size

ENDLESS = "9" * 5_000


@pytest.mark.parametrize("text", [f"{ENDLESS}h", f"1h{ENDLESS}s"])
def test_an_endless_duration_is_none(text: str) -> None:
    with pytest.raises(BadUnit):
        parse_go_duration(text)


def test_endless_zeros_and_fractions_change_nothing() -> None:
    assert parse_duration(f"{'0' * 5_000}90s") == 90
    assert parse_duration(f"1.5{'0' * 5_000}h") == 5_400


@pytest.mark.parametrize("text", [f"{ENDLESS}GiB", "9223372036854775808B"])
def test_a_size_beyond_any_memory_is_none(text: str) -> None:
    with pytest.raises(BadUnit):
        parse_size(text)
