"""What is shown of servers and models: one place for `status`, the page and whoever asks for JSON.

Plain values only: text, numbers, booleans and None, named as in the JSON document (`docs/status.schema.json`). Seconds
end in `_s`, sizes in `_bytes`; an instant is RFC 3339 with seconds.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from ollama_keeper.core.facts import Listed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, Pause, ServerMemory
from ollama_keeper.core.outlook import outlook
from ollama_keeper.core.ownership import pinned
from ollama_keeper.core.pulls import fraction
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.release import owed
from ollama_keeper.core.states import States, Told, resident, state_of, states_of

VERSION = 1
"""Of the document: raised when a key is taken away or comes to mean something else; keys may be added."""

GUEST = "guest"
FOREVER = "forever"

READYZ: dict[State, bool | None] = {state: state in {State.READY, State.DEGRADED} for state in State}
READYZ[State.OFF_HOURS] = None
"""Whether a model in this state counts as ready; None: it is not asked (CONTRACT 3)."""


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server.

    Attributes:
        version: of Ollama, as it last told.
        reason: why the last look failed; None when it did not.
        since: when it entered its state.
        looked: when it last gave a valid list of its models; None where never.
        budget_bytes, budget_models: what all of its models may take, guests included; None where that is not limited.
    """

    name: str
    state: str
    version: str | None = None
    reason: str | None = None
    since: str | None = None
    looked: str | None = None
    budget_bytes: int | None = None
    budget_models: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model on one server.

    Attributes:
        state: of a wanted model; `guest` for a resident model that is not wanted.
        since: how long it has been so, as far as the keeper can tell: at the latest since it was started.
        until: its expiry, `forever`, or None when not resident.
        remaining_s: None for a pin, and when not resident.
        pulled_fraction: how much of an open pull is there, 0.0 to 1.0.
        next, next_s: what the keeper does next by itself, and in how many seconds; None where that is not known.
        warm_day, warm_month: share of the time it was wanted in which it was warm, of 24 hours and of 30 days; None
            where that is not recorded.
        paused_by, paused_until, paused_note: who asked that it be left alone, until when (None: until it is resumed),
            and why; None where it is not paused.
        owed: it is not to be kept, and the keeper has still to give it back.
        left_alone: two requests of ours loaded it anew within a day: not pinged until its configuration changes.
    """

    server: str
    model: str
    state: str
    reason: str | None
    resident: bool
    required: bool
    since: str | None = None
    until: str | None = None
    remaining_s: float | None = None
    context_length: int | None = None
    gpu_fraction: float | None = None
    size_bytes: int | None = None
    vram_bytes: int | None = None
    next: str | None = None
    next_s: float | None = None
    pulled_fraction: float | None = None
    warm_day: float | None = None
    warm_month: float | None = None
    paused_by: str | None = None
    paused_until: str | None = None
    paused_note: str | None = None
    owed: bool = False
    left_alone: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """All servers, and of each its wanted models by rank, then its guests, as they were at a moment."""

    version: int
    at: str
    servers: tuple[ServerRow, ...]
    models: tuple[ModelRow, ...]


WarmShares = tuple[float | None, float | None]
"""Shares of the last day and of the last 30, 0.0 to 1.0; None where nobody counts."""

Warm = Callable[[str, str], WarmShares]
"""The shares of a server's model."""


def never_counted(_server: str, _model: str) -> WarmShares:
    """What is told where nobody counts."""
    return None, None


def snapshot(memories: Iterable[ServerMemory], now: Instant) -> Status:
    """Everything that is shown, at one moment."""
    known = tuple(memories)
    rows = tuple(row for memory in known for row in model_rows(memory, now))
    return Status(VERSION, written(now.wall), tuple(server_row(memory) for memory in known), rows)


def document(status: Status) -> dict[str, Any]:
    """The JSON form."""
    return {
        "version": status.version,
        "at": status.at,
        "servers": [plain(row) for row in status.servers],
        "models": [plain(row) for row in status.models],
    }


def server_row(memory: ServerMemory) -> ServerRow:
    """One server."""
    failure = memory.failure.value if memory.failure else None
    budget = memory.budget
    return ServerRow(
        memory.server,
        memory.state.value,
        memory.version,
        failure,
        since=written(memory.since.wall),
        looked=written(memory.good.wall) if memory.good else None,
        budget_bytes=budget.memory if budget else None,
        budget_models=budget.models if budget else None,
    )


def model_rows(
    memory: ServerMemory, now: Instant, *, states: States = states_of, warm: Warm = never_counted
) -> Iterator[ModelRow]:
    """The models of one server: the wanted ones by rank, then the guests.

    Args:
        states: of all models of a server, where somebody has them already.
        warm: how much of its wanted time a model was warm.
    """
    for model, told in zip(memory.models, states(memory, now), strict=True):
        yield told_row(model, memory, now, told=told, warm=warm(memory.server, model.model))
    yield from guest_rows(memory, now)


def model_row(model: ModelMemory, memory: ServerMemory, now: Instant) -> ModelRow:
    """One wanted model."""
    return told_row(model, memory, now, told=state_of(model, memory, now), warm=(None, None))


def told_row(model: ModelMemory, memory: ServerMemory, now: Instant, *, told: Told, warm: WarmShares) -> ModelRow:
    """One wanted model, whose state somebody has already."""
    state, reason = told
    coming = outlook(model, memory, now, state=state)
    pause = model.pause if state is State.PAUSED else None
    return ModelRow(
        memory.server,
        model.model,
        state.value,
        reason.value if reason else None,
        resident=resident(model),
        required=model.policy.required,
        since=written(pause.since if pause else since(model, memory, state).wall),
        next=coming.step.value if coming else None,
        next_s=round(coming.in_s, 1) if coming and coming.in_s is not None else None,
        pulled_fraction=None if (pulled := fraction(model)) is None else round(pulled, 3),
        warm_day=warm[0],
        warm_month=warm[1],
        owed=state is not State.READY and owed(model, memory, now),
        left_alone=model.left_alone,
        **_paused(pause),
        **_listed(model.listed, memory, now),
    )


def since(model: ModelMemory, memory: ServerMemory, state: State) -> Instant:
    """When the model came to be as it is, as far as that is known; at the latest when the keeper began."""
    load = memory.opened(model.model)
    match state:
        case State.UNKNOWN:
            return memory.since if memory.state is ServerState.DOWN else memory.good or memory.born
        case State.LOADING | State.STUCK if load is not None:
            return load.since
        case State.READY if model.present is not None:
            told_at = model.told_at if model.told is not None and model.told[0] is state else None
            return max(model.present.appeared, told_at or model.present.appeared)
        case _ if model.told is not None and model.told[0] is state and model.told_at is not None:
            return model.told_at
        case _ if model.present is not None:
            return model.present.appeared
    return model.departure.at if model.departure else memory.born


def guest_rows(memory: ServerMemory, now: Instant) -> Iterable[ModelRow]:
    """The residents of one server that are not wanted."""
    for guest in memory.guests():
        row = _listed(guest.listed, memory, now)
        appeared = written(guest.appeared.wall)
        name = guest.listed.text
        yield ModelRow(memory.server, name, GUEST, None, resident=True, required=False, since=appeared, **row)


def _paused(pause: Pause | None) -> dict[str, Any]:
    if pause is None:
        return {}
    until = written(pause.until) if pause.until else None
    return {"paused_by": pause.by, "paused_until": until, "paused_note": pause.note}


def _listed(listed: Listed | None, memory: ServerMemory, now: Instant) -> dict[str, Any]:
    """What a look tells of a listed model; nothing of one that is not listed."""
    if listed is None:
        return {}
    left_s = memory.remaining_s(listed, now)
    return {
        "until": FOREVER if pinned(left_s) else written(listed.expires_at),
        "remaining_s": None if pinned(left_s) else round(left_s, 1),
        "context_length": listed.context_length,
        "gpu_fraction": None if listed.gpu_fraction is None else round(listed.gpu_fraction, 3),
        "size_bytes": listed.size,
        "vram_bytes": listed.size_vram,
    }


@lru_cache(maxsize=4_096)  # most are asked for again and again: since when, and until when
def written(at: datetime) -> str:
    """An instant as the document has it."""
    return at.isoformat(timespec="seconds")


_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in (ServerRow, ModelRow)}
_VALUES = {kind: attrgetter(*names) for kind, names in _NAMES.items()}


def plain(row: ServerRow | ModelRow) -> dict[str, Any]:
    """A row as the document has it."""
    return dict(zip(_NAMES[type(row)], _VALUES[type(row)](row), strict=True))
