"""The picture fits the terminal, moves nothing that did not change, and can be read without colours."""

import io

import pytest
from rich.console import Console

from ollama_keeper.commands.demo_view import PLAIN, STATES, Marks, News, Picture, Row, Side, draw, marks_for
from ollama_keeper.core.reasons import State

ROWS = (
    Row("qwen3:8b", "ready", "", "forever"),
    Row("nomic-embed-text", "yielding", "mistral:7b is in use", "3s"),
    Row("llama3.2:3b", "loading", "it was swept out together with others", "~1s"),
    Row("mistral:7b", "guest", "somebody else's", "14s"),
)
LONG = "nomic-embed-text got its keep_alive again in 16 ms: a client had left it 5.9s, and more than that"
NEWS = tuple(News(float(second), "bad" if second % 2 else "mishap", f"{second} {LONG}") for second in range(60))
FULL = Picture(
    seed=4,
    elapsed_s=65.0,
    length_s=120.0,
    times="Times are shortened: looks each 1 s, not 15 s; patience 3 s, not 60 s.",
    rows=ROWS,
    news=NEWS,
    kept=Side(("8 / 7", "24%  (31s)", "1 of 5"), (3, 2, 0, 1) * 6),
    alone=Side(("9 / 7", "52%  (1m 7s)", "4 of 5"), (0,) * 24),
)


def shown(picture: Picture, width: int = 80, height: int = 24, marks: Marks | None = None) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(draw(picture, width=width, height=height, marks=marks or Marks()))
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (200, 60)])
@pytest.mark.parametrize("picture", [FULL, Picture(seed=1)], ids=["full", "empty"])
def test_it_fits_the_terminal(picture: Picture, width: int, height: int) -> None:
    lines = shown(picture, width, height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_it_is_as_high_with_nothing_in_it_as_when_it_is_full() -> None:
    assert len(shown(Picture(seed=1))) == len(shown(FULL)) == 24


def test_nothing_is_cut_off_at_eighty_columns() -> None:
    assert "…" not in "\n".join(shown(FULL))


def test_a_narrow_terminal_cuts_lines_instead_of_adding_some() -> None:
    assert max(map(len, shown(FULL, 50, 24))) <= 50
    assert len(shown(FULL, 50, 24)) == 24


def test_the_latest_is_at_the_bottom_and_a_long_line_has_a_second_one() -> None:
    lines = [line for line in shown(FULL) if "keep_alive" in line or "more than that" in line]
    assert lines[-2].startswith("  0:59 ! 59 nomic-embed-text got")
    assert lines[-1].startswith(" " * 9 + "left it")


def test_state_reason_and_end_of_each_model_stand_in_its_line() -> None:
    line = next(line for line in shown(FULL) if "yielding" in line)
    assert line.split() == ["nomic-embed-text", "yielding", "mistral:7b", "is", "in", "use", "3s"]


def test_both_servers_are_told_side_by_side() -> None:
    line = next(line for line in shown(FULL) if "time without a model" in line)
    assert line.split("model")[1].split() == ["24%", "(31s)", "52%", "(1m", "7s)"]


def test_a_terminal_without_unicode_gets_plain_letters() -> None:
    ascii_only = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert marks_for(ascii_only) is PLAIN
    assert "\n".join(shown(FULL, 60, 24, marks=PLAIN)).isascii()


def test_every_state_that_can_be_shown_has_a_colour() -> None:
    never = {State.PAUSED, State.OFF_HOURS, State.OVER_BUDGET}
    assert set(STATES) == {state.value for state in State if state not in never}
