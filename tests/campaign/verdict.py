"""What came of one day, small enough to be sent from one process to another."""

from dataclasses import dataclass
from hashlib import sha256

from tests.campaign.controls import CONTROLS
from tests.campaign.day import Record, run_day
from tests.campaign.rules import Breach, breaches
from tests.campaign.scene import scene


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one day.

    Attributes:
        mark: of all that happened in it; the same seed and day give the same.
    """

    seed: int
    day: int
    breaches: tuple[Breach, ...]
    requests: int
    loads: int
    mishaps: int
    mark: str


def judged(seed: int, day: int) -> Verdict:
    """Lives a day and judges it."""
    record = run_day(scene(seed, day))
    history = record.history
    counts = len(history.all_requests), len(history.all_loads), len(record.scene.mishaps)
    return Verdict(seed, day, tuple(breaches(record)), *counts, mark_of(record))


def caught(name: str) -> bool:
    """Whether a negative control is caught by its rule, and a keeper with all its rules is not on the same day."""
    control = CONTROLS[name]
    found = breaches(run_day(control.scene(), make=control.make(), doubled=control.doubled))
    return control.rule in {breach.rule for breach in found} and not breaches(run_day(control.scene()))


def mark_of(record: Record) -> str:
    """A short hash of the server's whole record."""
    history = record.history
    return sha256(repr((history.all_requests, history.all_loads, history.all_unloads)).encode()).hexdigest()[:12]


def judged_pair(asked: tuple[int, int]) -> Verdict:
    """The same for a pool of processes."""
    return judged(*asked)
