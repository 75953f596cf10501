"""`python -m tests.campaign --days 1000 --seed 1 --jobs 2`: simulated days, judged by the server's own record.

`--day N` lives one day again and tells all of it. Exit 0 where nothing was broken, 1 where something was.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context

from tests.campaign.day import run_day
from tests.campaign.rules import breaches
from tests.campaign.scene import scene
from tests.campaign.told import told
from tests.campaign.verdict import Verdict, judged, judged_pair

TOLD_AT_MOST = 3


def main() -> int:
    """The command."""
    asked = _arguments()
    if asked.day is not None:
        record = run_day(scene(asked.seed, asked.day))
        print("\n".join(told(record)))
        broken = breaches(record)
        print("\n".join(map(str, broken)) or "nothing was broken")
        return 1 if broken else 0
    return _campaign(asked.seed, asked.first, asked.days, asked.jobs)


def _campaign(seed: int, first: int, days: int, jobs: int) -> int:
    began, rules, broken_days = time.monotonic(), Counter[str](), 0
    total = Counter[str]()
    for verdict in _verdicts(seed, range(first, first + days), jobs):
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


def _verdicts(seed: int, days: range, jobs: int) -> Iterator[Verdict]:
    if jobs == 1:
        yield from (judged(seed, day) for day in days)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(judged_pair, [(seed, day) for day in days])


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
    parser.add_argument("--day", type=int, help="live this one day again, and tell all of it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
