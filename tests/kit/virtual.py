"""Virtual time: an event loop that jumps to its next timer, and a wall clock that jumps with it.

Hours pass in milliseconds, and instants can be asserted exactly. Real file descriptors and threads still work: they are
looked at before each jump, and calls in the loop's executor are waited for.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

from ollama_keeper.core.instant import Instant

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIMIT_S = 40 * 86_400.0
PATIENCE_S = 5.0  # real seconds for threads and sockets before a loop without timers counts as deadlocked


class Deadlock(AssertionError):
    """Raised when nothing is ready, nothing is scheduled, and no thread or socket brings anything."""


class TooLong(AssertionError):
    """Raised when a test has used up its virtual time."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time begins at 0 and passes only where nothing else is to do."""

    def __init__(self, start: datetime = NOON, limit_s: float = LIMIT_S) -> None:
        """Args: start: wall clock at 0. limit_s: virtual seconds until the test fails."""
        self.limit_s = limit_s
        self.waited_for = 0
        self._now = 0.0
        self._start = start
        self._travel = time_machine.travel(start, tick=False)
        self._wall = self._travel.start()
        super().__init__(_Selector(self))
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            TooLong: the limit is reached; once only, so that the loop can still be cleaned up.
        """
        before = self.wall()
        self._now += seconds
        self._wall.shift(self.wall() - before)  # `move_to` would set the time zone anew each time
        if self._now > self.limit_s:
            self.limit_s, limit = float("inf"), self.limit_s
            raise TooLong(f"{limit:.0f} s of virtual time are over")

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator does; monotonic time does not notice."""
        self._start += timedelta(seconds=seconds)
        self._wall.move_to(self.wall())

    def wall(self) -> datetime:
        """The wall clock; asked here it costs a tenth of what `datetime.now` does under a travelled clock."""
        return self._start + timedelta(seconds=self._now)

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run in a thread; time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self.waited_for += 1
        future.add_done_callback(self._one_less)
        return future

    async def shutdown_default_executor(self) -> None:
        """Wait for its threads; time stands still until they are gone."""
        self.waited_for += 1
        await super().shutdown_default_executor()
        self.waited_for -= 1

    def close(self) -> None:
        """Close, and give the wall clock back."""
        if not self.is_closed():
            self._travel.stop()
        super().close()

    def _one_less(self, _: object) -> None:
        self.waited_for -= 1


class LoopClock:
    """The keeper's clock in virtual time: the loop's as the monotonic one, and the wall clock that moves with it."""

    def now(self) -> Instant:
        """The present moment on both clocks."""
        loop = asyncio.get_running_loop()
        return Instant(loop.time(), loop.wall() if isinstance(loop, VirtualLoop) else datetime.now(UTC))


class _Selector(selectors.DefaultSelector):
    """Looks at real events first, then lets the loop jump."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; nothing after a jump over `timeout` virtual seconds."""
        found = super().select(0)
        if found or timeout == 0:
            return found
        if self._loop.waited_for:
            return super().select(PATIENCE_S)
        if timeout is None:
            return super().select(PATIENCE_S) or self._give_up()
        self._loop.jump(max(timeout, 0.0))
        return []

    def _give_up(self) -> list[tuple[selectors.SelectorKey, int]]:
        raise Deadlock("nothing is ready, and nothing is scheduled")
