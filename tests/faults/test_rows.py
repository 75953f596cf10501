"""Every row has a test named for it, or is named as not tried; and the closing line tells the truth."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.kit.tally import ROWS, UNTRIED, Tally, row_of

TESTS = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
TESTED = set(re.findall(r"^(?:async )?def test_fault_([A-G]\d+)_", TESTS, re.MULTILINE))


def report(row: str, outcome: str, when: str = "call", *, xfail: bool = False) -> pytest.TestReport:
    nodeid, why = f"tests/faults/test_x.py::test_fault_{row}_something", ("file", 1, "Skipped: not here")
    longrepr = why if outcome == "skipped" else None
    made = pytest.TestReport(nodeid, ("", 0, ""), {}, outcome, longrepr, when)  # type: ignore[arg-type]
    if xfail:
        made.wasxfail = "known"
    return made


def told(*reports: pytest.TestReport) -> str:
    tally = Tally()
    for one in reports:
        tally.pytest_runtest_logreport(one)
    return tally.line()


def test_every_row_is_tried_or_named_as_not_tried() -> None:
    assert len(ROWS) == 86
    assert TESTED | UNTRIED.keys() == set(ROWS)
    assert not TESTED & UNTRIED.keys()


def test_a_test_bears_the_name_of_its_row() -> None:
    assert row_of("tests/faults/test_x.py::test_fault_C10_ping_pong[1]") == "C10"
    assert row_of("tests/faults/test_rows.py::test_every_row") is None


def test_a_row_whose_tests_all_passed_is_survived() -> None:
    assert told(report("A1", "passed"), report("A1", "passed")).startswith("faults 1/1 of 86; not tried: A2 (")


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(report("A1", "failed"), id="failed"),
        pytest.param(report("A1", "failed", "teardown"), id="failed-at-its-end"),
        pytest.param(report("A1", "skipped", xfail=True), id="known-fault"),
    ],
)
def test_one_that_failed_takes_the_row_with_it(bad: pytest.TestReport) -> None:
    line = told(report("A1", "passed"), bad, report("A2", "passed"))
    assert line.startswith("faults 1/2 of 86; not tried: A3 (")
    assert line.endswith("; failed: A1")


def test_a_row_that_was_skipped_is_not_tried_for_its_reason() -> None:
    assert "A1 (not here), A2 (" in told(report("A1", "skipped", "setup"))


@pytest.mark.parametrize(
    ("reports", "code"),
    [
        pytest.param([report("A1", "passed")], 0, id="survived"),
        pytest.param([report("A1", "skipped")], 0, id="not-tried"),
        pytest.param([report("A1", "passed"), report("A2", "skipped", xfail=True)], 1, id="known-fault"),
    ],
)
def test_make_faults_ends_with_1_where_a_row_was_not_survived(reports: list[pytest.TestReport], code: int) -> None:
    tally, session = Tally(), SimpleNamespace(exitstatus=pytest.ExitCode.OK)
    for one in reports:
        tally.pytest_runtest_logreport(one)
    tally.pytest_sessionfinish(session)  # type: ignore[arg-type]
    assert session.exitstatus == code
