"""A name that means nothing here: what was probably meant."""

import difflib
from collections.abc import Iterable

from ollama_keeper.errors import printable

FEW = 6
LONGEST = 60
ALIKE = 0.5


def guess(name: str, known: Iterable[str]) -> str:
    """`did you mean qwen3:8b?`, else the names that there are; empty where there are none."""
    names = list(dict.fromkeys(known))
    if alike := near(name, names):
        return f"did you mean {' or '.join(alike)}?"
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f"there are {', '.join(names[:FEW])}{more}" if names else ""


def near(name: str, known: Iterable[str]) -> list[str]:
    """The known names that are most like one; none where none is."""
    names = list(dict.fromkeys(known))
    alike = difflib.get_close_matches(name[:LONGEST].lower(), [one.lower() for one in names], n=2, cutoff=ALIKE)
    return [one for one in names if one.lower() in alike]


def shown(name: str) -> str:
    """A name that somebody wrote, as a message may show it: one line, and short."""
    text = printable(name)
    return repr(text) if len(text) <= LONGEST else f"{text[:LONGEST]!r}…"
