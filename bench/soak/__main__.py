"""`python -m bench.soak [--checks N | --duration 72h]`: samples in bench-results/soak.csv, one closing line.

Ctrl-C ends it early, with the same line. Exit code 0: nothing grew, as far as can be told; 1: something did, or the
keeper told of a fault of its own.
"""

import argparse
import asyncio
import csv
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.soak.grounds import Grounds, Virtual, loopback
from bench.soak.life import Life, Plan, live
from bench.soak.reckoning import Sample, Verdict, closing_line, reckon
from ollama_keeper.core.units import parse_duration
from tests.kit.virtual import VirtualLoop

CHECKS = 60_000
FLAT_OUT_EVERY_S = 1_200.0
REAL_EVERY_S = 60.0
RESULTS = Path("bench-results/soak.csv")
NAMED = {"model.lost": "losses", "server.restarted": "restarts", "config.loaded": "reloads"}
EXIT_KEPT, EXIT_GREW = 0, 1


def main(arguments: Sequence[str]) -> int:
    """Runs a soak to its end, or until Ctrl-C."""
    asked = _arguments().parse_args(arguments)
    life = Life()
    with TemporaryDirectory() as home, _recorded(asked.csv) as report:
        if asked.duration is None:
            plan = Plan(checks=asked.checks, every_s=FLAT_OUT_EVERY_S, seed=asked.seed)
            with asyncio.Runner(loop_factory=lambda: VirtualLoop(limit_s=float("inf"))) as runner:
                runner.run(_virtual(Path(home), plan, life, report))
        else:
            plan = Plan(seconds=asked.duration, every_s=REAL_EVERY_S, seed=asked.seed)
            with loopback(Path(home)) as grounds:
                asyncio.run(_until_signal(grounds, Path(home), plan, life, report))
    return _told(life)


async def _virtual(home: Path, plan: Plan, life: Life, report: Callable[[Sample], None]) -> None:
    grounds = Virtual()
    await _until_signal(grounds, home, plan, life, report)
    await grounds.close()


async def _until_signal(grounds: Grounds, home: Path, plan: Plan, life: Life, report: Callable[[Sample], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, life.ended.set)
    await live(grounds, home, plan, life, report)


def _told(life: Life) -> int:
    """Prints what came out; the exit code."""
    for line in life.trouble:
        print(line, file=sys.stderr)
    if not life.samples:
        print("soak: ended before the first sample")
        return EXIT_GREW if life.trouble else EXIT_KEPT
    reckoning = reckon(life.samples)
    happened = [f"{life.told[event]} {name}" for event, name in NAMED.items()]
    print(closing_line(reckoning, happened) + (" · with trouble" if life.trouble else ""))
    return EXIT_GREW if life.trouble or reckoning.verdict is Verdict.GREW else EXIT_KEPT


@contextmanager
def _recorded(path: Path) -> Iterator[Callable[[Sample], None]]:
    """Writes each sample as a line of CSV, at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(field.name for field in fields(Sample))

        def report(sample: Sample) -> None:
            rows.writerow(astuple(sample))
            stream.flush()

        yield report


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--checks", type=int, default=CHECKS, help="flat out, in virtual time (default: %(default)s)")
    parser.add_argument("--duration", type=parse_duration, help="in real time, on loopback sockets, for example 72h")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the mishaps (default: %(default)s)")
    parser.add_argument("--csv", type=Path, default=RESULTS, help="where the samples go (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
