"""The picture of the demo: what is known as plain values, and how it is drawn.

It imports no more than rich, so that the first picture is there before the rest of the program is loaded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

Kind = Literal["mishap", "good", "bad", "note"]

INDENT = 1
HEAD_LINES, TABLE_LINES, TALLY_LINES, GAPS = 3, 5, 6, 4
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
        figures: cells below each other, beside those of the other server.
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
        labels: of the figures.
        kept, alone: with the keeper, and without.
    """

    seed: int
    elapsed_s: float = 0.0
    length_s: float | None = None
    times: str = ""
    rows: tuple[Row, ...] = ()
    news: tuple[News, ...] = ()
    labels: tuple[str, ...] = ()
    kept: Side = field(default_factory=Side)
    alone: Side = field(default_factory=Side)


@dataclass(frozen=True, slots=True)
class Marks:
    """Signs for what happened, and for 0, 1, 2 and all 3 models resident."""

    mishap: str = "▶"
    good: str = "✓"
    bad: str = "!"
    note: str = "·"
    levels: tuple[str, str, str, str] = ("_", "▃", "▅", "█")


PLAIN = Marks(mishap=">", good="+", note=".", levels=("_", "1", "2", "#"))


def marks_for(console: Console) -> Marks:
    """The signs that a console can show."""
    return Marks() if console.encoding.startswith("utf") else PLAIN


def draw(picture: Picture, *, width: int, height: int, marks: Marks) -> RenderableType:
    """The whole screen: at most `height` lines, drawn for `width` columns."""
    width = min(width, WIDEST) - 2 * INDENT
    fixed = HEAD_LINES + TABLE_LINES + TALLY_LINES + GAPS
    lines = max(height - fixed, LEAST_NEWS)
    return Group(
        *_head(picture, width),
        Text(),
        _models(picture.rows, width),
        Text(),
        *_news(picture.news, lines, marks),
        Text(),
        _tally(picture, width, marks),
        _line("Ctrl-C ends the demo. Keep your own models:  ollama-keeper run MODEL", "dim"),
    )


# --- parts ------------------------------------------------------------------------------------------------------------


def _head(picture: Picture, width: int) -> Iterable[Text]:
    clock = _clock(picture.elapsed_s) + (f" of {_clock(picture.length_s)}" if picture.length_s is not None else "")
    title, right = "ollama-keeper demo", f"seed {picture.seed}  {clock}"
    line = _line(title, "bold")
    line.append(" " * max(width - len(title) - len(right), 2))
    line.append(right, "dim")
    yield line
    yield _line("A simulated Ollama with room for 3 of 4 models. Every few seconds something goes wrong.")
    yield _line(picture.times, "dim")


def _models(rows: Sequence[Row], width: int) -> Table:
    """Always as many lines, so that nothing below moves when a guest comes."""
    shown = [*rows[: TABLE_LINES - 1], *[Row("", "")] * (TABLE_LINES - 1 - len(rows))]
    table = _columns()
    table.add_column("MODEL", width=18)
    table.add_column("STATE", width=11)
    table.add_column("WHY", width=max(width - 18 - 11 - 9 - 6, 8))
    table.add_column("UNTIL", width=9)
    for row in shown:
        state = Text(row.state.replace("_", " "), STATES.get(row.state, "dim"))
        faint = "dim" if row.state == "guest" else ""
        table.add_row(Text(row.model, faint), state, Text(row.why, faint), Text(row.until, faint))
    return table


def _news(news: Sequence[News], lines: int, marks: Marks) -> Iterable[Text]:
    """The latest at the bottom; what it is about is in view however many there are."""
    latest = news[-lines:]
    for one in latest:
        line = _line(f"{_clock(one.at_s):>5} ", "dim")
        line.append(f"{getattr(marks, one.kind)} {one.text}", KINDS[one.kind])
        yield line
    for _ in range(lines - len(latest)):
        yield Text()


def _tally(picture: Picture, width: int, marks: Marks) -> Table:
    table = _columns()
    label, side = 20, max((width - 20 - 4) // 2, 8)
    table.add_column("SO FAR", width=label)
    table.add_column("with ollama-keeper", width=side, header_style="bold green")
    table.add_column("without: nobody reloads", width=side, header_style="bold red")
    cells = min(side - 1, STRIP_CELLS)
    table.add_row("models resident", _strip(picture.kept, marks, cells), _strip(picture.alone, marks, cells))
    blank = ("",) * len(picture.labels)
    columns = zip(picture.labels, picture.kept.figures or blank, picture.alone.figures or blank, strict=True)
    for name, kept, alone in columns:
        table.add_row(name, Text(kept), Text(alone))
    return table


def _strip(side: Side, marks: Marks, cells: int) -> Text:
    strip = Text()
    for level in side.warmth[-cells:]:
        strip.append(marks.levels[level], WARMTH[level])
    return strip


def _columns() -> Table:
    return Table(box=None, padding=(0, 1), pad_edge=True, header_style="dim", show_edge=False)


def _line(text: str, style: str = "") -> Text:
    return Text(" " * INDENT, no_wrap=True, overflow="ellipsis").append(text, style)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
