"""The picture of the demo: what is known as plain values, and how it is drawn.

It imports no more than rich, so that the first picture is there before the rest of the program is loaded.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

Kind = Literal["mishap", "good", "bad", "note"]

INDENT = 1
HEAD_LINES, TABLE_LINES, TALLY_LINES, GAPS = 3, 5, 6, 3
LEAST_NEWS = 3
WIDEST = 110
STRIP_CELLS = 24
STATES = {
    **dict.fromkeys(("ready",), "bold green"),
    **dict.fromkeys(("loading", "queued"), "bold cyan"),
    **dict.fromkeys(("yielding", "cold", "degraded", "contended", "unknown"), "bold yellow"),
    **dict.fromkeys(("backing_off", "stuck", "missing", "refused"), "bold red"),
}
KINDS: dict[Kind, str] = {"mishap": "bold magenta", "good": "green", "bad": "yellow", "note": "dim"}
LABELS = ("lost / came back", "time without a model", "users who waited")
APART = "not bold"  # a leading blank of the same style as its text is lost where the picture becomes an SVG
WARMTH = ("red", "yellow", "yellow", "green")


@dataclass(frozen=True, slots=True)
class Row:
    """One model of the kept server, as the keeper sees it."""

    model: str
    state: str
    why: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened; `at_s` counts from the start of the demo."""

    at_s: float
    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Side:
    """What became of the models on one server.

    Attributes:
        figures: in the order of `LABELS`; empty before it counts.
        warmth: how many models were resident, oldest first; empty before it counts.
    """

    figures: tuple[str, ...] = ()
    warmth: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn.

    Attributes:
        length_s: how long the demo lasts; None until it is stopped.
        times: what was shortened, in words.
        rows: wanted models, then guests.
        kept, alone: with the keeper, and without.
    """

    seed: int
    elapsed_s: float = 0.0
    length_s: float | None = None
    times: str = ""
    rows: tuple[Row, ...] = ()
    news: tuple[News, ...] = ()
    kept: Side = field(default_factory=Side)
    alone: Side = field(default_factory=Side)


@dataclass(frozen=True, slots=True)
class Marks:
    """Signs for what happened, for 0, 1, 2 and all 3 models resident, and how a line ends that is too long."""

    mishap: str = "▶"
    good: str = "✓"
    bad: str = "!"
    note: str = "·"
    levels: tuple[str, str, str, str] = ("_", "▃", "▅", "█")
    overflow: Literal["ellipsis", "crop"] = "ellipsis"


PLAIN = Marks(mishap=">", good="+", note=".", levels=("_", "1", "2", "#"), overflow="crop")


def marks_for(console: Console) -> Marks:
    """The signs that a console can show."""
    return Marks() if console.encoding.startswith("utf") else PLAIN


def draw(picture: Picture, *, width: int, height: int, marks: Marks) -> RenderableType:
    """The whole screen: at most `height` lines, drawn for `width` columns."""
    width = min(width, WIDEST) - 2 * INDENT
    fixed = HEAD_LINES + TABLE_LINES + TALLY_LINES + GAPS
    lines = max(height - fixed, LEAST_NEWS)
    parts: tuple[Text | Table, ...] = (
        *_head(picture, width),
        Text(),
        _models(picture.rows, width),
        Text(),
        *_news(picture.news, lines, width, marks),
        Text(),
        _tally(picture, width, marks),
        _line("Ctrl-C ends the demo. Keep your own models:  ollama-keeper run MODEL", "dim"),
    )
    return Group(*(_cut(part, marks) for part in parts))


# --- parts ------------------------------------------------------------------------------------------------------------


def _cut(part: Text | Table, marks: Marks) -> Text | Table:
    """Lets lines that are too long end as the terminal can show."""
    for line in (part,) if isinstance(part, Text) else part.columns:
        line.overflow = marks.overflow
    return part


def _head(picture: Picture, width: int) -> Iterable[Text]:
    clock = _clock(picture.elapsed_s) + (f" of {_clock(picture.length_s)}" if picture.length_s is not None else "")
    title, right = "ollama-keeper demo", f"seed {picture.seed}  {clock}"
    line = _line(title, "bold")
    line.append(" " * max(width - len(title) - len(right), 2))
    line.append(right, "dim")
    yield line
    yield _line("A simulated Ollama with room for 3 of 4 models, and a mishap every few seconds.")
    yield _line(picture.times, "dim")


def _models(rows: Sequence[Row], width: int) -> Table:
    """Always as many lines, so that nothing below moves when a guest comes."""
    shown = [*rows[: TABLE_LINES - 1], *[Row("", "")] * (TABLE_LINES - 1 - len(rows))]
    table = _columns("dim")
    for name, cells in (("MODEL", 17), ("STATE", 11), ("WHY", max(width - 17 - 11 - 7 - 6, 8)), ("UNTIL", 7)):
        table.add_column(name, width=cells, no_wrap=True)
    for row in shown:
        state = Text(row.state.replace("_", " "), STATES.get(row.state, "dim"))
        faint = "dim" if row.state == "guest" else ""
        table.add_row(Text(row.model, faint), state, Text(row.why, faint), Text(row.until, faint))
    return table


def _news(news: Sequence[News], lines: int, width: int, marks: Marks) -> Iterable[Text]:
    """The latest, the last at the bottom; a long one has a second line."""
    told = [line for one in news[-lines:] for line in _wrapped(one, width, marks)][-lines:]
    yield from told
    for _ in range(lines - len(told)):
        yield Text()


def _wrapped(one: News, width: int, marks: Marks) -> Iterable[Text]:
    first = f"{_clock(one.at_s):>5} {getattr(marks, one.kind)} "
    parts = textwrap.wrap(one.text, max(width - len(first), 20)) or [""]
    for place, part in enumerate(parts):
        line = _line(f"{first[:6] if place == 0 else '':6}", "dim")
        yield line.append(f"{first[6:] if place == 0 else '  '}{part}", KINDS[one.kind])


def _tally(picture: Picture, width: int, marks: Marks) -> Table:
    table = _columns("")
    label, side = 20, max((width - 20 - 4) // 2, 8)
    table.add_column("SO FAR", width=label, header_style="dim", no_wrap=True)
    table.add_column("with ollama-keeper", width=side, header_style="bold green", no_wrap=True)
    table.add_column("without, same mishaps", width=side, header_style="bold red", no_wrap=True)
    table.add_row("models in memory", _strip(picture.kept, marks, side), _strip(picture.alone, marks, side))
    blank = ("",) * len(LABELS)
    columns = zip(LABELS, picture.kept.figures or blank, picture.alone.figures or blank, strict=True)
    for name, kept, alone in columns:
        table.add_row(name, Text(kept), Text(alone))
    return table


def _strip(side: Side, marks: Marks, width: int) -> Text:
    """The last minute as a strip, and the last of it in figures."""
    strip = Text()
    for level in side.warmth[-min(width - 4, STRIP_CELLS) :]:
        strip.append(marks.levels[level], WARMTH[level])
    return strip.append(" ", APART).append(f"{side.warmth[-1]}/3") if side.warmth else strip


def _columns(header_style: str) -> Table:
    return Table(box=None, padding=(0, 1), pad_edge=True, header_style=header_style, show_edge=False)


def _line(text: str, style: str = "") -> Text:
    return Text(no_wrap=True).append(" " * INDENT, APART).append(text, style)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
