"""The lines of one `POST /api/pull`, and what they add up to (OLLAMA.md 6; tried on 0.33.0-rc2).

Layers come one after another, each with its own total, so the whole is known only at the end; the weights come first.
While nothing comes the server repeats its line every 60 ms: a line is no sign of life, more bytes are.
"""

import re
from collections.abc import AsyncIterator

from ollama_keeper.core.reasons import Unpulled
from ollama_keeper.ollama.wire import Json, parse_document

LONGEST_LINE = 64 * 2**10
STALL_S = 600.0  # without one byte more
VERIFY_S = 3_600.0  # a hash over all of it, without a word: 100 MB/s is a slow disk
SUCCESS = "success"
VERIFYING = "verifying"

_SAID: tuple[tuple[re.Pattern[str], Unpulled], ...] = (
    (re.compile(r"no space left|not enough space|disk quota exceeded", re.IGNORECASE), Unpulled.DISK_FULL),
    (re.compile(r"manifest: file does not exist"), Unpulled.NOT_IN_REGISTRY),
    (re.compile(r": (?:429|5\d\d)\b"), Unpulled.REGISTRY_UNREACHABLE),
    (re.compile(r": 4\d\d\b|unauthorized|access denied", re.IGNORECASE), Unpulled.REGISTRY_REFUSED),
    (
        re.compile(
            r"dial tcp|no such host|lookup |proxyconnect|connection (?:refused|reset)|timeout|deadline exceeded|tls: |"
            r"x509|EOF|unreachable|max retries exceeded",
            re.IGNORECASE,
        ),
        Unpulled.REGISTRY_UNREACHABLE,
    ),
)
"""What Ollama says when a pull fails, the first that fits."""


class Pulled:
    """What has come of one pull.

    Attributes:
        done: the last line said success; only then is the model there.
        said: the error of a line: every failure of the registry comes inside a 200.
    """

    def __init__(self) -> None:
        self.done = False
        self.said: str | None = None
        self._layers: dict[str, tuple[int, int]] = {}
        self._status = ""

    @property
    def completed(self) -> int:
        """Bytes that are there, of the layers told of so far."""
        return sum(completed for completed, _ in self._layers.values())

    @property
    def total(self) -> int:
        """Bytes of the layers told of so far."""
        return sum(total for _, total in self._layers.values())

    @property
    def patience_s(self) -> float:
        """How long nothing new may come now."""
        return VERIFY_S if self._status.startswith(VERIFYING) else STALL_S

    def take(self, line: Json) -> bool:
        """One line; whether it brought anything new: another status, or more bytes."""
        error = line.get("error")
        if isinstance(error, str):
            self.said = error
            return True
        status, before = str(line.get("status") or ""), self.completed
        moved = status != self._status
        self._status, self.done = status, status == SUCCESS
        digest, total, completed = line.get("digest"), line.get("total"), line.get("completed", 0)
        if isinstance(digest, str) and isinstance(total, int) and isinstance(completed, int):
            self._layers[digest] = max(min(completed, total), 0), max(total, 0)
        return moved or self.completed > before


async def documents(parts: AsyncIterator[bytes]) -> AsyncIterator[Json]:
    """The JSON lines of a stream, each as it comes.

    Raises:
        ValueError: a line is no JSON, or longer than 64 KiB.
        BadShape: a line is JSON, but no object.
    """
    left = b""
    async for part in parts:
        *whole, left = (left + part).split(b"\n")
        for line in whole:
            if line.strip():
                yield parse_document(line)
        if len(left) > LONGEST_LINE:
            msg = "a line without an end"
            raise ValueError(msg)
    if left.strip():
        yield parse_document(left)


def pull_failure(said: str) -> Unpulled:
    """Why a pull failed, by Ollama's own words."""
    return next((reason for text, reason in _SAID if text.search(said)), Unpulled.PULL_FAILED)
