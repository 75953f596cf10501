"""Where log lines end: whole lines to a stream, past Python's buffers.

A thread that blocks inside `sys.stdout` holds a lock which the interpreter wants at its end, and unwritten bytes there
end the process with code 120. So lines go straight to the file descriptor; only a stream without one, and a console of
Windows, which wants text, are written through the stream.
"""

import errno
import os
import select
from typing import TextIO

GONE = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN, errno.ENXIO, errno.EIO})
"""Errors after which no later line can arrive; others, such as a full disk, may pass."""


class Gone(Exception):
    """Nobody reads the stream any more."""


class Sink:
    """Writes lines to a stream; blocks as long as its reader does.

    Args:
        stream: None where the process was started without one.
        encoding: what it cannot express is written as a backslash escape.
    """

    def __init__(self, stream: TextIO | None, *, encoding: str = "utf-8") -> None:
        self._stream = stream
        self._encoding = encoding
        self._number = None if stream is None else _descriptor(stream)
        self._torn = False

    def write(self, line: str) -> None:
        """Writes a line and its end.

        Raises:
            Gone: nobody will read it, nor any later one.
            OSError: it could not be written, or only in part; a later one may be.
        """
        try:
            self._write(line)
        except OSError as error:
            if error.errno in GONE:
                raise Gone from error
            raise
        except ValueError as error:  # the stream was closed
            raise Gone from error

    def _write(self, line: str) -> None:
        if self._stream is None:
            raise Gone
        begin = "\n" if self._torn else ""  # what was left of a torn line stays a line of its own
        data = f"{begin}{line}\n".encode(self._encoding, "backslashreplace")
        if self._number is not None:
            self._send(self._number, data)
            return
        self._stream.write(data.decode(self._encoding))
        self._stream.flush()

    def _send(self, number: int, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                sent = os.write(number, left)
            except BlockingIOError:  # another process may have set the shared pipe to O_NONBLOCK
                select.select([], [number], [])
                continue
            self._torn = sent < len(left)
            left = left[sent:]


def _descriptor(stream: TextIO) -> int | None:
    try:
        return None if os.name == "nt" and stream.isatty() else stream.fileno()
    except (OSError, ValueError):
        return None
