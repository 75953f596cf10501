"""Whose load a listed model is, and what it may therefore be sent (CONTRACT 1)."""

from enum import StrEnum

from ollama_keeper.core.facts import Listed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import LoadRecord, ModelMemory, ServerMemory
from ollama_keeper.core.numbers import CLIENT_LEASE_UNMOVED_S, IDLE_FOR_S, PINNED_AHEAD_S, REPIN_MARGIN_S, TIME_SLACK_S
from ollama_keeper.core.policy import OnExpire


class Claim(StrEnum):
    """Whose a listed load is."""

    OURS = "ours"
    SHORTENED = "shortened"
    IDLE_CLIENT = "idle_client"
    CLIENT = "client"
    PAST = "past"


def claim(model: ModelMemory, memory: ServerMemory, now: Instant) -> Claim | None:
    """Whose the listed load is: the first row of CONTRACT 1's table that holds; None when it is not listed.

    A past expiry is nobody's to touch: it may be somebody's `ollama stop`, or a long generation (OLLAMA.md 1). So is
    the last second before an expiry, in which a request may be answered and the model unloaded all the same.
    """
    present = model.present
    if present is None:
        return None
    if (lease_left_s(model, memory, now) or 0.0) > REPIN_MARGIN_S and _untouched(model):
        return Claim.OURS
    remaining = memory.remaining_s(present.listed, now)
    if remaining <= REPIN_MARGIN_S:
        return Claim.PAST
    record = model.record
    if record is not None and record.same(present.listed):
        ours = record.lease_s == model.policy.lease_s and as_set(record, present.listed, remaining)
        return Claim.OURS if ours else Claim.SHORTENED
    return _of_client(model, remaining, now)


def lease_left_s(model: ModelMemory, memory: ServerMemory, now: Instant) -> float | None:
    """Seconds that the lease of a listed load of ours still runs; None for a pin, and for what is not as we left it.

    Its end is listed by the server's clock, but runs by a monotonic one: where nobody has used the load since our last
    request the time since then tells, and a server's clock that was set meanwhile does not.
    """
    record, listed = model.record, model.listed
    if record is None or record.lease_s is None or listed is None or record.lease_s != model.policy.lease_s:
        return None
    if _untouched(model) and model.touched is not None:
        return record.lease_s - now.since(model.touched)
    return memory.remaining_s(listed, now)


def unused_in_s(model: ModelMemory, memory: ServerMemory, now: Instant) -> float | None:
    """Seconds until a client's lease counts as one that nobody uses, if nobody does; None where it is never ours."""
    present = model.present
    if present is None or claim(model, memory, now) is not Claim.CLIENT:
        return None
    remaining = memory.remaining_s(present.listed, now)
    if _stays_theirs(model, remaining):
        return None
    unmoved_s = CLIENT_LEASE_UNMOVED_S - now.since(present.moved)
    return max(min(unmoved_s, remaining - 2 * model.policy.interval_s), 0.0)


def found_idle(model: ModelMemory, now: Instant) -> bool:
    """Whether the idle test has just found nobody using the model; the ping of that test moved the expiry itself."""
    return model.idle and model.idle_tested is not None and now.since(model.idle_tested) <= IDLE_FOR_S


def shares_our_load(model: ModelMemory) -> bool:
    """Whether the listed load is the one that our record describes."""
    return model.record is not None and model.listed is not None and model.record.same(model.listed)


def pulled_anew(model: ModelMemory) -> bool:
    """Whether other weights are pulled under the name than those that are loaded under it."""
    listed = model.listed
    if listed is None or model.pulled is None or model.pulled == listed.digest:
        return False
    return listed.name == model.policy.name


def as_set(record: LoadRecord, listed: Listed, remaining_s: float) -> bool:
    """Whether the time of a listed load is as our last request set it, or was renewed since without a change."""
    if record.lease_s is None:
        return pinned(remaining_s)
    return _beyond_s(listed, record) >= -TIME_SLACK_S and remaining_s <= record.lease_s + TIME_SLACK_S


def pinned(remaining_s: float) -> bool:
    """Whether a remaining time means "for ever": the server has no pins, only centuries (OLLAMA.md 1)."""
    return remaining_s > PINNED_AHEAD_S


def _untouched(model: ModelMemory) -> bool:
    """Whether a lease of ours is listed with the very end that our last request gave it.

    A condemned runner in use lists the time of the look as its end (OLLAMA.md 1), which comes to that very end as well.
    """
    record, touched = model.record, model.touched
    if record is None or record.lease_s is None or model.listed is None or touched is None:
        return False
    if model.used is not None and model.used > touched:
        return False
    return record.same(model.listed) and abs(_beyond_s(model.listed, record)) <= TIME_SLACK_S


def _beyond_s(listed: Listed, record: LoadRecord) -> float:
    """Seconds by which a lease is listed to run beyond what our last request gave it."""
    return (listed.expires_at - record.armed).total_seconds() - (record.lease_s or 0.0)


def _of_client(model: ModelMemory, remaining: float, now: Instant) -> Claim:
    present = model.present
    if present is None or _stays_theirs(model, remaining):
        return Claim.CLIENT
    unmoved = now.since(present.moved) >= CLIENT_LEASE_UNMOVED_S or found_idle(model, now)
    return Claim.IDLE_CLIENT if unmoved or remaining < 2 * model.policy.interval_s else Claim.CLIENT


def _stays_theirs(model: ModelMemory, remaining_s: float) -> bool:
    """Whether a client's time is never taken over: a pin, or where the model may go when its time is over."""
    return pinned(remaining_s) or model.policy.on_expire is OnExpire.RELEASE
