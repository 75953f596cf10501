"""docs/promises.md names what measures each promise: all of it is there, and nothing that is measured is missing."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROMISES = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
HEAD = ["promise", "target", "last measured", "by"]


def subjects() -> set[str]:
    """The subjects of `python -m bench`, which is not imported, for it measures at once."""
    tree = ast.parse((ROOT / "bench" / "__main__.py").read_text(encoding="utf-8"))
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "SUBJECTS"
    )
    assert isinstance(table, ast.Dict)
    return {ast.literal_eval(key) for key in table.keys if key is not None}


def rows(text: str) -> list[list[str]]:
    """The cells of all tables, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    return [row for row in cells if row != HEAD]


def faults(text: str) -> list[str]:
    """What is wrong with the tables, a line each."""
    named = {name for row in rows(text) for name in re.findall(r"bench `(\w+)`", row[-1])}
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {name for row in rows(text) for name in re.findall(r"`make (\w+)`", row[-1])}
    files = {path for row in rows(text) for path in re.findall(r"\]\(([^)]+)\)", row[-1])}
    return [
        *(f"not four cells: {row[0]}" for row in rows(text) if len(row) != len(HEAD) or not all(row)),
        *(f"measured by nothing: {row[0]}" for row in rows(text) if not re.search(r"bench `|`make |\]\(", row[-1])),
        *(f"no subject {name}" for name in sorted(named - subjects())),
        *(f"subject {name} is missing" for name in sorted(subjects() - named)),
        *(f"no make {name}" for name in sorted(asked - targets)),
        *(f"{path} is not there" for path in sorted(files) if not (ROOT / "docs" / path).is_file()),
    ]


def test_each_promise_is_measured_by_something_that_is_there_and_each_subject_is_told() -> None:
    assert len(rows(PROMISES)) > 30
    assert faults(PROMISES) == []


def test_readme_leads_to_it() -> None:
    assert "](docs/promises.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param("bench `start`", "bench `begin`", ["no subject begin", "subject start is missing"], id="renamed"),
        pytest.param("`make soak`", "`make soup`", ["no make soup"], id="no such target"),
        pytest.param("process/test_wheel.py", "process/test_well.py", ["../tests/process/test_well.py"], id="no file"),
        pytest.param("| 1 | bench `scale` |", "| bench `scale` |", ["not four cells"], id="a cell less"),
        pytest.param("| bench `packages` |", "| us |", ["by nothing"], id="measured by nobody"),
    ],
)
def test_what_is_wrong_is_found(old: str, new: str, found: list[str]) -> None:
    head, rest = PROMISES.split("## What it does\n", 1)
    assert old in rest
    told = "\n".join(faults(head + rest.replace(old, new)))
    assert all(part in told for part in found)
