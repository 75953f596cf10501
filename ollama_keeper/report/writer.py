"""Lines to a sink through a bounded queue and one thread: a blocked, closed or full stdout never stops the loop."""

import threading
from collections import deque
from collections.abc import Callable
from itertools import count

from ollama_keeper.report.sink import Gone, Sink

LINES = 10_000


class Writer:
    """Writes lines in order, in its own thread.

    Full: the oldest debug line is dropped, else the oldest line. What is lost is counted, and told once all that was
    queued is written. A sink that nobody reads any more is switched off; one that fails is tried again with the next
    line.

    Args:
        sink: where the lines go.
        told: makes the line that says how many were lost.
        most: lines that wait at most.
    """

    def __init__(self, sink: Sink, *, told: Callable[[int], str], most: int = LINES) -> None:
        self.dropped = 0
        """Lines lost so far."""
        self._sink = sink
        self._told = told
        self._most = most
        self._number = count()
        self._plain: deque[tuple[int, str]] = deque()
        self._debug: deque[tuple[int, str]] = deque()
        self._wake = threading.Condition()
        self._untold = 0
        self._closing = False
        self._off = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def off(self) -> bool:
        """Whether nobody reads the stream any more, so that every line is lost."""
        return self._off

    def put(self, line: str, *, debug: bool) -> None:
        """Queues a line; returns at once."""
        with self._wake:
            if self._off:
                self.lose(1)
                return
            if self._waiting() >= self._most:
                (self._debug or self._plain).popleft()
                self.lose(1)
            (self._debug if debug else self._plain).append((next(self._number), line))
            self._wake.notify()

    def lose(self, lines: int) -> None:
        """Counts lines that will never be written."""
        with self._wake:
            self.dropped += lines
            self._untold += lines

    def close(self, timeout_s: float) -> None:
        """Writes what is queued, for `timeout_s` at most."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout_s)

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while (line := self._next()) is not None:
                if self._written(line) and not self._waiting():
                    self._tell_losses()
            self._tell_losses()
        except Gone:
            self._switch_off()

    def _next(self) -> str | None:
        """The next line, once there is one; None when all is written and the writer closes."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting() or self._closing)
            return self._oldest().popleft()[1] if self._waiting() else None

    def _waiting(self) -> int:
        return len(self._plain) + len(self._debug)

    def _oldest(self) -> deque[tuple[int, str]]:
        if not self._plain or not self._debug:
            return self._plain or self._debug
        return self._plain if self._plain[0] < self._debug[0] else self._debug

    def _written(self, line: str) -> bool:
        try:
            self._sink.write(line)
        except OSError:  # a full disk, which may have space for the next one
            self.lose(1)
            return False
        except Gone:
            self.lose(1)
            raise
        return True

    def _tell_losses(self) -> None:
        with self._wake:
            untold, self._untold = self._untold, 0
        if not untold:
            return
        try:
            self._sink.write(self._told(untold))
        except OSError:
            with self._wake:
                self._untold += untold

    def _switch_off(self) -> None:
        with self._wake:
            self._off = True
            self.lose(self._waiting())
            self._plain.clear()
            self._debug.clear()
