"""What a process costs, as the kernel counts it; Linux only where /proc is read."""

import os
import time
from pathlib import Path
from statistics import median

from tests.kit.proc import installed

NS = 1e9


def timed(command: list[str]) -> tuple[float, float]:
    """Runs a command that prints to nowhere: wall seconds and CPU seconds from exec to its end."""
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.monotonic()
    pid = os.posix_spawn(command[0], command, installed(), file_actions=nowhere)
    _, status, usage = os.wait4(pid, 0)
    took = time.monotonic() - began
    if status:
        msg = f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}"
        raise RuntimeError(msg)
    return took, usage.ru_utime + usage.ru_stime


def medians(command: list[str], tries: int) -> tuple[float, float]:
    """Medians of wall and CPU time of a command, in milliseconds; it runs once before, which fills the disk's cache."""
    timed(command)
    runs = [timed(command) for _ in range(tries)]
    return median(wall for wall, _ in runs) * 1000, median(cpu for _, cpu in runs) * 1000


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a running process, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / NS


def memory_mib(pid: int, field: str = "VmRSS") -> float:
    """Memory of a running process: `VmRSS` now, `VmHWM` at its largest."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024
