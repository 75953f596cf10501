"""Every reason to wait is one `Hold(state, reason, until)`: full, yield, back-off, breaker, hour limit, grace.

What holds an absent model back, in the order of the table of states (CONTRACT 3), so that the first is what is told.
"""

from collections.abc import Iterator

from ollama_keeper.core.gaps import gap_ends
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Breaker, Departure, Full, ModelMemory, Present, ServerMemory
from ollama_keeper.core.numbers import BACKOFF_FIRST_S, BACKOFF_MOST_S, FAILED_LOADS_AN_HOUR, HOUR_S
from ollama_keeper.core.policy import Contention
from ollama_keeper.core.reasons import UNEXPLAINED, Cause, Failure, Reason, ServerState, State
from ollama_keeper.core.record import record
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.room import room_seen
from ollama_keeper.core.spread import spread
from ollama_keeper.core.wishes import not_to_be_kept


@record
class Hold:
    """One reason not to warm now.

    Attributes:
        until: monotonic instant at which it ends by itself; None when only an event ends it.
    """

    state: State
    reason: Reason | Failure
    until: float | None = None


def holds(model: ModelMemory, memory: ServerMemory, now: Instant) -> tuple[Hold, ...]:
    """All reasons that hold an absent model back now, the one to tell first; empty when it may be warmed."""
    found = (
        _full(model, memory, now),
        _yielding(model, memory, now),
        *_backing_off(model, memory, now),
        *_waiting(model, memory, now),
    )
    return tuple(hold for hold in found if hold is not None)


def wants_load(model: ModelMemory, memory: ServerMemory) -> bool:
    """Whether a model is absent, and it is known how to load it."""
    absent = model.present is None and model.departure is not None and model.pending is None
    known = model.shown is not None and not model.missing and memory.opened(model.model) is None
    return absent and known and refusal(model, memory) is None


def in_the_way(model: ModelMemory, memory: ServerMemory) -> Present | None:
    """The guest that the model yields to: what displaced it, or what came while it was in its grace.

    A kept model that a client has loaded is one as well, until it is ours: somebody is in the middle of something.
    """
    departure = model.departure
    if departure is None or departure.cause not in CAUSED_BY_GUESTS:
        return None
    came = [present for present in memory.brought() if _came_instead(present, departure)]
    return max(came, key=lambda present: present.moved, default=None)


def rival(model: ModelMemory, memory: ServerMemory) -> ModelMemory | None:
    """Whom a contended model cannot be kept beside: it cost that one its place, or was the one that it cost."""
    full = next((mark for mark in _marks(memory) if model.policy.rank >= mark.rank), None)
    return None if full is None else memory.get(full.loser if model.model == full.winner else full.winner)


def yields_to(model: ModelMemory, memory: ServerMemory, now: Instant) -> Present | None:
    """The guest in the way that is in use, where the model gives way to such."""
    if model.policy.contention is not Contention.YIELD:
        return None
    guest = in_the_way(model, memory)
    return None if guest is None or now.since(guest.moved) >= model.policy.yield_for_s else guest


def retry_in_s(model: ModelMemory, server: str) -> float:
    """Seconds from the last failed warm to the next: 5 s x 2^k to 300 s, 10 % either way; or as asked for."""
    doubled = BACKOFF_FIRST_S * 2.0 ** min(max(model.failures - 1, 0), 16)
    step: float = min(doubled, BACKOFF_MOST_S) * spread(server, model.model, model.failures)
    return max(step, model.retry_after_s or 0.0)


def _came_instead(present: Present, departure: Departure) -> bool:
    if departure.cause is Cause.DISPLACED:
        return not departure.by_us and (present.key == departure.displacer or present.appeared > departure.at)
    return present.appeared >= departure.at


def _marks(memory: ServerMemory) -> Iterator[Full]:
    return (mark for mark in (memory.full, memory.doubt) if mark is not None)


def _full(model: ModelMemory, memory: ServerMemory, now: Instant) -> Hold | None:
    held = (_held_by(mark, model, memory, now) for mark in _marks(memory))
    return next((hold for hold in held if hold is not None), None)


def _held_by(full: Full, model: ModelMemory, memory: ServerMemory, now: Instant) -> Hold | None:
    if model.policy.rank < full.rank or now.mono >= full.until:
        return None
    loser = memory.get(full.loser)
    if loser is not None and _has_given_up(loser, memory, now):
        return None
    until = full.until
    if room_seen(model, memory) and not _better_absent(model, memory, now):
        gap = gap_ends(model, memory, now)
        if gap is None:
            return None
        until = gap
    evicts = Reason.SWEEPS_WANTED if full.sweep else Reason.EVICTS_WANTED
    reason = evicts if model.model == full.winner and not full.unproved else Reason.SERVER_FULL
    return Hold(State.CONTENDED, reason, until)


def _better_absent(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether a better model is to come yet, for which the room is."""
    better = memory.better_than(model)
    return any(other.present is None and not _has_given_up(other, memory, now) for other in better)


def _has_given_up(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether a better model, whose place it is, is not to be kept or cannot be."""
    if model.missing or refusal(model, memory) is not None:
        return True
    released = model.departure is not None and model.departure.released
    return released or not_to_be_kept(model, memory, now) is not None


def _yielding(model: ModelMemory, memory: ServerMemory, now: Instant) -> Hold | None:
    guest = yields_to(model, memory, now)
    if guest is None:
        return None
    return Hold(State.YIELDING, Reason.GUEST_ACTIVE, guest.moved.mono + model.policy.yield_for_s)


def _backing_off(model: ModelMemory, memory: ServerMemory, now: Instant) -> Iterator[Hold | None]:
    breaker = model.breaker
    if breaker is not None and breaker.holds(now):
        yield Hold(State.BACKING_OFF, Reason.BREAKER_OPEN, breaker.opened.mono + breaker.open_s)
    yield _outbid(breaker, memory, now)
    if model.failed is not None and model.failure is not None and model.failures:
        until = model.failed.mono + retry_in_s(model, memory.server)
        yield Hold(State.BACKING_OFF, model.failure, until) if now.mono < until else None
    recent = [at for at in memory.failed_loads if now.mono - at < HOUR_S]
    if len(recent) >= FAILED_LOADS_AN_HOUR:
        yield Hold(State.BACKING_OFF, Reason.HOUR_LIMIT, recent[-FAILED_LOADS_AN_HOUR] + HOUR_S)


def _outbid(breaker: Breaker | None, memory: ServerMemory, now: Instant) -> Hold | None:
    """The breaker stays open while the guest that will not give way is in use."""
    guest = None if breaker is None or breaker.closed else breaker.guest
    there = next((present for present in memory.present if present.key == guest), None)
    if there is None:
        return None
    until = _used(there, memory).mono + HOUR_S
    return Hold(State.BACKING_OFF, Reason.BREAKER_OPEN, until) if now.mono < until else None


def _used(there: Present, memory: ServerMemory) -> Instant:
    """When a client was last seen to use what is there; that our own pings move its expiry tells nothing."""
    mine = next((model for model in memory.models if model.present is there and model.record is not None), None)
    return there.moved if mine is None else mine.used or there.appeared


def _waiting(model: ModelMemory, memory: ServerMemory, now: Instant) -> Iterator[Hold | None]:
    if model.policy.contention is Contention.OBSERVE:
        yield Hold(State.COLD, Reason.OBSERVED_ONLY)
    departure = model.departure
    if departure is not None and departure.released:
        yield Hold(State.COLD, Reason.RELEASED)
    until = _grace_ends(model, now)
    if until is not None:
        yield Hold(State.COLD, Reason.UNLOAD_GRACE, until)
    if memory.hung is not None:
        yield Hold(State.COLD, Reason.SCHEDULER_HUNG)
    if memory.state is ServerState.BUSY or memory.abandoned is not None:
        yield Hold(State.COLD, Reason.SERVER_BUSY)
    yield _behind_a_better_one(model, memory, now)
    yield _behind_a_gap(model, memory, now)


def _behind_a_better_one(model: ModelMemory, memory: ServerMemory, now: Instant) -> Hold | None:
    """The gap of a better model that is left alone for a while is no free room.

    Mostly a client is loading it anew, or what pushed it out: a load of ours beside that costs that client twice.
    """
    if model.departure is not None and model.departure.cause is Cause.BY_COMMAND:  # somebody wants it now
        return None
    left = [(other, until) for other in memory.better_than(model) if (until := _grace_ends(other, now)) is not None]
    ends = [until for other, until in left if not _has_given_up(other, memory, now)]
    return Hold(State.QUEUED, Reason.BEHIND_LOAD, max(ends)) if ends else None


def _behind_a_gap(model: ModelMemory, memory: ServerMemory, now: Instant) -> Hold | None:
    until = gap_ends(model, memory, now)
    return None if until is None else Hold(State.QUEUED, Reason.BEHIND_LOAD, until)


def _grace_ends(model: ModelMemory, now: Instant) -> float | None:
    gone = model.departure
    return gone.at.mono + gone.grace_s if gone is not None and now.since(gone.at) < gone.grace_s else None


CAUSED_BY_GUESTS = UNEXPLAINED | {Cause.DISPLACED}
"""Losses that a guest may be behind."""
