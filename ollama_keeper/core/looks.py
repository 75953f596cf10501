"""Folding a look: what came, what left and why, what is still as our load left it, what clients taught us."""

import math

from ollama_keeper.core.changes import (
    Change,
    ModelLost,
    ModelReleased,
    ModelReloaded,
    ServerRestarted,
    ServerUp,
    WarmFailed,
)
from ollama_keeper.core.departures import UNOBSERVED_INTERVALS, Scene, departure, left_a_gap, loss_hint, unload_counted
from ollama_keeper.core.displacements import displaced, displaced_unseen
from ollama_keeper.core.facts import Listed, Looked, Send
from ollama_keeper.core.failures import warm_failed
from ollama_keeper.core.gaps import flickers, gap_over
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.loads import hangs_no_more
from ollama_keeper.core.memory import (
    Departure,
    Full,
    Gap,
    LoadRecord,
    ModelMemory,
    OpenLoad,
    Pending,
    Present,
    Return,
    ServerMemory,
)
from ollama_keeper.core.numbers import MAKES_WAY_WITHIN_S, TIME_SLACK_S
from ollama_keeper.core.ownership import as_set, shares_our_load
from ollama_keeper.core.policy import ContextRule, OnExpire, Release
from ollama_keeper.core.presence import entries, find, presumed
from ollama_keeper.core.quarrels import quarrelled
from ollama_keeper.core.reasons import UNEXPLAINED, By, Cause, Failure, Reason, Reloaded, ServerState
from ollama_keeper.core.record import replace
from ollama_keeper.core.release import how, without_released
from ollama_keeper.core.reloads import reload_counted, reloaded_by_us, without_slow
from ollama_keeper.core.requests import can_echo, lease_of, warm_options
from ollama_keeper.core.room import room_seen, with_most, with_neighbours
from ollama_keeper.core.sizes import learned_now
from ollama_keeper.core.wishes import not_to_be_kept

Folded = tuple[ServerMemory, tuple[Change, ...]]


def fold_look(memory: ServerMemory, look: Looked, now: Instant) -> Folded:
    """What is known after a valid answer of `/api/ps`, and what it changed."""
    look = presumed(memory, look)
    present = entries(memory, look.models, now)
    scene = Scene(memory, present, restarted=_restarted(memory, look))
    server, changes = _fold_server(scene, look, now)
    lost: list[str] = []
    for model in memory.known:
        if _older_than_answer(model, look):
            continue
        entry = find(model, present, server)
        folded, told = _fold_model(model, entry, scene, now=now)
        if folded.departure is not None and model.present is not None and entry is None:
            lost.append(model.model)
        server, changes = server.with_model(folded), (*changes, *told)
    server = _vanish(with_neighbours(server))
    gap = _gap(server, scene, lost, now=now)
    server = _fill(replace(server, gap=gap), scene, lost, now=now)
    return without_released(server, now), changes


def _restarted(memory: ServerMemory, look: Looked) -> bool:
    if memory.restarted:
        return True
    kept = {(entry.name, entry.digest) for entry in look.models}
    all_gone = bool(memory.present) and not any(present.key in kept for present in memory.present)
    ours = bool(memory.open) or any(model.pending for model in memory.models)  # our own load may have cost them all
    return all_gone and (look.reconnected or (memory.disturbed and not ours))


def _older_than_answer(model: ModelMemory, look: Looked) -> bool:
    return model.pending is not None and look.asked is not None and look.asked.mono < model.pending.at.mono


def _fold_server(scene: Scene, look: Looked, now: Instant) -> Folded:
    before = scene.before
    changes: list[Change] = []
    if before.state is not ServerState.UP:
        down_s = None if before.state is ServerState.WAITING else now.since(before.since)
        changes.append(ServerUp(server=before.server, version=before.version or "unknown", down_s=down_s))
    if scene.restarted and not before.restarted:
        changes.append(ServerRestarted(server=before.server, version=before.version or "unknown"))
    moved = bool(scene.gone or scene.came)
    on_gpu = any(entry.listed.size_vram > 0 for entry in scene.after)
    after = replace(
        before,
        state=ServerState.UP,
        since=now if before.state is not ServerState.UP else before.since,
        good=now,
        failures=0,
        failure=None,
        failed=None,
        silent=False,
        disturbed=False,
        restarted=False,
        say_waiting=None,
        retry_after_s=None,
        skew_s=look.skew_s,
        strangers=look.skipped,
        present=scene.after,
        changed=now if moved or before.changed is None else before.changed,
        abandoned=None if moved else before.abandoned,
        gpu_seen=before.gpu_seen or on_gpu,
        gpu_since=before.gpu_since or on_gpu,
        gpu_told=before.gpu_told and not on_gpu,
    )
    after = with_most(after)
    if scene.restarted:
        return _begin_anew(after), tuple(changes)
    if before.abandoned is not None and before.hung is not None and moved:
        after, recovered = hangs_no_more(after, now.since(before.hung))
        changes.extend(recovered)
    return after, tuple(changes)


def _begin_anew(memory: ServerMemory) -> ServerMemory:
    """A restarted server has neither our loads nor its old troubles."""
    models = tuple(
        replace(
            model,
            record=None,
            breaker=None,
            failures=0,
            failed=None,
            failure=None,
            displacements=(),
            outbid=(),
            stood_with=(),
        )
        for model in memory.models
    )
    gpu_since = any(entry.listed.size_vram > 0 for entry in memory.present)
    memory = replace(memory, models=models, leaving=(), full=None, doubt=None, abandoned=None, hung=None)
    return with_most(replace(memory, freed=False, gpu_since=gpu_since, gpu_told=False), anew=True)


def recognised(memory: ServerMemory, now: Instant) -> ServerMemory:
    """The memory after weights became known: a wanted model may be resident under another name."""
    for model in memory.models:
        entry = find(model, memory.present, memory) if model.present is None and model.pending is None else None
        if entry is not None:
            scene = Scene(memory, memory.present, restarted=False)
            here, _ = _came(model, entry, scene, now=now)
            memory = memory.with_model(here)
    return memory


# --- one model --------------------------------------------------------------------------------------------------------


def _fold_model(
    model: ModelMemory, entry: Present | None, scene: Scene, *, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    if entry is None:
        return _absent(model, scene, now)
    if model.present is None:
        return _came(model, entry, scene, now=now)
    return _stayed(model, entry, scene, now=now)


def _absent(model: ModelMemory, scene: Scene, now: Instant) -> tuple[ModelMemory, tuple[Change, ...]]:
    if model.pending is not None:
        return _answered_but_absent(model, scene.before, now)
    if model.present is None:
        if model.departure is None and scene.before.opened(model.model) is None:
            model = replace(model, departure=Departure(Cause.FIRST_SEEN, at=now))
        return displaced_unseen(model, _brought(scene), scene.before, now=now)
    if scene.before.opened(model.model) is not None:
        return replace(model, present=None), ()
    return _left(model, model.present, scene, now=now)


def _brought(scene: Scene) -> tuple[Present, ...]:
    """What has come that we did not load."""
    if not scene.came:
        return ()
    before = scene.before
    ours = {model.policy.name for model in before.known if model.pending or before.opened(model.model)}
    return tuple(present for present in scene.came if present.listed.name not in ours)


def _answered_but_absent(
    model: ModelMemory, memory: ServerMemory, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    """A load counts only once a look lists it; one that does not is a failed load, whatever it was answered."""
    pending = model.pending
    model = reload_counted(model, now) if pending is not None and pending.reloaded else model
    left = model.departure or Departure(Cause.UNLOADED, at=now, last_seen=model.last_seen)
    gone = replace(model, pending=None, present=None, record=None, departure=left)
    if pending is None or pending.request.send is not Send.WARM:
        return gone, ()
    failed = warm_failed(gone, Failure.LOAD_FAILED, now=now)
    change = WarmFailed(
        server=memory.server,
        model=model.model,
        reason=Failure.LOAD_FAILED,
        attempt=failed.failures,
        took_s=pending.took_s,
        hint="the server answered the load, but does not list the model",
    )
    return failed, (change,)


def _left(model: ModelMemory, left: Present, scene: Scene, *, now: Instant) -> tuple[ModelMemory, tuple[Change, ...]]:
    if scene.before.is_leaving(model):
        return replace(model, present=None, record=None), _unloaded(model, scene.before.server)
    gone = departure(model, left, scene, now=now)
    if model.unloading:
        return _left_for_repair(model, gone), ()
    if not_to_be_kept(model, scene.before, now) is not None:
        return _left_off_duty(model, gone, scene.before.server)
    after = replace(unload_counted(model, gone), present=None, record=None, returned=None, departure=gone, told=None)
    after, opened = displaced(after, gone, server=scene.before.server, now=now)
    change = ModelLost(
        server=scene.before.server,
        model=model.model,
        reason=Reason.RELEASED if gone.released else None,
        cause=gone.cause,
        displaced_by=gone.displaced_by,
        expires_at=left.listed.expires_at,
        last_seen_s=now.since(gone.last_seen) if gone.last_seen else None,
        grace_s=gone.grace_s or None,
        hint=loss_hint(after, gone),
    )
    return after, (change, *opened)


def _left_for_repair(model: ModelMemory, gone: Departure) -> ModelMemory:
    """A model that we unloaded to have it loaded anew: warmed at once."""
    gone = replace(gone, cause=Cause.UNLOADED, grace_s=0.0, displacer=None, displaced_by=None, by_us=False)
    return replace(model, present=None, record=None, returned=None, departure=gone, unloading=False, told=None)


def _left_off_duty(model: ModelMemory, gone: Departure, server: str) -> tuple[ModelMemory, tuple[Change, ...]]:
    """A model that is not to be kept now has left: no loss, and nothing that the breaker counts."""
    after = replace(model, present=None, record=None, returned=None, departure=gone)
    return after, _unloaded(model, server)


def _unloaded(model: ModelMemory, server: str) -> tuple[Change, ...]:
    """That an unload of ours has happened; a model that leaves by itself is nobody's loss any more."""
    if not model.given_back or how(model) is not Release.UNLOAD:
        return ()
    return (ModelReleased(server=server, model=model.model, how=Release.UNLOAD.value),)


def _came(model: ModelMemory, entry: Present, scene: Scene, *, now: Instant) -> tuple[ModelMemory, tuple[Change, ...]]:
    listed = replace(model, present=entry, last_seen=now, size=entry.listed.size)
    opened = scene.before.opened(model.model)
    if model.pending is not None:
        return _settled(listed, model.pending, entry, scene, now=now)
    if opened is not None:
        return listed, ()
    gone = model.departure
    by = By.CLIENT if gone is not None else By.FOUND
    returned = Return(by, gone.cause if gone else None, now.since(gone.at) if gone else None)
    here = replace(listed, departure=None, returned=returned, failures=0, failed=None, failure=None)
    return _learned(_still_ours(here), entry, scene.before), ()


def _stayed(
    model: ModelMemory, entry: Present, scene: Scene, *, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    seen = _still_unloading(replace(model, present=entry, last_seen=now, size=entry.listed.size), now)
    seen = without_slow(seen, scene.before, now)
    if seen.pending is not None:
        return _settled(seen, seen.pending, entry, scene, now=now)
    if scene.before.opened(model.model) is not None:
        return seen, ()
    seen = _learned(_still_ours(_used(seen, model.listed, scene.before, now)), entry, scene.before)
    change = _reloaded_by_client(model, entry, scene.before)
    if change is None:
        return seen, ()
    seen, quarrel = quarrelled(seen, model.listed, change, now=now)
    return seen, (change, *quarrel)


def _still_unloading(model: ModelMemory, now: Instant) -> ModelMemory:
    """What was unloaded for repair and is listed yet has found a client: when it leaves, it is lost as any other."""
    late = model.unloading and model.repaired is not None and now.since(model.repaired) >= MAKES_WAY_WITHIN_S
    return replace(model, unloading=False) if late else model


def _settled(
    model: ModelMemory, pending: Pending, entry: Present, scene: Scene, *, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    """The look after a load of ours: what it lists is our load from now on."""
    listed, request = entry.listed, pending.request
    lease_s = model.policy.lease_s if request.keep_alive is not None or model.record is None else model.record.lease_s
    record = LoadRecord(
        digest=listed.digest,
        context_length=listed.context_length,
        size=listed.size,
        size_vram=listed.size_vram,
        lease_s=lease_s,
        options=request.options,
        armed=scene.before.server_time(pending.at),
    )
    gone = model.departure
    returned = model.returned
    if gone is not None:
        returned = Return(By.KEEPER, pending.cause or gone.cause, now.since(gone.at), pending.took_s)
    elif request.send is Send.WARM:
        returned = Return(By.KEEPER, pending.cause, load_s=pending.took_s)
    after = replace(model, pending=None, given_back=False, departure=None, returned=returned)
    sent = replace(record, lease_s=lease_of(request))
    if request.send is Send.WARM and not as_set(sent, listed, scene.before.remaining_s(listed, now)):
        return replace(after, record=None), ()  # a client has loaded it anew since
    after = replace(
        after,
        record=record,
        own_context=listed.context_length,
        own_options=request.options,
        learned_size=learned_now(model, listed.size) if request.send is Send.WARM else model.learned_size,
    )
    after = _best_gpu(after, entry)
    return reloaded_by_us(after, pending, model.record, server=scene.before.server, now=now)


def _used(model: ModelMemory, old: Listed | None, before: ServerMemory, now: Instant) -> ModelMemory:
    """Notes that a client used the model: its expiry moved since the last look, and not by us.

    Our own request may move it once more just after the look behind it: the answer goes out before the timer is set.
    """
    if model.present is None or old is None or model.present.moved != now:
        return model
    moved_s = (model.present.listed.expires_at - old.expires_at).total_seconds()
    slack_s = TIME_SLACK_S if abs(moved_s) <= TIME_SLACK_S else 0.0
    since_touched_s = math.inf if model.touched is None or before.good is None else before.good.since(model.touched)
    return model if since_touched_s <= slack_s else replace(model, used=now)


def _reloaded_by_client(model: ModelMemory, entry: Present, memory: ServerMemory) -> ModelReloaded | None:
    old = model.listed
    if old is None or old.digest != entry.listed.digest:
        return None
    if (old.context_length, old.size) == (entry.listed.context_length, entry.listed.size):
        return None
    return ModelReloaded(
        server=memory.server,
        model=model.model,
        reason=Reloaded.OTHER_OPTIONS,
        by=By.CLIENT,
        context_length=entry.listed.context_length,
        context_length_before=old.context_length,
    )


def _still_ours(model: ModelMemory) -> ModelMemory:
    return model if model.record is None or shares_our_load(model) else replace(model, record=None)


def _learned(model: ModelMemory, entry: Present, memory: ServerMemory) -> ModelMemory:
    """The context that a client loaded the model with, for the next warm: with another one it would be reloaded."""
    listed, shown = entry.listed, model.shown
    model = _best_gpu(model, entry)
    if model.policy.context is not ContextRule.ADOPT or shares_our_load(model) or shown is None:
        return model
    if listed.context_length in {None, _expected_context(model)}:
        return model
    fell = memory.gpu_seen and (listed.gpu_fraction or 0.0) < (model.best_gpu or 0.0)
    if fell or not can_echo(model, memory, listed.context_length):
        return model
    return replace(model, learned_context=listed.context_length)


def _expected_context(model: ModelMemory) -> int | None:
    """The context that the next warm would get anyway; None where that is not known."""
    if model.own_options == warm_options(model):
        return model.own_context
    return model.shown.own_context if model.shown and model.learned_context is None else None


def _best_gpu(model: ModelMemory, entry: Present) -> ModelMemory:
    fraction = entry.listed.gpu_fraction
    if fraction is None or fraction <= (model.best_gpu or 0.0):
        return model
    return replace(model, best_gpu=fraction)


# --- the server's loads -----------------------------------------------------------------------------------------------


def _vanish(memory: ServerMemory) -> ServerMemory:
    """Marks loads of ours whose model has left the list since: the server is loading it anew."""
    return replace(memory, open=tuple(_vanished(load, memory) for load in memory.open))


def _vanished(load: OpenLoad, memory: ServerMemory) -> OpenLoad:
    model = next((model for model in memory.known if model.model == load.request.model), None)
    gone = load.listed and (model is None or model.present is None)
    return replace(load, vanished=True) if gone and not load.vanished else load


def _fill(memory: ServerMemory, scene: Scene, lost: list[str], *, now: Instant) -> ServerMemory:
    """Marks the server full when a warm of ours cost a wanted model, and takes the mark off when room was made.

    A warm that cost a lesser model proves less, and holds that one back for an hour only: a large model that is loaded
    last may push out what fits beside it when it is loaded first (OLLAMA.md 4).
    """
    full, doubt = memory.full, memory.doubt
    loading = bool(scene.before.open) or any(model.pending for model in scene.before.models)
    if not loading:
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
    if _brought(scene):
        return replace(full, room=False)
    if not full.room and not _room_made(scene, now):
        return full
    gap = memory.gap
    taken = gap is not None and not gap.closed and not gap_over(gap, memory, now)
    return replace(full, room=True) if taken else None


def _gap(memory: ServerMemory, scene: Scene, lost: list[str], *, now: Instant) -> Gap | None:
    """The place that a client's load may be taking, which no look shows yet; closed once somebody else has come."""
    before = scene.before
    if scene.restarted or _unobserved(before, now):
        return None
    gap, brought = before.gap, _brought(scene)
    if brought:
        back = next((one.key for one in brought if gap is not None and not gap.closed and one.key in gap.left), None)
        return gap and replace(gap, closed=True, back=back)
    gone = [model.departure for name in lost if not (model := memory.model(name)).given_back]
    unexplained = any(one is not None and one.grace_s and one.cause in UNEXPLAINED for one in gone)
    guests = before.guests()
    left = [one.key for one in scene.gone if one in guests and left_a_gap(one, scene, now)]
    if len(left) == 1 and not unexplained and flickers(left[0], before, now):
        return gap and replace(gap, back=None, believed=now)
    return Gap(now, tuple(left), believed=gap.believed if gap else None) if unexplained or left else gap


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
