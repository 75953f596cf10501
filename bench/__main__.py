"""`python -m bench [SUBJECT…]`: a table, and bench-results/bench.json; ends with 1 when a target is missed."""

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import checkup, flood, help_page, loss, packages, rest, scale, start, surface
from bench.number import Number

SUBJECTS: dict[str, Callable[[], Iterator[Number]]] = {
    "help": help_page.measure,
    "start": start.measure,
    "rest": rest.measure,
    "everything": rest.everything,
    "loss": loss.measure,
    "packages": packages.measure,
    "check": checkup.measure,
    "scale": scale.measure,
    "stress": scale.stress,
    "surface": surface.measure,
    "flood": flood.measure,
}
RESULTS = Path("bench-results/bench.json")
EXIT_MISSED = 1
EXIT_USAGE = 64


def main(chosen: Sequence[str]) -> int:
    """Measures the chosen subjects, all without a choice."""
    unknown = set(chosen) - SUBJECTS.keys()
    if unknown:
        print(f"bench: no subject {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}", file=sys.stderr)
        return EXIT_USAGE
    numbers = list(_told(chosen or SUBJECTS))
    _write(numbers)
    missed = [number for number in numbers if not number.ok]
    print(f"{len(missed)} of {len(numbers)} missed; {RESULTS}" if missed else f"all kept; {RESULTS}")
    return EXIT_MISSED if missed else 0


def _told(chosen: Iterable[str]) -> Iterator[Number]:
    """The numbers, each printed as soon as it is known."""
    print(f"{'':<38}{'measured':>10}{'target':>9}")
    for subject in chosen:
        for number in SUBJECTS[subject]():
            print(_line(number), flush=True)
            yield number


def _line(number: Number) -> str:
    target = "-" if number.target is None else f"{number.target:g}"
    verdict = "ok" if number.ok else "MISSED"
    return f"{number.name:<38}{number.measured:>10.4g}{target:>9}  {number.unit:<12}{verdict:<7} {number.note}"


def _write(numbers: Sequence[Number]) -> None:
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "numbers": [{**asdict(number), "ok": number.ok} for number in numbers],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=2) + "\n")


sys.exit(main(sys.argv[1:]))
