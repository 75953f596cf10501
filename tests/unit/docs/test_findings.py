"""The codes of `check` in docs/reference.md, 10, are those that the code gives."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ollama_keeper.core.habits import DAYS, HOURS, MANY_DAYS, MANY_TIMES, TIMES
from ollama_keeper.core.reasons import Reason

ROOT = Path(__file__).parents[3]
SECTION = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8").split("## 10. ")[1]
SOURCES = [
    *(ROOT / "ollama_keeper" / "core" / f"{name}.py" for name in ("checkup", "inferred", "habits")),
    *(ROOT / "ollama_keeper" / "commands" / f"{name}.py" for name in ("check", "check_past")),
]
BY_REASON = {
    *(Reason.CLOUD_MODEL, Reason.IMAGE_MODEL, Reason.SAME_WEIGHTS, Reason.BAD_REQUEST),
    *(Reason.ON_CPU, Reason.PARTLY_ON_CPU, Reason.OTHER_CONTEXT, Reason.OTHER_DIGEST),
}
"""Reasons that are codes as well."""


def written() -> set[str]:
    rows = re.findall(r"^\| (?:error|warning|note) \| (.*) \|$", SECTION, re.MULTILINE)
    assert len(rows) == 3
    return {code for row in rows for part in re.findall(r"`([a-z_ ]+)`", row) for code in part.split()}


def given(source: Path) -> Iterator[str]:
    """The codes that stand in a file: second argument of a finding, or in the table of codes."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
            yield from (arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant))
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Dict)
            and ast.unparse(node.targets[0]) == "_CODES"
        ):
            yield from (ast.literal_eval(value) for value in node.value.values)


def test_the_codes_are_those_of_the_code() -> None:
    assert written() == {code for source in SOURCES for code in given(source)} | {reason.value for reason in BY_REASON}


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"last\n{DAYS} days" in SECTION
    assert f"the last {HOURS} hours" in SECTION
    words = {4: "four", 6: "six"}
    assert f"{words[TIMES]} times at one distance" in SECTION
    assert f"on {words[MANY_DAYS]} days" in SECTION
    assert f"{words[MANY_TIMES]} times in the last day" in SECTION
