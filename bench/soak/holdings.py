"""What this process holds, asked of the kernel, the loop and the daemon."""

import asyncio
import gc
import io
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.soak.reckoning import Sample
from ollama_keeper.daemon import Daemon
from ollama_keeper.store import FILE
from tests.kit.checks import POOLS

TROUBLE = ("check.failed", "consumer.failed", "keeper.broken", "Traceback", "never retrieved")
MOST_TROUBLE = 10


class Lines(io.StringIO):
    """Takes the log instead of a file: counts the lines, and keeps the first that tell of a fault of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.trouble: list[str] = []

    def write(self, text: str, /) -> int:
        """One line or several."""
        self.count += text.count("\n")
        if len(self.trouble) < MOST_TROUBLE and any(mark in text for mark in TROUBLE):
            self.trouble.append(text.strip())
        return len(text)


@dataclass(slots=True)
class Holdings:
    """Counts what one daemon of this process holds, and what it has done."""

    daemon: Daemon
    lines: Lines
    state_dir: Path
    checks: int = 0
    _known: dict[int, int] = field(default_factory=dict)

    def sample(self, at_s: float) -> Sample:
        """What is held now; what only waits to be collected is not."""
        gc.collect()
        self.count_checks()
        return Sample(
            at_s=at_s,
            checks=self.checks,
            rss_kib=resident_kib(),
            blocks=sys.getallocatedblocks(),
            descriptors=len(list(Path("/proc/self/fd").iterdir())),
            threads=sum(not thread.name.startswith(POOLS) for thread in threading.enumerate()),
            tasks=len(asyncio.all_tasks()),
            jobs=self._jobs(),
            store_bytes=sum(map(_size, self.state_dir.glob(f"{FILE}*"))),
            lines=self.lines.count,
        )

    def count_checks(self) -> int:
        """Runs of jobs so far; to be asked often, since a server that ends takes its count with it."""
        known, self._known = self._known, {id(one): one.counts.checks for one in self.daemon.servers}
        for server, count in self._known.items():
            before = known.get(server, 0)
            self.checks += count - before if count >= before else count
        return self.checks

    def _jobs(self) -> int:
        scheduler: Any = self.daemon._fleet.schedule._scheduler
        return len(scheduler.get_jobs())


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # a journal that sqlite has just taken away
        return 0


def resident_kib() -> float:
    """Resident memory of this process, counted page by page; /proc/self/status may lag by hundreds of KiB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("Rss:"))
    return float(line.split()[1])
