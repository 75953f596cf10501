"""One measured number and what was promised of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """A number that must not be larger than its target.

    Attributes:
        name: what was measured.
        measured: in `unit`.
        target: in `unit`; None for what is told beside a promise, and promised by nobody.
        note: how it came about: spread, number of tries.
    """

    name: str
    measured: float
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the promise is kept."""
        return self.target is None or self.measured <= self.target
