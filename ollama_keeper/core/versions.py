"""What a server of a given version does differently (OLLAMA.md 0, 3, 5).

Versions are texts as `/api/version` gives them. One that is unknown, or the `0.0.0` of a source build, counts as the
newest; a release candidate counts as its release.
"""

import re
from functools import lru_cache

from ollama_keeper.core.facts import Kind
from ollama_keeper.core.numbers import EMBEDDER_ECHO_LEAST

Version = tuple[int, int, int]
NEWEST: Version = (1_000_000, 0, 0)

_TEXT = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


@lru_cache(maxsize=16)
def parse_version(text: str | None) -> Version:
    """The three numbers of a version; `NEWEST` where none can be read."""
    match = _TEXT.match(text.strip()) if text else None
    if match is None:
        return NEWEST
    major, minor, patch = (int(part or 0) for part in match.groups())
    return NEWEST if (major, minor, patch) == (0, 0, 0) else (major, minor, patch)


def fast_path(version: str | None) -> bool:
    """Whether a request for a loaded model is served beside the scheduler's queue (since 0.11.5)."""
    return parse_version(version) >= (0, 11, 5)


def tells_context(version: str | None) -> bool:
    """Whether `/api/ps` has `context_length` (since 0.10.0)."""
    return parse_version(version) >= (0, 10, 0)


def crash_prone_looks(version: str | None) -> bool:
    """Whether a look during a load or an unload can end the server: an unguarded map (before 0.32.4)."""
    return parse_version(version) < (0, 32, 4)


def echo_safe(version: str | None, kind: Kind, *, context: int, trained: int | None, mlx: bool = False) -> bool:
    """Whether a listed context, sent as `num_ctx`, reloads nothing, neither now nor at the next default request.

    Args:
        context: as listed, tokens.
        trained: tokens the model was trained for; None where unknown.
        mlx: such a runner never reloads for options.
    """
    number = parse_version(version)
    if mlx:
        return True
    if context <= 0 or not tells_context(version):
        return False
    if kind is Kind.EMBEDDER and context < EMBEDDER_ECHO_LEAST:
        return False
    clamped_in_list_only = (0, 15, 5) <= number < (0, 30, 0)
    return not clamped_in_list_only or (trained is not None and context < trained)
