"""Why a model left (CONTRACT 4): the first cause whose test holds."""

from ollama_keeper.core.gaps import loading_s
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.makeway import goes
from ollama_keeper.core.memory import Departure, ModelMemory, Present, ServerMemory
from ollama_keeper.core.numbers import CLIENT_LEASE_UNMOVED_S, HOUR_S, TIME_SLACK_S, UNLOADS_TOLD
from ollama_keeper.core.policy import OnExpire
from ollama_keeper.core.reasons import UNEXPLAINED, Cause
from ollama_keeper.core.record import record, replace

UNOBSERVED_INTERVALS = 3


@record
class Scene:
    """Two looks in a row, and what happened between them.

    Attributes:
        before: the memory as the earlier look left it, with what was learned since.
        after: the entries of the later look.
        restarted: other version, or all gone after a failed look or a closed connection.
    """

    before: ServerMemory
    after: tuple[Present, ...]
    restarted: bool

    @property
    def gone(self) -> tuple[Present, ...]:
        """The entries of the earlier look that the later one lacks."""
        keys = {present.key for present in self.after}
        return tuple(present for present in self.before.present if present.key not in keys)

    @property
    def brought(self) -> tuple[Present, ...]:
        """What has come that we did not load."""
        if not self.came:
            return ()
        before = self.before
        ours = {model.policy.name for model in before.known if model.pending or before.opened(model.model)}
        return tuple(present for present in self.came if present.listed.name not in ours)

    @property
    def reloaded(self) -> tuple[Present, ...]:
        """The entries of both that are loaded with other options than before."""
        before = {present.key: _shape(present) for present in self.before.present}
        return tuple(one for one in self.after if before.get(one.key, _shape(one)) != _shape(one))

    @property
    def came(self) -> tuple[Present, ...]:
        """The entries that only the later look has."""
        keys = {present.key for present in self.before.present}
        return tuple(present for present in self.after if present.key not in keys)


def _shape(present: Present) -> tuple[int | None, int]:
    return present.listed.context_length, present.listed.size


def departure(model: ModelMemory, left: Present, scene: Scene, *, now: Instant) -> Departure:
    """Why `left`, the entry of `model`, is gone, and how long the model is left alone for it."""
    if model.made_way is not None and goes(model, now) and not scene.restarted:
        better = model.made_way.model
        return Departure(Cause.DISPLACED, now, model.last_seen, displaced_by=better, by_us=True, came=left.appeared)
    cause = _cause(model, left, scene, now)
    displacer = _displacer(model, scene) if cause is Cause.DISPLACED else None
    ours = _our_other_load(model, scene)
    return Departure(
        cause=cause,
        at=now,
        last_seen=model.last_seen,
        displacer=displacer.key if displacer else None,
        displaced_by=_displacer_name(displacer, ours) if cause is Cause.DISPLACED else None,
        by_us=cause is Cause.DISPLACED and ours is not None and _is_ours(displacer, ours, scene.before),
        grace_s=grace_s(model, scene.before) if _may_be_undone(cause, displacer, scene) else 0.0,
        came=left.appeared,
        released=cause is Cause.EXPIRED and model.policy.on_expire is OnExpire.RELEASE,
    )


def grace_s(model: ModelMemory, memory: ServerMemory) -> float:
    """How long an unexplained unload is left alone: a client's reload or a guest's load under way is listed nowhere."""
    return max(model.policy.unload_grace_s, loading_s(memory) or 0.0)


def left_a_gap(guest: Present, scene: Scene, now: Instant) -> bool:
    """Whether the place of what a client had brought may be taken already, by a load that is listed once it has ended.

    It left before its time, perhaps for another; or our own load pushed it out within a minute of its last use, so that
    it is most likely asked for again.
    """
    sent = [load.since.mono for load in scene.before.open if load.counts(now)]
    sent += [other.pending.at.mono - other.pending.took_s for other in scene.before.known if other.pending]
    if sent:
        return guest.moved.mono >= min(sent) - CLIENT_LEASE_UNMOVED_S
    return not _expired(guest, scene.before, now)


def unload_counted(model: ModelMemory, gone: Departure) -> ModelMemory:
    """Counts the times in an hour that somebody unloaded a model."""
    if gone.cause is not Cause.UNLOADED:
        return model
    return replace(model, unloads=(*(at for at in model.unloads if gone.at.mono - at < HOUR_S), gone.at.mono))


def loss_hint(model: ModelMemory, gone: Departure) -> str | None:
    """What an operator can do about a loss; a client that unloads after each request is told from the third time on."""
    if not gone.grace_s:
        return None
    if gone.cause is Cause.UNLOADED and len(model.unloads) >= UNLOADS_TOLD:
        return f"{len(model.unloads)} times in an hour: {UNLOADER}; without one in its requests {model.model} stays"
    return f"left alone for a while in case it was on purpose; for longer: ollama-keeper pause {model.model}"


UNLOADER = "a client probably sends keep_alive 0, which unloads a model after each answer"


def _may_be_undone(cause: Cause, displacer: Present | None, scene: Scene) -> bool:
    """Whether a warm at once could undo what somebody does: a load under way, or a kept model that a client loaded."""
    if cause is Cause.DISPLACED and displacer is not None:
        kept = [model for model in scene.before.models if model.policy.name == displacer.listed.name]
        return any(scene.before.opened(model.model) is None and model.pending is None for model in kept)
    return cause in UNEXPLAINED


def _cause(model: ModelMemory, left: Present, scene: Scene, now: Instant) -> Cause:
    before = scene.before
    if scene.restarted:
        return Cause.SERVER_RESTARTED
    if before.good is None or now.since(before.good) > UNOBSERVED_INTERVALS * model.policy.interval_s:
        return Cause.UNOBSERVED
    ours = _our_other_load(model, scene)
    if _expired(left, before, now) and not _condemned(left, before):
        return Cause.EXPIRED
    if scene.came or scene.reloaded or ours is not None:
        return Cause.DISPLACED
    if len(scene.gone) >= 2 and not scene.after:
        return Cause.MEMORY_SWEEP
    return Cause.UNLOADED


def _expired(left: Present, before: ServerMemory, now: Instant) -> bool:
    expiry = left.listed.expires_at
    if before.good is None or expiry <= before.server_time(before.good):
        return False
    return (expiry - before.server_time(now)).total_seconds() <= TIME_SLACK_S


def _condemned(left: Present, before: ServerMemory) -> bool:
    """Whether it was to go as soon as its first request ended: only then is its time over at a look (OLLAMA.md 1)."""
    if before.good is None or left.moved != before.good:
        return False
    return (left.listed.expires_at - before.server_time(before.good)).total_seconds() <= TIME_SLACK_S


def _our_other_load(model: ModelMemory, scene: Scene) -> str | None:
    """The model for which a load of ours is open, or was answered since the last look; a ping may be one."""
    memory, gone = scene.before, scene.gone
    for load in memory.open:
        if load.request.model == model.model:
            continue
        if not load.listed or load.vanished or memory.model(load.request.model).present in gone:
            return load.request.model
    for other in memory.known:
        loaded = other.pending is not None and (other.present is None or other.pending.reloaded)
        if loaded and other.model != model.model:
            return other.model
    return None


def _displacer(model: ModelMemory, scene: Scene) -> Present | None:
    """What came in its place, or was loaded anew there; our own warm first, since that is what we know of."""
    ours, came = _our_other_load(model, scene), (*scene.came, *scene.reloaded)
    named = [present for present in came if ours is not None and _is_ours(present, ours, scene.before)]
    return next(iter(named or came), None)


def _displacer_name(displacer: Present | None, ours: str | None) -> str | None:
    return displacer.listed.text if displacer else ours


def _is_ours(displacer: Present | None, ours: str, memory: ServerMemory) -> bool:
    return displacer is None or displacer.listed.name == memory.model(ours).policy.name
