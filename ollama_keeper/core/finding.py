"""One finding of the doctor: what is so, why it matters, what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is: an error keeps a model from being kept; a note is only to be known."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: names the kind of finding, for programs; never changes.
        what, why, do: what is so; why it matters; what to do.
    """

    severity: Severity
    code: str
    what: str
    why: str
    do: str
    server: str | None = None
    model: str | None = None
