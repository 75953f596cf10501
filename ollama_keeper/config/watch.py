"""Whether the configuration's file has changed: asked every 2 s, since that works on bind mounts and swapped links.

A file is used when it was read twice with the same content: one that is being written is not.
"""

import hashlib
from pathlib import Path

from ollama_keeper.config.places import MAX_BYTES

WATCH_EVERY_S = 2.0

Seen = tuple[int, ...] | None


class FileWatch:
    """Watches one file; blocking, so to be asked from a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _signature(path)
        self._used = self._resting = _digest(path)

    def changed(self) -> bool:
        """Whether the file has another content than it had when this was last true, and has come to rest."""
        seen = _signature(self._path)
        if seen == self._seen and self._resting == self._used:
            return False
        digest = _digest(self._path)
        rests, self._resting = digest == self._resting, digest
        self._seen = seen
        if not rests or digest == self._used:
            return False
        self._used = digest
        return True


def _signature(path: Path) -> Seen:
    """What tells a file from its successor without reading it; links are followed."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return hashlib.sha256(stream.read(MAX_BYTES + 1)).digest()
    except OSError:
        return b""
