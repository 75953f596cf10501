"""Whose load a listed model is, and what it may therefore be sent (CONTRACT 1)."""

from datetime import timedelta
from enum import StrEnum

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
    remaining = memory.remaining_s(present.listed, now)
    if remaining <= REPIN_MARGIN_S:
        return Claim.PAST
    record = model.record
    if record is not None and record.same(present.listed):
        return Claim.OURS if _as_we_set(model, record, remaining, memory=memory) else Claim.SHORTENED
    return _of_client(model, remaining, now)


def found_idle(model: ModelMemory, now: Instant) -> bool:
    """Whether the idle test has just found nobody using the model; the ping of that test moved the expiry itself."""
    return model.idle and model.idle_tested is not None and now.since(model.idle_tested) <= IDLE_FOR_S


def shares_our_load(model: ModelMemory) -> bool:
    """Whether the listed load is the one that our record describes."""
    return model.record is not None and model.listed is not None and model.record.same(model.listed)


def pulled_anew(model: ModelMemory) -> bool:
    """Whether other weights are pulled under the name than those that are loaded under it."""
    listed = model.listed
    if listed is None or listed.name != model.policy.name:
        return False
    return model.pulled not in {None, listed.digest}


def pinned(remaining_s: float) -> bool:
    """Whether a remaining time means "for ever": the server has no pins, only centuries (OLLAMA.md 1)."""
    return remaining_s > PINNED_AHEAD_S


def _as_we_set(model: ModelMemory, record: LoadRecord, remaining: float, *, memory: ServerMemory) -> bool:
    if record.lease_s != model.policy.lease_s:
        return False
    if record.lease_s is None:
        return pinned(remaining)
    listed = model.listed
    skew = timedelta(seconds=memory.skew_s if memory.skew_s and abs(memory.skew_s) > TIME_SLACK_S else 0.0)
    earliest = record.armed + skew + timedelta(seconds=record.lease_s - TIME_SLACK_S)
    return listed is not None and listed.expires_at >= earliest and remaining <= record.lease_s + TIME_SLACK_S


def _of_client(model: ModelMemory, remaining: float, now: Instant) -> Claim:
    present = model.present
    if present is None or pinned(remaining) or _left_to_expire(model):
        return Claim.CLIENT
    unmoved = now.since(present.moved) >= CLIENT_LEASE_UNMOVED_S or found_idle(model, now)
    return Claim.IDLE_CLIENT if unmoved or remaining < 2 * model.policy.interval_s else Claim.CLIENT


def _left_to_expire(model: ModelMemory) -> bool:
    return model.policy.on_expire is OnExpire.RELEASE
