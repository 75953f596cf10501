"""Lines to a stream through a bounded queue and one thread: a blocked or closed stdout never stops the loop."""

import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

LINES = 10_000


class Writer:
    """Writes lines in order, in its own thread.

    Full: the oldest debug line is dropped, else the oldest line; losses are counted and told when the stream drains. A
    stream that fails (closed, disk full) takes nothing more until it works again; nothing is raised.

    Args:
        stream: where the lines go.
        told: makes the line that says how many were lost.
    """

    def __init__(self, stream: TextIO, *, told: Callable[[int], str], most: int = LINES) -> None:
        self._stream = stream
        self._told = told
        self._most = most
        self._lines: deque[tuple[str, bool]] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._busy = False
        self.dropped = 0
        self._untold = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str, *, debug: bool) -> None:
        """Queues a line; returns at once."""
        with self._wake:
            if len(self._lines) >= self._most:
                self._drop()
            self._lines.append((line, debug))
            self._wake.notify()

    def close(self, timeout_s: float) -> None:
        """Writes what is queued, for `timeout_s` at most."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout_s)

    def _drop(self) -> None:
        self.dropped += 1
        self._untold += 1
        for index, (_, debug) in enumerate(self._lines):
            if debug:
                del self._lines[index]
                return
        self._lines.popleft()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._lines or self._closing)
                if not self._lines:
                    return
                line, _ = self._lines.popleft()
            if self._write(line):
                self._tell_losses()

    def _tell_losses(self) -> None:
        with self._wake:
            untold, self._untold = self._untold, 0
        if untold and not self._write(self._told(untold)):
            self._untold += untold

    def _write(self, line: str) -> bool:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # closed, broken pipe, no space
            with self._wake:
                self.dropped += 1
                self._untold += 1
            return False
        return True
