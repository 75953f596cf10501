"""A loop that hangs for good ends the process, so that whoever supervises it starts it anew; with a trace of where.

Two limits, for two ways to hang. A thread counts seconds of its own in which the loop did not turn: what stops the
whole process, a suspended machine or SIGSTOP, stops the thread too, and is no hang. What holds the interpreter itself,
such as a catastrophic regular expression, holds that thread as well: it burns processor time, at whose limit the kernel
ends the process.
"""

import faulthandler
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, NoReturn

LIMIT_S = 20
EXIT_STALLED = 70
FILE = "stalled.txt"
LARGEST_TRACE = 256 * 1024


class StallGuard:
    """Ends the process with 70 once `fed` was not called for `limit_s`.

    Args:
        trace: where the stacks of all threads are added; None, or a file that cannot be written, leaves none.
        end: what ends the process.
    """

    def __init__(
        self, trace: Path | None, *, limit_s: int = LIMIT_S, end: Callable[[int], NoReturn] = os._exit
    ) -> None:
        self._trace = _opened(trace)
        self._limit_s = limit_s
        self._end = end
        self._missed = 0
        self._resting = threading.Event()
        if hasattr(signal, "SIGPROF") and self._trace is not None:
            faulthandler.register(signal.SIGPROF, file=self._trace, chain=True)  # then what SIGPROF does: it ends us
        threading.Thread(target=self._watch, name="stall", daemon=True).start()

    def fed(self) -> None:
        """The loop turns."""
        self._missed = 0
        if hasattr(signal, "ITIMER_PROF"):
            signal.setitimer(signal.ITIMER_PROF, self._limit_s)

    def rest(self) -> None:
        """Nothing is expected of the loop any more."""
        self._resting.set()
        if hasattr(signal, "ITIMER_PROF"):
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _watch(self) -> None:
        while self._missed < self._limit_s:
            if self._resting.wait(1.0):
                return
            self._missed += 1
        if self._trace is not None:
            faulthandler.dump_traceback(self._trace)
        self._end(EXIT_STALLED)


def _opened(path: Path | None) -> IO[str] | None:
    """The file of the trace; it is open from the start, for a loop that hangs may be out of descriptors."""
    if path is None:
        return None
    try:
        large = path.is_file() and path.stat().st_size > LARGEST_TRACE
        return path.open("w" if large else "a", encoding="utf-8")  # the trace before a restart is what is looked for
    except OSError:
        return None
