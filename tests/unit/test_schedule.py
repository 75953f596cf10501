"""The grid of a job: which turn it is, and how late."""

from datetime import UTC, datetime, timedelta

from ollama_keeper.schedule import Grid

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
GRID = Grid(NOON, 15.0)


def test_a_turn_has_a_number_and_how_late_it_is() -> None:
    assert GRID.turn(NOON) == (0, 0.0)
    assert GRID.turn(NOON + timedelta(seconds=45.25)) == (3, 0.25)


def test_a_turn_that_was_slept_over_is_no_lag_of_the_next() -> None:
    before, _ = GRID.turn(NOON + timedelta(seconds=15))
    after, late_s = GRID.turn(NOON + timedelta(seconds=61))
    assert (after - before - 1, late_s) == (2, 1.0)
