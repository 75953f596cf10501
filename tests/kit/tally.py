"""The closing line of `make faults`: how many rows of FAULTS.md were survived, and which were not tried, and why.

A pytest plugin: `python -m pytest -p tests.kit.tally tests/faults`. A row counts as survived only where at least one
test named for it ran, and all of them passed; a fault that is known and stays, an xfail, is not survived, and then
pytest ends with 1. A row whose tests were all skipped was not tried, for their reason.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

ROWS = tuple(
    f"{section}{number}"
    for section, rows in {"A": 14, "B": 13, "C": 18, "D": 9, "E": 12, "F": 10, "G": 10}.items()
    for number in range(1, rows + 1)
)
UNTRIED: Mapping[str, str] = {}
"""Rows without a test, each with the reason."""

PARTS: Mapping[str, str] = {
    "metrics and messages have tests of their own": "A12 B3 C7 D5 D6 D7 D8 D9 E2 E7 E8 G3 G5 G8",
    "no packet filter on this machine": "A4, a drop rule in a namespace",
    "busy processors would disturb other tests": "D7, a niced process",
    "the kernel's killer is not called": "D9, prlimit --as",
    "make bench measures it": "G8 G9, lag; D2, stall",
}
"""What rows ask for that is not tried under the fault itself, by the reason: the rows that ask for it."""

NAMED = re.compile(r"::test_fault_([A-G]\d+)_")


@dataclass
class Tally:
    """What became of the rows so far."""

    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of one test; from workers too."""
        row = row_of(report.nodeid)
        if row is None:
            return
        if report.failed or hasattr(report, "wasxfail"):
            self.failed.add(row)
        elif report.skipped:
            self.skipped[row] = _reason(report)
        elif report.when == "call":
            self.passed.add(row)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A row that was not survived is a failure, an expected one too."""
        if self.failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """The last lines of all."""
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:
            return
        if PARTS:
            terminal.write_line(f"parts of rows not tried under the fault: {'; '.join(_parts())}")
        terminal.write_line(self.line())

    def line(self) -> str:
        """The closing line."""
        tried = self.passed | self.failed
        untried = [f"{row} ({self._why(row)})" for row in ROWS if row not in tried]
        counted = f"faults {len(tried - self.failed)}/{len(tried)} of {len(ROWS)}"
        left = f"not tried: {', '.join(untried)}" if untried else ""
        failed = f"failed: {', '.join(_in_order(self.failed))}" if self.failed else ""
        return "; ".join(filter(None, [counted, left, failed]))

    def _why(self, row: str) -> str:
        return self.skipped.get(row) or UNTRIED.get(row, "no test ran")


def row_of(nodeid: str) -> str | None:
    """The row that a test is named for."""
    found = NAMED.search(nodeid)
    return found[1] if found else None


def pytest_configure(config: pytest.Config) -> None:
    """Counts where the results come together, not in each worker."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Tally(), "faults-tally")


def _parts() -> list[str]:
    return [f"{reason}: {rows}" for reason, rows in PARTS.items()]


def _in_order(rows: set[str]) -> list[str]:
    return [row for row in ROWS if row in rows]


def _reason(report: pytest.TestReport) -> str:
    told = report.longrepr
    text = told[2] if isinstance(told, tuple) else str(told)
    return text.removeprefix("Skipped: ")
