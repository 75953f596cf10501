"""A letter: what one message says, in one language, before a service gives it its own form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ollama_keeper.core.delivery import Item, Kind

MARK = "ollama-keeper"
"""In every title: services that ask for a keyword can be given this one."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One message.

    Attributes:
        title: one line.
        parts: paragraphs of some lines each, the gravest first.
        items: what it is about.
        at: when it was written.
        more: makes the note that says how many parts were left out.
        alone: what a message about one of the items alone would say, as title and text.
        templated: the operator's own text, in place of the parts; None without a template.
    """

    title: str
    parts: tuple[str, ...]
    items: tuple[Item, ...]
    at: datetime
    more: str = "… {count}"
    alone: Callable[[Item], tuple[str, str]] = lambda _: ("", "")
    templated: str | None = None

    @property
    def firing(self) -> int:
        """How many fire."""
        return sum(item.kind is not Kind.RESOLVED for item in self.items)

    @property
    def resolved(self) -> int:
        """How many have ended."""
        return len(self.items) - self.firing

    def note(self, count: int) -> str:
        """The note that so many are not shown."""
        return self.more.replace("{count}", str(count))

    def body(self, limit: int, *, between: str = "\n\n") -> str:
        """The text below the title, of `limit` bytes of UTF-8 at most; what has no room is counted."""
        if self.templated is not None:
            return cut(self.templated, limit)
        return fitted(self.parts, limit, self, between=between)


def fitted(parts: Sequence[str], limit: int, letter: Letter, *, between: str) -> str:
    """As many parts as have room, and a note that tells how many have not."""
    whole = between.join(parts)
    if size(whole) <= limit:
        return whole
    for count in range(len(parts) - 1, 0, -1):
        text = between.join((*parts[:count], letter.note(len(parts) - count)))
        if size(text) <= limit:
            return text
    return cut(parts[0], limit) if parts else ""


def cut(text: str, limit: int) -> str:
    """The beginning of a text, `limit` bytes of UTF-8 at most; what is cut is marked."""
    data = text.encode()
    return text if len(data) <= limit else data[: max(limit - 3, 0)].decode(errors="ignore") + "…"


def size(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text.encode())
