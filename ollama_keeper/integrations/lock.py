"""One keeper for many workers: whoever holds the lock of a set of servers keeps, the others look on."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Lock:
    """A lock among the processes of this user on this machine; it is free again when its holder ends, however it ends.

    Args:
        servers: URLs; equal sets share a lock.
    """

    def __init__(self, servers: Iterable[str]) -> None:
        name = hashlib.sha256("\n".join(sorted(servers)).encode()).hexdigest()[:16]
        user = getattr(os, "getuid", lambda: 0)()
        self.path = Path(tempfile.gettempdir()) / f"ollama-keeper-{user}-{name}.lock"
        self._file: IO[bytes] | None = None

    def taken(self) -> bool:
        """Takes the lock if it is free; whether it is held by us now.

        Where no such file can be made, every process is its own: two keepers do no harm, they only look twice.
        """
        if self._file is not None:
            return True
        try:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        except OSError:
            return True
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def free(self) -> None:
        """Gives the lock back."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
