"""An HTTP answer, whole or streamed."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ollama_keeper.simulator.wire import JSON, NDJSON, dumps, error

CHUNKED_FROM = 2048  # bytes; Go's server sends longer bodies in chunks, without a length


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body and headers; the length is added for short whole bodies only, as Go does."""

    status: int
    body: bytes | AsyncIterator[bytes]
    content_type: str | None = JSON
    headers: tuple[tuple[str, str], ...] = ()


class Problem(Exception):
    """Raised by a handler that answers with an error.

    Attributes:
        status, text: of the answer.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Cut(Exception):
    """Raised where the server closes the connection without an answer, or in the middle of one."""


def whole(body: Mapping[str, object], status: int = 200, content_type: str = JSON) -> Answer:
    """A JSON document."""
    return Answer(status, dumps(body), content_type)


def problem(status: int, text: str) -> Answer:
    """A native error."""
    return whole(error(text), status)


def lines(body: AsyncIterator[bytes]) -> Answer:
    """A stream of JSON lines."""
    return Answer(200, body, NDJSON)
