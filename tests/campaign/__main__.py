"""`python -m tests.campaign --days 1000 --seed 1 --jobs 2`: simulated days, judged by the server's own record.

`--day N` lives one day again and tells all of it. `--table` lives each day five times, for the table of
docs/campaign.md. Exit 0 where nothing was broken and each negative control was caught, 1 otherwise.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import get_context
from typing import TypeVar

from tests.campaign.controls import CONTROLS
from tests.campaign.day import run_day
from tests.campaign.rules import breaches
from tests.campaign.scene import scene
from tests.campaign.table import BROKEN, lived, table, work
from tests.campaign.told import told
from tests.campaign.verdict import Verdict, caught, judged_pair

T, U = TypeVar("T"), TypeVar("U")
TOLD_AT_MOST = 3
PROGRESS_EACH = 10


def main() -> int:
    """The command."""
    asked = _arguments()
    if asked.day is not None:
        record = run_day(scene(asked.seed, asked.day))
        print("\n".join(told(record)))
        broken = breaches(record)
        print("\n".join(map(str, broken)) or "nothing was broken")
        return 1 if broken else 0
    if asked.table:
        return _table(asked.seed, asked.first, asked.days, asked.jobs)
    missed = _missed(asked.jobs) if asked.controls else 0
    return _campaign(asked.seed, asked.first, asked.days, asked.jobs) or int(missed > 0)


def _missed(jobs: int) -> int:
    """How many keepers without a rule pass for one with all its rules."""
    found = dict(zip(CONTROLS, _each(caught, list(CONTROLS), jobs), strict=True))
    missed = [name for name, was_caught in found.items() if not was_caught]
    print(f"negative controls: {len(found) - len(missed)} of {len(found)} caught", *missed, sep=" · ", flush=True)
    return len(missed)


def _campaign(seed: int, first: int, days: int, jobs: int) -> int:
    began, rules, broken_days = time.monotonic(), Counter[str](), 0
    total = Counter[str]()
    for verdict in _counted(_verdicts(seed, range(first, first + days), jobs)):
        total += Counter(requests=verdict.requests, loads=verdict.loads, mishaps=verdict.mishaps)
        rules.update(breach.rule for breach in verdict.breaches)
        broken_days += bool(verdict.breaches)
        _tell(verdict)
    told_rules = ", ".join(f"{rule}: {times}" for rule, times in sorted(rules.items()))
    print(
        f"campaign seed {seed}: {days} days, {total['mishaps']} mishaps, {total['requests']} requests, "
        f"{total['loads']} loads · {sum(rules.values())} violations on {broken_days} days"
        f"{f' ({told_rules})' if told_rules else ''} · {time.monotonic() - began:.0f} s"
    )
    return 1 if rules else 0


def _table(seed: int, first: int, days: int, jobs: int) -> int:
    asked = work(seed, range(first, first + days))
    lines = list(table(_counted(_each(lived, asked, jobs)), seed=seed, first=first, count=days))
    print("\n".join(lines))
    return 1 if any(line.startswith(BROKEN) for line in lines) else 0


def _counted(some: Iterable[T]) -> Iterator[T]:
    """Tells how far it is, where it does not disturb what is printed."""
    for number, one in enumerate(some, 1):
        yield one
        if number % PROGRESS_EACH == 0:
            print(f"… {number} days lived", file=sys.stderr, flush=True)


def _verdicts(seed: int, days: range, jobs: int) -> Iterator[Verdict]:
    return _each(judged_pair, [(seed, day) for day in days], jobs)


def _each(act: Callable[[T], U], some: Sequence[T], jobs: int) -> Iterator[U]:
    if jobs == 1:
        yield from map(act, some)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(act, some)


def _tell(verdict: Verdict) -> None:
    for breach in verdict.breaches[:TOLD_AT_MOST]:
        print(f"day {verdict.day}: {breach}", flush=True)
    if verdict.breaches:
        print(f"  again: python -m tests.campaign --seed {verdict.seed} --day {verdict.day}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--days", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first day")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--controls", action="store_true", help="keepers without a rule first, which must be caught")
    parser.add_argument("--table", action="store_true", help="the same days for others than the keeper, compared")
    parser.add_argument("--day", type=int, help="live this one day again, and tell all of it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
