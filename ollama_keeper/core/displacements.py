"""Counting who takes a model's place: after some tries the keeper steps back (CONTRACT 8, DESIGN 3.2)."""

from ollama_keeper.core.changes import Change
from ollama_keeper.core.failures import breaker_opened, open_breaker
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Departure, ModelMemory, Present, ServerMemory
from ollama_keeper.core.numbers import BREAKER_DISPLACEMENTS, BREAKER_WINDOW_S, HOUR_S, OUTBID_WITHIN_S
from ollama_keeper.core.reasons import UNEXPLAINED, Cause
from ollama_keeper.core.record import replace


def displaced(
    model: ModelMemory, gone: Departure, *, server: str, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    """Counts a displacement by another; the third in ten minutes opens the breaker.

    So does the third in an hour by one guest that came back within minutes of our load each time. Two keepers with
    different wishes would swap like this for ever, for each gives the other's model its minute of rest.
    """
    if gone.cause is not Cause.DISPLACED or gone.by_us:
        return model, ()
    recent = (*(at for at in model.displacements if now.mono - at < BREAKER_WINDOW_S), now.mono)
    outbid = _outbid(model, gone, now)
    model = replace(model, displacements=recent, outbid=outbid, outbid_by=gone.displacer)
    if max(len(recent), len(outbid)) < BREAKER_DISPLACEMENTS:
        return model, ()
    guest = gone.displacer if len(outbid) >= BREAKER_DISPLACEMENTS else None
    failures = max(len(recent), len(outbid))
    model = replace(model, displacements=(), outbid=())
    opened = open_breaker(model, server, now=now, failures=failures, guest=guest)
    return opened, (breaker_opened(opened, server),)


def displaced_unseen(
    model: ModelMemory, came: tuple[Present, ...], memory: ServerMemory, *, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    """A displacement that looked like an unload: what took the place was still loading, and is listed only now.

    Args:
        came: what this look lists for the first time, and we did not load.
    """
    gone = model.departure
    if gone is None or gone.cause not in UNEXPLAINED or not came or now.since(gone.at) > gone.grace_s:
        return model, ()
    by = came[0].listed
    kept = any(other.policy.name == by.name for other in memory.models)
    gone = replace(gone, cause=Cause.DISPLACED, displacer=came[0].key, displaced_by=by.text)
    gone = gone if kept else replace(gone, grace_s=0.0)
    unloads = tuple(at for at in model.unloads if at != gone.at.mono)
    return displaced(replace(model, departure=gone, unloads=unloads), gone, server=memory.server, now=now)


def _outbid(model: ModelMemory, gone: Departure, now: Instant) -> tuple[float, ...]:
    before = model.outbid if model.outbid_by == gone.displacer else ()
    recent = tuple(at for at in before if now.mono - at < HOUR_S)
    soon = gone.displacer is not None and gone.came is not None and now.since(gone.came) < OUTBID_WITHIN_S
    return (*recent, now.mono) if soon else recent
