"""A few days of the campaign, and the keepers without a rule that it must catch."""

import pytest

from tests.campaign.controls import CONTROLS
from tests.campaign.day import run_day
from tests.campaign.rules import breaches
from tests.campaign.scene import scene
from tests.campaign.verdict import caught, mark_of

SEED = 1
DAYS = (2,)
QUICK = ("loads two at once", "takes silence for absence", "sees no loss")  # make campaign tries all


@pytest.mark.parametrize("day", DAYS)
def test_a_day_breaks_no_rule(day: int) -> None:
    record = run_day(scene(SEED, day))
    again = f"again: python -m tests.campaign --seed {SEED} --day {day}"
    assert [str(breach) for breach in breaches(record)] == [], again


@pytest.mark.slow
def test_the_same_seed_gives_the_same_digits() -> None:
    assert mark_of(run_day(scene(SEED, DAYS[0]))) == mark_of(run_day(scene(SEED, DAYS[0])))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CONTROLS]
)
def test_a_keeper_without_a_rule_is_caught(name: str) -> None:
    assert caught(name)
