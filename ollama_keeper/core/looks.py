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
from ollama_keeper.core.departures import Scene, departure, loss_hint, unload_counted
from ollama_keeper.core.displacements import displaced, displaced_unseen
from ollama_keeper.core.facts import Listed, Looked, Send
from ollama_keeper.core.failures import warm_failed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.loads import hangs_no_more
from ollama_keeper.core.memory import (
    Departure,
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
from ollama_keeper.core.places import filled, gap_after
from ollama_keeper.core.policy import ContextRule, Release
from ollama_keeper.core.presence import entries, find, presumed
from ollama_keeper.core.quarrels import quarrelled
from ollama_keeper.core.reasons import By, Cause, Failure, Reason, Reloaded, ServerState
from ollama_keeper.core.record import replace
from ollama_keeper.core.release import how, without_released
from ollama_keeper.core.reloads import reload_counted, reloaded_by_us, without_slow
from ollama_keeper.core.requests import can_echo, lease_of, warm_options
from ollama_keeper.core.room import with_most, with_neighbours
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
    gap = gap_after(server, scene, lost, now=now)
    server = filled(replace(server, gap=gap), scene, lost, now=now)
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
        return displaced_unseen(model, scene.brought, scene.before, now=now)
    if scene.before.opened(model.model) is not None:
        return replace(model, present=None), ()
    return _left(model, model.present, scene, now=now)


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
