"""One question to a server, and its whole answer."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """One request.

    Attributes:
        operation: how errors name it.
        path: below the server's URL.
        seconds: how long the answer may take, from the question on; None for as long as it takes.
        json: the body; without one it is a GET.
    """

    operation: str
    path: str
    seconds: float | None
    json: object = None

    @property
    def method(self) -> str:
        """What asks with a body is a POST."""
        return "GET" if self.json is None else "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; of a refusal, the beginning of its body. Names of headers match in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def good(self) -> bool:
        """Whether it is what was asked for, and not a refusal."""
        return 200 <= self.status < 300
