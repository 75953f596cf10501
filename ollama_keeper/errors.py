"""The exception tree.

    KeeperError
     ├─ ConfigError            the configuration can never work: exit 78
     ├─ StateError             the state file cannot be used: reported, and the daemon goes on in memory
     └─ OllamaError            a request to a server failed; `reason` is from the closed list (CONTRACT 4)
         ├─ Unreachable        no HTTP answer: says nothing of the models
         ├─ BadAnswer          an answer that Ollama would not give, or a failure of its own
         └─ Refused            the server understood and said no; the same request will not succeed

A class says what the caller does next, `reason` which layer failed. No error has an empty text:
`str(httpx.ReadTimeout)` is empty, so messages are worded from our own fields. Foreign text is cut to 512 characters
and stripped of control characters.
"""

from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from typing import ClassVar

from ollama_keeper.core.reasons import Failure

FOREIGN_TEXT = 512
LONGEST_PLACE = 200


class KeeperError(Exception):
    """Anything that the keeper words for an operator; `hint` says what to do, and may be empty."""

    hint: str = ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of the configuration, and where it is.

    Attributes:
        line, column: counted from 1; None where the source has no places (environment, command line).
        key: path of the key, items counted from 0: `models[2].keep_alive`.
        what, hint: `'forever' is not a duration`, `write -1 to pin, or '30m'`.
    """

    source: str
    key: str
    what: str
    hint: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (brief(self.source), self.line, self.column) if part is not None)
        text = f"{place}: {self.key}: {self.what}" if self.key else f"{place}: {self.what}"
        return f"{text}; {self.hint}" if self.hint else text


class ConfigError(KeeperError):
    """The configuration holds mistakes; all of them are told at once."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class StateError(KeeperError):
    """The state file cannot be read or written."""


class OllamaError(KeeperError):
    """A request to an Ollama server failed.

    Attributes:
        transient: whether the same request may succeed later.
        server, operation: which server, and what was asked, such as `look` or `warm qwen3:8b`.
        reason: from the closed list.
        status: of the HTTP answer, if there was one.
        retry_after_s: what the server asked for.
    """

    transient: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913 - each is a field of its own, named at every call
        self,
        server: str,
        operation: str,
        *,
        reason: Failure,
        detail: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        hint: str = "",
    ) -> None:
        self.server = server
        self.operation = operation
        self.reason = reason
        self.detail = printable(detail)
        self.status = status
        self.retry_after_s = retry_after_s
        self.hint = hint
        super().__init__(f"{server}: {operation}: {reason.value}" + (f": {self.detail}" if self.detail else ""))


class Unreachable(OllamaError):
    """No HTTP answer. It says nothing of the models."""


class BadAnswer(OllamaError):
    """An answer that is no Ollama's, or a failure that Ollama told of."""


class Refused(OllamaError):
    """The server understood and said no: it stays so until something is changed."""

    transient: ClassVar[bool] = False


def printable(text: str) -> str:
    """Foreign text made safe for a log line or a terminal: one line, no control characters, at most 512 characters."""
    flat = " ".join(text.split())
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in flat)
    return clean if len(clean) <= FOREIGN_TEXT else clean[: FOREIGN_TEXT - 1] + "…"


def brief(path: str) -> str:
    """A path as a message shows it: of a long one its beginning and its end."""
    half = LONGEST_PLACE // 2
    return path if len(path) <= LONGEST_PLACE else f"{path[:half]}…{path[-half:]}"


def where(error: BaseException) -> str:
    """File and line that raised an error: `fold.py:123`; empty where it was never raised."""
    places = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    return f"{Path(places[-1][0]).name}:{places[-1][1]}" if places else ""
