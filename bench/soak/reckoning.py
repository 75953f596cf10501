"""What samples of a life show: slopes, counts that must be flat, the verdict. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, linear_regression
from typing import TypeVar

T = TypeVar("T")

DAY_S = 86_400.0
HOUR_S = 3_600.0
MIB = 1024.0
WARM_UP = 0.5  # of the life: caches fill, pools reach their size, and the allocator its own (measured: 15 h)
FEWEST = 12  # samples after the warm-up; fewer show no trend
LONGEST_WARM_UP_S = 24 * HOUR_S
NOISE_KIB = 256.0  # the allocator's own: up to 190 measured on a busy machine, while not one object was left behind
FEW_BLOCKS = 300  # about 20 KiB: what another configuration takes
FEW_PAGES = 2 * 4096  # bytes: how full the store's log is at a sample depends on when its thread had its turn
MORE_LINES = 1.25  # the mishaps of an hour differ


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process held at one moment.

    Attributes:
        at_s: seconds of its life, virtual ones where its time is.
        checks: runs of models' jobs so far.
        rss_kib: resident memory.
        blocks: of memory that Python's allocator has given out, which no fragmentation blurs.
        descriptors, threads, tasks, jobs: how many there are.
        store_bytes: size of the state file and its log.
        lines: written to the log so far.
    """

    at_s: float
    checks: int
    rss_kib: float
    blocks: int
    descriptors: int
    threads: int
    tasks: int
    jobs: int
    store_bytes: int
    lines: int


class Verdict(StrEnum):
    """How a soak ended."""

    FLAT = "flat"
    GREW = "grew"
    TOO_SHORT = "too short to tell"


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as flat."""

    mib_a_day: float = 1.0
    kib_per_1000_checks: float = 1.0


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What came out.

    Attributes:
        checks, seconds: of the whole life.
        rss_mib: at its end.
        mib_a_day, kib_per_1000_checks: slope of the memory by regression, after the warm-up; 0 where that is too short.
        lines_an_hour: of the log, after the warm-up.
        floors: the least of blocks, descriptors, threads, tasks, jobs and bytes of the store: in the first and in the
            last third after the warm-up.
        grew: what did, by its name.
        verdict: on all of it.
    """

    checks: int
    seconds: float
    rss_mib: float
    mib_a_day: float
    kib_per_1000_checks: float
    lines_an_hour: float
    floors: dict[str, tuple[int, int]]
    grew: tuple[str, ...]
    verdict: Verdict


COUNTS: dict[str, Callable[[Sample], int]] = {
    "blocks": lambda sample: sample.blocks,
    "descriptors": lambda sample: sample.descriptors,
    "threads": lambda sample: sample.threads,
    "tasks": lambda sample: sample.tasks,
    "jobs": lambda sample: sample.jobs,
    "store bytes": lambda sample: sample.store_bytes,
}
SLACK = {"blocks": FEW_BLOCKS, "store bytes": FEW_PAGES}


def reckon(samples: Sequence[Sample], limits: Limits | None = None) -> Reckoning:
    """Judges a life by its samples, in order.

    Raises:
        ValueError: there are none.
    """
    if not samples:
        msg = "no samples"
        raise ValueError(msg)
    warm = warmed_up(samples)
    enough = len(warm) >= FEWEST
    first, last = thirds(warm)
    day, checks = memory_slopes(warm) if enough else (0.0, 0.0)
    floors = {name: (min(map(of, first)), min(map(of, last))) for name, of in COUNTS.items()}
    grew = tuple(_grown(warm, (day, checks), floors, limits or Limits())) if enough else ()
    return Reckoning(
        samples[-1].checks,
        samples[-1].at_s,
        samples[-1].rss_kib / MIB,
        day,
        checks,
        lines_an_hour(warm),
        floors,
        grew,
        Verdict.GREW if grew else Verdict.FLAT if enough else Verdict.TOO_SHORT,
    )


def warmed_up(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples after the warm-up: half of the life, a day of it at most."""
    ends = min(samples[-1].at_s * WARM_UP, LONGEST_WARM_UP_S)
    return [sample for sample in samples if sample.at_s >= ends]


def memory_slopes(samples: Sequence[Sample]) -> tuple[float, float]:
    """By how much the memory grows: MiB a day, KiB in 1,000 checks. A rise within the noise is none."""
    days, kib = [sample.at_s / DAY_S for sample in samples], [sample.rss_kib for sample in samples]
    thousands = [sample.checks / 1000 for sample in samples]
    a_day = linear_regression(days, kib).slope
    first, last = thirds(kib)
    if fmean(last) - fmean(first) <= NOISE_KIB or thousands[-1] == thousands[0]:
        return min(a_day / MIB, 0.0), 0.0
    return a_day / MIB, linear_regression(thousands, kib).slope


def lines_an_hour(samples: Sequence[Sample]) -> float:
    """How much the log is told; 0 where no time has passed."""
    span_s = samples[-1].at_s - samples[0].at_s
    return (samples[-1].lines - samples[0].lines) / span_s * HOUR_S if span_s else 0.0


def thirds(samples: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """The first and the last of three parts; what a mishap holds for a while is in neither floor."""
    size = max(len(samples) // 3, 1)
    return samples[:size], samples[-size:]


def closing_line(reckoning: Reckoning, happened: Sequence[str] = ()) -> str:
    """All of it in one line; `happened` is what there was beside checks, such as `200 reloads`."""
    life = ", ".join([f"{reckoning.checks:,} checks in {reckoning.seconds / HOUR_S:.1f} h", *happened])
    slopes = f"{reckoning.mib_a_day:+.2f} MiB a day, {reckoning.kib_per_1000_checks:+.2f} KiB per 1,000 checks"
    counts = ", ".join(f"{name} {before:,}→{after:,}" for name, (before, after) in reckoning.floors.items())
    end = f"grew: {', '.join(reckoning.grew)}" if reckoning.grew else reckoning.verdict.value
    lines = f"{reckoning.lines_an_hour:.0f} log lines an hour"
    return f"soak {life} · RSS {reckoning.rss_mib:.1f} MiB, {slopes} · {counts} · {lines} · {end}"


def _grown(
    warm: Sequence[Sample], slopes: tuple[float, float], floors: dict[str, tuple[int, int]], limits: Limits
) -> list[str]:
    first, last = thirds(warm)
    memory = slopes[0] > limits.mib_a_day or slopes[1] > limits.kib_per_1000_checks
    lines = lines_an_hour(last) > lines_an_hour(first) * MORE_LINES + 1
    counts = [name for name, (before, after) in floors.items() if after > before + SLACK.get(name, 0)]
    return [*(["memory"] if memory else []), *counts, *(["log lines"] if lines else [])]
