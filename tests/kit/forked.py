"""Processes forked from one that has imported everything (`zygote`), handled as `subprocess.Popen` is."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import BinaryIO

ROOT = Path(__file__).parents[2]
INTERPRETED = ("PYTHON", "LC_", "LANG", "TZ", "MALLOC", "LD_")
"""Variables that are read when an interpreter starts, which a fork does not do."""


class Forked:
    """A process of ours that began without imports.

    Attributes:
        pid: its number.
        stdout: what it writes, where that was asked for.
    """

    def __init__(
        self, arguments: Sequence[str], environ: Mapping[str, str], folder: Path, *, stdout: int, stderr: int
    ) -> None:
        self.stdout: BinaryIO | None = None
        self._code: int | None = None
        report, theirs = os.pipe()
        reading, writing = os.pipe() if stdout == subprocess.PIPE else (-1, -1)
        with Path(os.devnull).open("r+b") as nothing:
            out = {subprocess.PIPE: writing, subprocess.DEVNULL: nothing.fileno()}.get(stdout, stdout)
            order = {"arguments": list(arguments), "environ": dict(environ), "folder": str(folder)}
            socket.send_fds(zygote(), [json.dumps(order).encode()], [nothing.fileno(), out, stderr, theirs])
        os.close(theirs)
        if reading >= 0:
            os.close(writing)
            self.stdout = os.fdopen(reading, "rb", buffering=0)
        self._report = os.fdopen(report, "rb", buffering=0)
        self.pid = int(self._report.readline())

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self._ended(0.0)

    def wait(self, limit_s: float | None = None) -> int:
        """How it ended, once it has."""
        code = self._ended(limit_s)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), limit_s or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Sends it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, limit_s: float | None) -> int | None:
        if self._code is None and select.select([self._report], [], [], limit_s)[0]:
            self._code = int(self._report.readline())
            self._report.close()
        return self._code


def can_fork(environ: Mapping[str, str]) -> bool:
    """Whether a fork is like a fresh process: nothing in its environment concerns the interpreter's start."""
    if not hasattr(os, "pidfd_open"):
        return False
    names = {name for name in {*environ, *_inherited()} if name.startswith(INTERPRETED)}
    return all(environ.get(name) == _inherited().get(name) for name in names)


@cache
def zygote() -> socket.socket:
    """The way to the one that forks for this process; it ends when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.zygote", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=_inherited(),
            cwd=ROOT,
            start_new_session=True,
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


@cache
def _inherited() -> dict[str, str]:
    without = "PYTHONDONTWRITEBYTECODE"
    return {name: value for name, value in os.environ.items() if name != without}
