"""The way from a server to its registry, and the disk that it downloads to."""

from dataclasses import dataclass, field

from ollama_keeper.simulator.catalogue import BLOBS
from ollama_keeper.simulator.state import SECOND


@dataclass
class Downloads:
    """What limits pulls, and what has come of those that were cut.

    Attributes:
        rate: bytes a second; 0 stalls.
        tick: nanoseconds between two lines.
        error: what every pull ends in before it begins; None lets them be.
        free: bytes left on the disk; None is enough.
        come: bytes of each blob that are there, of those that are not whole.
    """

    rate: int = 10**9
    tick: int = 60_000_000
    error: str | None = None
    free: int | None = None
    come: dict[str, int] = field(default_factory=dict)

    def take(self, digest: str, total: int) -> int:
        """What comes of a blob within a tick; the bytes of it that are there then.

        Raises:
            OSError: there is no room for it.
        """
        before = self.come.get(digest, 0)
        more = min(self.rate * self.tick // SECOND, total - before)
        if self.free is not None and more > self.free:
            msg = f"write {BLOBS}/sha256-{digest}-partial: no space left on device"
            raise OSError(msg)
        self.free = None if self.free is None else self.free - more
        self.come[digest] = before + more
        return before + more
