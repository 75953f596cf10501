"""`docs/reference.md` is what the code does: its tables are compared with the enums, events and numbers."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from ollama_keeper.core import changes, numbers
from ollama_keeper.core.alert_rules import FOR_S
from ollama_keeper.core.changes import FIRST, Change
from ollama_keeper.core.reasons import (
    LOAD_FAILURES,
    LOSSES,
    REASONS_OF,
    TRANSPORT_FAILURES,
    Cause,
    Failure,
    Reason,
    Reloaded,
    State,
    Undelivered,
    Unpulled,
)
from ollama_keeper.core.units import parse_duration

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")


def table(heading: str, number: int = 0) -> list[list[str]]:
    """The rows of a table below a heading, cells stripped, head and rule left out."""
    section = REFERENCE.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in tables[number].splitlines()]
    return rows[2:]


def words(cell: str) -> list[str]:
    """The words of a cell that stand in backticks."""
    return [word for part in re.findall(r"`([^`]+)`", cell) for word in part.split()]


EVENTS = {row[0].strip("`"): row for row in table("5. Events")}
CLASSES = {
    kind.event: kind
    for kind in vars(changes).values()
    if isinstance(kind, type) and issubclass(kind, Change) and kind is not Change
}


def test_the_states_are_those_of_the_table_in_its_order() -> None:
    assert [words(row[0])[0] for row in table("3. States")] == [state.value for state in State]


def test_the_causes_of_a_loss_are_those_of_the_table_in_its_order() -> None:
    assert [words(row[0])[0] for row in table("4. Causes")] == [cause.value for cause in LOSSES]


@pytest.mark.parametrize("row", table("4. Causes", 1), ids=lambda row: row[0])
def test_the_reasons_of_a_state_are_those_of_its_row(row: list[str]) -> None:
    of, values = row[0].strip("`"), set(words(row[1]))
    known = {"transport failure": set(TRANSPORT_FAILURES), "load failure": set(LOAD_FAILURES), "reload": set(Reloaded)}
    known["pull failure"] = set(Unpulled)
    known["notification failure"] = set(Undelivered)
    if of in known:
        assert values == {value.value for value in known[of]}
    elif of == "backing_off":
        assert values | {failure.value for failure in Failure} == {
            reason.value for reason in REASONS_OF[State.BACKING_OFF]
        }
    elif of == "loading":
        assert REASONS_OF[State.LOADING] == set(Cause)
    else:
        assert values == {reason.value for reason in REASONS_OF[State(of)]}


def test_every_reason_has_a_row() -> None:
    told = {word for row in table("4. Causes", 1) for word in words(row[1])}
    assert {reason.value for reason in Reason} <= told


def test_the_alerts_are_those_of_the_table_with_the_time_that_they_take() -> None:
    section = REFERENCE.split("### 2.4 Alerts", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\w+) \|$", section, re.MULTILINE)
    assert {name: parse_duration(after) for name, after in rows} == {one.value: after for one, after in FOR_S.items()}


def test_every_event_has_a_row_and_every_row_an_event() -> None:
    assert set(EVENTS) == set(CLASSES)


@pytest.mark.parametrize("event", sorted(CLASSES))
def test_level_and_fields_of_an_event_are_those_of_its_row(event: str) -> None:
    _, level, told = EVENTS[event]
    kind = CLASSES[event]
    own = [field.name.rstrip("_") for field in fields(kind) if field.name not in FIRST]
    written = [] if told == "–" else [part.split(" (")[0].strip() for part in re.sub(r"\([^)]*\)", "", told).split(",")]
    assert level.split()[0] == kind.severity
    assert written == own


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("suspect after", (numbers.SUSPECT_AFTER_S, numbers.RECHECK_S)),
        ("down after", (numbers.DOWN_AFTER, numbers.RECONNECT_FIRST_S, numbers.RECONNECT_MOST_S)),
        ("quick looks", (numbers.QUICK_LOOK_S, numbers.QUICK_LOOK_OLD_S)),
        ("`/api/tags`", (numbers.TAGS_EVERY_S / 60, numbers.TAGS_WHILE_MISSING_S)),
        ("back-off", (numbers.BACKOFF_FIRST_S, numbers.BACKOFF_MOST_S)),
        ("breaker", (numbers.BREAKER_FAILURES, numbers.BREAKER_DISPLACEMENTS, numbers.BREAKER_FIRST_S / 60)),
        ("failed loads", (numbers.FAILED_LOADS_AN_HOUR,)),
        ("full", (numbers.FULL_FOR_S / 3_600,)),
        ("scheduler hung", (numbers.HUNG_FACTOR, numbers.HUNG_LEAST_S / 60, numbers.HUNG_UNKNOWN_S / 60)),
    ],
)
def test_fixed_numbers_stand_in_their_rows(row: str, values: tuple[float, ...]) -> None:
    text = next(cells[1] for cells in table("7. Fixed numbers") if cells[0].startswith(row))
    found = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}
    assert set(values) <= found, text
