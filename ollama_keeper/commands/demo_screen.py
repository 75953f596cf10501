"""The demo on a terminal: one picture that changes, and two lines when it is over.

The first picture is drawn before the keeper, the simulator and their libraries are loaded: that takes about a second.
"""

import asyncio
import time
from collections import deque
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live

from ollama_keeper.commands.demo_view import Marks, News, Picture, Row, draw, marks_for

if TYPE_CHECKING:
    from ollama_keeper.commands.demo_play import Play
    from ollama_keeper.commands.demo_script import Turn
    from ollama_keeper.core.changes import Change
    from ollama_keeper.core.instant import Instant

FRAME_S = 0.25
NEWS_KEPT = 100
TIMES = "Times are shortened: looks each 1 s, not 15 s; patience 3 s, not 60 s."
FLUSH_S = 1.0


class Screen:
    """The picture on a terminal. A consumer of changes."""

    def __init__(self, console: Console, seed: int, length_s: float | None) -> None:
        self._console = console
        self._marks: Marks = marks_for(console)
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._began = time.monotonic()
        self._news: deque[News] = deque(maxlen=NEWS_KEPT)
        self._picture = Picture(seed=seed, length_s=length_s, times=TIMES)

    def __enter__(self) -> "Screen":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first picture."""
        return time.monotonic() - self._began

    def show(self, **changed: object) -> None:
        """Draws anew."""
        self._picture = replace(self._picture, elapsed_s=self.elapsed_s, news=tuple(self._news), **changed)  # type: ignore[arg-type]
        self._live.update(self.drawn(), refresh=True)

    def drawn(self) -> RenderableType:
        """The picture at the terminal's present size."""
        size = self._console.size
        return draw(self._picture, width=size.width, height=size.height, marks=self._marks)

    def take(self, change: "Change", at: datetime) -> None:
        """Notes what the keeper tells."""
        from ollama_keeper.commands.demo_words import news_of

        del at  # the picture counts seconds from its own beginning
        news = news_of(change, self.elapsed_s)
        if news is not None:
            self._news.append(news)

    def turn(self, turn: "Turn") -> None:
        """Notes a mishap; questions are only counted."""
        if turn.troubles:
            self._news.append(News(self.elapsed_s, "mishap", turn.words))

    async def watch(self, play: "Play") -> None:
        """Draws the play as it goes on."""
        from ollama_keeper.clock import SystemClock

        clock = SystemClock()
        while True:
            self.show_play(play, clock.now())
            await asyncio.sleep(FRAME_S)

    def show_play(self, play: "Play", now: "Instant") -> None:
        """Draws the play as it stands."""
        from ollama_keeper.commands.demo_words import rows_of, side_of

        tallies, warmths = play.tallies(), play.warmths()
        kept, alone = (side_of(tally, warmth) for tally, warmth in zip(tallies, warmths, strict=True))
        self.show(rows=rows_of(play.memory, now), kept=kept, alone=alone)


def can_draw() -> bool:
    """Whether the terminal can move its cursor."""
    return not Console().is_dumb_terminal


def on_screen(seed: int, seconds: float | None) -> int:
    """Plays on the terminal."""
    console = Console(highlight=False)
    lines: tuple[str, ...] = ()
    code = 0
    try:
        with Screen(console, seed, seconds) as screen:
            screen.show(rows=_first_rows())
            code, lines = _play(screen, seed, seconds)
    except KeyboardInterrupt:  # before the play could take it
        return code
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
    return code


def _first_rows() -> tuple[Row, ...]:
    from ollama_keeper.commands.demo_script import WANTED

    return tuple(Row(name, "unknown", "the keeper is starting") for name in WANTED)


def _play(screen: Screen, seed: int, seconds: float | None) -> tuple[int, tuple[str, ...]]:
    """Exit code, and the lines to leave behind."""
    from ollama_keeper.commands.demo_run import Audience, perform
    from ollama_keeper.commands.demo_words import closing
    from ollama_keeper.commands.start import EXIT_FAULT, EXIT_OK
    from ollama_keeper.daemon import Broken
    from ollama_keeper.report import Reports
    from ollama_keeper.report.log import open_log

    log = open_log(level="error", format="json", stream=None)  # libraries must not write into the picture
    left_s = None if seconds is None else max(seconds - screen.elapsed_s, 0.0)
    audience = Audience(Reports(log, screen), screen.turn, screen.watch)
    told: list[str] = []
    code = EXIT_OK
    try:
        play = asyncio.run(perform(audience, seed=seed, seconds=left_s))
        told += closing(*play.tallies())
    except* Broken as group:
        told += [f"ollama-keeper: {error}: a fault of ours, please report it" for error in group.exceptions]
        code = EXIT_FAULT
    finally:
        log.close(FLUSH_S)
    return code, tuple(told)
