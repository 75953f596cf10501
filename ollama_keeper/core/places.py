"""Whose place is free: the marks of a server that is full, and the gap that a client's load may be taking.

Both are learnt from a look: what left, on whose account, and whether anything came instead.
"""

from ollama_keeper.core.departures import UNOBSERVED_INTERVALS, Scene, left_a_gap
from ollama_keeper.core.gaps import flickers, open_gap
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Departure, Full, Gap, Key, ModelMemory, ServerMemory
from ollama_keeper.core.policy import OnExpire
from ollama_keeper.core.reasons import UNEXPLAINED
from ollama_keeper.core.record import replace
from ollama_keeper.core.room import room_seen, with_most
from ollama_keeper.core.wishes import not_to_be_kept


def filled(memory: ServerMemory, scene: Scene, lost: list[str], *, now: Instant) -> ServerMemory:
    """Marks the server full when a warm of ours cost a wanted model, and takes the mark off when room was made.

    A warm that cost a lesser model proves less, and holds that one back for an hour only: a large model that is loaded
    last may push out what fits beside it when it is loaded first (OLLAMA.md 4).
    """
    full, doubt = memory.full, memory.doubt
    if not _loading(scene.before):
        full, doubt = (mark and _with_room(mark, memory, scene, now) for mark in (full, doubt))
    for name in lost:
        loser = memory.model(name)
        gone = loser.departure
        if gone is None or not gone.by_us:
            continue
        mark = _full(memory, loser, gone, now=now)
        if mark is not None and mark.unproved:
            doubt = _worse(doubt, mark, now)
        else:
            full = _worse(full, mark, now)
        loaded = _loaded(gone, scene.before)
        if loaded is None:
            continue
        memory = memory.with_model(replace(memory.model(loaded.model), stood_with=()))
        if room_seen(loaded, scene.before):  # and yet it was not there
            memory = with_most(memory, anew=True)
    return replace(memory, full=full, doubt=doubt)


def _with_room(full: Full, memory: ServerMemory, scene: Scene, now: Instant) -> Full | None:
    """The mark, or None: something left that does not come back, and nothing of somebody else took its place."""
    if scene.brought:
        return replace(full, room=False)
    if not full.room and not _room_made(scene, now):
        return full
    return None if open_gap(memory, now) is None else replace(full, room=True)


def gap_after(memory: ServerMemory, scene: Scene, lost: list[str], *, now: Instant) -> Gap | None:
    """The place that a client's load may be taking, which no look shows yet; closed once somebody else has come.

    While a load of ours is open the client's waits behind it: only then does the time of a load begin.
    """
    before = scene.before
    if scene.restarted or _unobserved(before, now):
        return None
    gap, waits = before.gap, open_gap(before, now)
    if waits is not None and _loading(before):
        gap = replace(waits, at=now)
    if scene.brought:
        return gap and replace(gap, closed=True, back=None if gap.closed else _back(gap, scene))
    if not scene.gone:
        return gap
    gone = [model.departure for name in lost if not (model := memory.model(name)).given_back]
    unexplained = any(one is not None and one.grace_s and one.cause in UNEXPLAINED for one in gone)
    brought = before.brought()
    left = [one.key for one in scene.gone if one in brought and left_a_gap(one, scene, now)]
    if len(left) == 1 and not unexplained and flickers(left[0], before, now):
        return gap and replace(gap, back=None, believed=now)
    return Gap(now, tuple(left), believed=gap.believed if gap else None) if unexplained or left else gap


def _loading(before: ServerMemory) -> bool:
    """Whether a load of ours was under way, or not yet proven."""
    return bool(before.open) or any(model.pending for model in before.models)


def _back(gap: Gap, scene: Scene) -> Key | None:
    """What has come back into the gap that it left."""
    return next((one.key for one in scene.brought if one.key in gap.left), None)


def _unobserved(before: ServerMemory, now: Instant) -> bool:
    """Whether so long ago was the last good look that nobody is in the middle of a load of then."""
    interval_s = min((model.policy.interval_s for model in before.models), default=0.0)
    return before.good is None or now.since(before.good) > UNOBSERVED_INTERVALS * interval_s


def _room_made(scene: Scene, now: Instant) -> bool:
    """Whether something left that does not come back: a kept model that is lost leaves a gap that is its own."""
    renewed = (model for model in scene.before.models if model.policy.on_expire is not OnExpire.RELEASE)
    kept = (model for model in renewed if not_to_be_kept(model, scene.before, now) is None)
    coming_back = {model.present.key for model in kept if model.present}
    return any(present.key not in coming_back for present in scene.gone)


def _full(memory: ServerMemory, loser: ModelMemory, gone: Departure, *, now: Instant) -> Full | None:
    winner = _loaded(gone, memory)
    if winner is None:
        return None
    unproved = loser.policy.rank > winner.policy.rank
    lower, higher = (loser, winner) if unproved else (winner, loser)
    return Full(
        since=now,
        rank=lower.policy.rank,
        winner=lower.model,
        loser=higher.model,
        winner_size=lower.size,
        loser_size=higher.size,
        losers=(higher.model,),
        unproved=unproved,
    )


def _loaded(gone: Departure, memory: ServerMemory) -> ModelMemory | None:
    """The kept model whose load has cost another its place."""
    return next((model for model in memory.models if model.policy.name == _winner_name(gone, memory)), None)


def _winner_name(gone: Departure, memory: ServerMemory) -> object:
    if gone.displacer is not None:
        return gone.displacer[0]
    return next((model.policy.name for model in memory.models if model.model == gone.displaced_by), None)


def _worse(old: Full | None, new: Full | None, now: Instant) -> Full | None:
    """The mark that holds more models back: the better rank of the two; of one warm, with all that it cost."""
    if old is None or new is None or old.until <= now.mono:
        return new or old
    if new.winner == old.winner:
        return replace(old, losers=tuple(dict.fromkeys((*old.losers, *new.losers))))
    return new if new.rank < old.rank else old
