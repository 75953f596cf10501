"""When models were last used, as far as `/api/ps` shows it: kept ones and guests.

The end of a request moves `expires_at`, of a pin as well (OLLAMA.md 1). What our own pings and loads move is left out.
A long answer shows when it ends, and the first one on a fresh load at each look.
"""

from collections.abc import Iterator

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.reasons import By
from ollama_keeper.core.record import record

PIN, LEASE, GUEST = "pin", "lease", "guest"


@record
class Used:
    """A model and its last use.

    Attributes:
        name: as the operator calls it, or as the server lists a guest.
        kind: `pin`, `lease` or `guest`.
        at: the look that last showed that a client had used it; None where none did.
        size: in memory, bytes; None where it is not there.
    """

    name: str
    kind: str
    at: Instant | None
    size: int | None = None


def uses(memory: ServerMemory) -> Iterator[Used]:
    """The kept models of a server, and its guests."""
    for model in memory.models:
        size = model.listed.size if model.listed else None
        yield Used(model.model, PIN if model.policy.pins else LEASE, _last(model), size)
    for guest in memory.guests():
        yield Used(guest.listed.text, GUEST, guest.moved, guest.listed.size)


def _last(model: ModelMemory) -> Instant | None:
    """The last use of a listed model; that a client loaded it is one."""
    brought = model.present is not None and model.returned is not None and model.returned.by is By.CLIENT
    loaded = model.present.appeared if model.present and brought else None
    known = [at for at in (model.used, loaded) if at is not None]
    return max(known, default=None)
