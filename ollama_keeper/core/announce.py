"""`announce`: the edges between states, each told once (CONTRACT 5).

`fold` tells what happened; this tells what a model has become, also by the mere passing of time. Losses, started and
failed warms have lines of their own, so the states that follow them are silent here.
"""

from collections.abc import Callable

from ollama_keeper.core.budget import left_bytes
from ollama_keeper.core.changes import (
    Change,
    ModelContended,
    ModelDegraded,
    ModelMissing,
    ModelOffHours,
    ModelOverBudget,
    ModelReady,
    ModelRefused,
    ModelStuck,
    ModelYielding,
    ServerGpuMissing,
    ServerSchedulerHung,
)
from ollama_keeper.core.facts import Send
from ollama_keeper.core.holds import in_the_way, rival
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, OpenLoad, Pause, Return, ServerMemory
from ollama_keeper.core.numbers import HUNG_FACTOR, HUNG_LEAST_S, HUNG_UNKNOWN_S
from ollama_keeper.core.pauses import on_duty, paused_change, resume_in_time
from ollama_keeper.core.policy import PullRule
from ollama_keeper.core.reasons import By, Cause, Reason, State, StateReason
from ollama_keeper.core.record import replace
from ollama_keeper.core.refusals import shares_weights_with
from ollama_keeper.core.sizes import size_of
from ollama_keeper.core.states import gpu_missing, misplacement, state_of, wanted_context, wanted_gpu_fraction
from ollama_keeper.core.wishes import claimants, not_asked_for, not_to_be_kept, paused

OFF_DUTY = {State.OFF_HOURS: Cause.AHEAD_OF_HOURS, State.OVER_BUDGET: Cause.FIRST_SEEN}
Announced = tuple[ServerMemory, tuple[Change, ...]]

SILENT = frozenset({State.UNKNOWN, State.QUEUED, State.COLD, State.LOADING, State.BACKING_OFF})


def announce(memory: ServerMemory, now: Instant) -> Announced:
    """The edges since the last call: the memory that remembers them as told, and one change each."""
    memory, resumed = resume_in_time(memory, now)
    memory, hung = _hung(memory, now)
    memory, gpu = _gpu(memory)
    changes: list[Change] = [*resumed, *hung, *gpu]
    for model in memory.models:
        memory, model = _back_on_duty(memory, model, now)  # noqa: PLW2901 - the same model, as it is from here on
        state, reason = state_of(model, memory, now)
        if state in SILENT or model.told == (state, reason):
            continue
        if not _told_elsewhere(model, reason, memory):
            changes.append(_LINES[state](model, memory, reason, now))
        memory = memory.with_model(replace(model, told=(state, reason), told_at=now))
    return memory, tuple(changes)


def _back_on_duty(memory: ServerMemory, model: ModelMemory, now: Instant) -> tuple[ServerMemory, ModelMemory]:
    """A model whose hours have begun, or for which there is room again, is warmed as if nothing else had happened."""
    was = model.told[0] if model.told else None
    if was not in OFF_DUTY or not_to_be_kept(model, memory, now) is not None:
        return memory, model
    model = replace(on_duty(model, OFF_DUTY[was], now), told=None)
    return memory.with_model(model), model


def _told_elsewhere(model: ModelMemory, reason: StateReason, memory: ServerMemory) -> bool:
    """A GPU that is gone is told once, of its server; a pull of what is missing has lines of its own."""
    was = model.told[0] if model.told else None
    pulled = was is State.MISSING and reason in {Reason.BEING_PULLED, Reason.NOT_PULLED}
    return pulled or (reason is Reason.ON_CPU and memory.gpu_told)


def hung_after_s(model: ModelMemory, memory: ServerMemory) -> float:
    """Age at which an open warm shows that the scheduler hangs: 3 x the longest load known (CONTRACT 8)."""
    if model.longest_load_s is None:
        return HUNG_UNKNOWN_S
    return max(HUNG_FACTOR * (memory.longest_load_s or model.longest_load_s), HUNG_LEAST_S)


def _gpu(memory: ServerMemory) -> Announced:
    if memory.gpu_told or not gpu_missing(memory):
        return memory, ()
    models = sum(misplacement(model, memory) is Reason.ON_CPU for model in memory.models)
    change = ServerGpuMissing(
        server=memory.server,
        models=models,
        hint="Ollama looks for GPUs only when it starts: restart it; in a container see that the GPU is handed through "
        "(nvidia-smi inside), after sleep reload the driver",
    )
    return replace(memory, gpu_told=True), (change,)


def _hung(memory: ServerMemory, now: Instant) -> Announced:
    load = next((load for load in memory.open if load.request.send is Send.WARM), None)
    if load is None or memory.hung is not None or not _hangs(load, memory, now):
        return memory, ()
    change = ServerSchedulerHung(
        server=memory.server,
        model=load.request.model,
        open_s=now.since(load.since),
        longest_load_s=memory.longest_load_s,
        hint="Ollama answers but loads nothing (ollama/ollama#17408); unloading any model frees it: ollama stop MODEL",
    )
    return replace(memory, hung=now), (change,)


def _hangs(load: OpenLoad, memory: ServerMemory, now: Instant) -> bool:
    unchanged = memory.changed is None or memory.changed.mono <= load.since.mono
    answered = memory.good is not None and memory.failures == 0 and not memory.silent
    old = now.since(load.since) > hung_after_s(memory.model(load.request.model), memory)
    return old and unchanged and answered


# --- one line a state -------------------------------------------------------------------------------------------------


def _ready(model: ModelMemory, memory: ServerMemory, _reason: StateReason, _now: Instant) -> Change:
    degraded = model.told is not None and model.told[0] in {State.DEGRADED, State.STUCK}
    back = Return(By.FOUND) if degraded or model.returned is None else model.returned  # a load of long ago is no news
    listed = model.listed
    return ModelReady(
        server=memory.server,
        model=model.model,
        state=State.READY,
        cause=back.cause,
        by=back.by,
        outage_s=back.outage_s,
        load_s=back.load_s,
        cold_start=None if back.load_s is None else back.load_s >= model.policy.slow_load_s,
        size_bytes=listed.size if listed else None,
        vram_bytes=listed.size_vram if listed else None,
        context_length=listed.context_length if listed else None,
    )


def _degraded(model: ModelMemory, memory: ServerMemory, reason: StateReason, _: Instant) -> Change:
    listed = model.listed
    return ModelDegraded(
        server=memory.server,
        model=model.model,
        state=State.DEGRADED,
        reason=reason,
        hint=_DEGRADED_HINTS.get(reason, "").replace("MODEL", model.model) or None,
        gpu_fraction=listed.gpu_fraction if listed else None,
        context_length=listed.context_length if listed else None,
        wanted=_wanted(model, memory),
    )


def _wanted(model: ModelMemory, memory: ServerMemory) -> str | None:
    match misplacement(model, memory):
        case Reason.OTHER_CONTEXT:
            return f"context_length {wanted_context(model)}"
        case Reason.OTHER_DIGEST:
            return f"digest {(model.pulled or '')[:12]}"
        case _:
            share = wanted_gpu_fraction(model, memory)
            return None if share is None else f"gpu_fraction {share:.2f}"


def _stuck(model: ModelMemory, memory: ServerMemory, reason: StateReason, now: Instant) -> Change:
    load = memory.opened(model.model)
    return ModelStuck(
        server=memory.server,
        model=model.model,
        state=State.STUCK,
        reason=reason,
        took_s=now.since(load.since) if load else None,
        hint=_STUCK_HINTS[reason].replace("MODEL", model.model),
    )


APART = "they do not fit together; a smaller model or context_length, OLLAMA_MAX_LOADED_MODELS, or keep only one"
"""What would help two models that cannot be resident at once."""


def _contended(model: ModelMemory, memory: ServerMemory, reason: StateReason, _: Instant) -> Change:
    other = rival(model, memory)
    return ModelContended(
        server=memory.server,
        model=model.model,
        state=State.CONTENDED,
        reason=reason,
        with_=other.model if other else None,
        size_bytes=model.size or None,
        with_size_bytes=(other.size or None) if other else None,
        hint=APART,
    )


def _yielding(model: ModelMemory, memory: ServerMemory, reason: StateReason, now: Instant) -> Change:
    guest = in_the_way(model, memory)
    return ModelYielding(
        server=memory.server,
        model=model.model,
        state=State.YIELDING,
        reason=reason,
        cause=model.departure.cause if model.departure else None,
        to=guest.listed.text if guest else None,
        since_s=now.since(guest.appeared) if guest else None,
    )


def _paused(model: ModelMemory, memory: ServerMemory, _reason: StateReason, now: Instant) -> Change:
    return paused_change(model, paused(model, now) or Pause(now.wall, None, "unknown"), memory.server)


def _off_hours(model: ModelMemory, memory: ServerMemory, reason: StateReason, now: Instant) -> Change:
    unwanted = not_asked_for(model, now)
    until = unwanted.until if unwanted else None
    return ModelOffHours(server=memory.server, model=model.model, state=State.OFF_HOURS, reason=reason, until=until)


def _over_budget(model: ModelMemory, memory: ServerMemory, reason: StateReason, now: Instant) -> Change:
    size = size_of(model)
    return ModelOverBudget(
        server=memory.server,
        model=model.model,
        state=State.OVER_BUDGET,
        reason=reason,
        size_bytes=size.size if size else None,
        left_bytes=left_bytes(model, claimants(memory, now), memory),
        hint="the budget goes to models of higher rank; raise it, or take a smaller model or context_length",
    )


def _missing(model: ModelMemory, memory: ServerMemory, reason: StateReason, _: Instant) -> Change:
    pulled = model.policy.pull is PullRule.IF_MISSING
    hint = "it will be pulled (pull: if_missing)" if pulled else f"ollama pull {model.model}"
    return ModelMissing(server=memory.server, model=model.model, state=State.MISSING, reason=reason, hint=hint)


def _refused(model: ModelMemory, memory: ServerMemory, reason: StateReason, _: Instant) -> Change:
    other = shares_weights_with(model, memory) if reason is Reason.SAME_WEIGHTS else None
    return ModelRefused(
        server=memory.server,
        model=model.model,
        state=State.REFUSED,
        reason=reason,
        hint=_REFUSED_HINTS.get(reason),
        with_=other.model if other else None,
    )


_STUCK_HINTS: dict[StateReason, str] = {
    Reason.NEVER_ANSWERS: "listed, but our request is not answered; restarting Ollama ends it",
    Reason.PROBE_FAILED: "listed and idle, but no token comes: ollama stop MODEL, or restart Ollama",
}
_DEGRADED_HINTS: dict[StateReason, str] = {
    Reason.ON_CPU: "loaded without the GPU; if others use it, unload and load this one again, else restart Ollama",
    Reason.PARTLY_ON_CPU: "part of it is in main memory; free GPU memory, then: ollama stop MODEL",
    Reason.OTHER_CONTEXT: "a client loaded it so; the keeper does not reload a model that is in use",
    Reason.OTHER_DIGEST: "pulled or created anew since it was loaded; where its weights changed, the next load of "
    "this name brings the new ones, and the old ones stay beside them until they are evicted or Ollama restarts; "
    "repair: reload loads it anew when it is idle",
}
_REFUSED_HINTS: dict[StateReason, str] = {
    Reason.CLOUD_MODEL: "it runs on ollama.com: nothing of it can be kept resident here",
    Reason.IMAGE_MODEL: "image models are not kept",
    Reason.SAME_WEIGHTS: "one runner serves all names of these weights, and other options reload it; keep one of them",
    Reason.BAD_REQUEST: "Ollama answered 400 to its load: see warm.failed, mend the model's settings, and restart",
}
_LINES: dict[State, Callable[[ModelMemory, ServerMemory, StateReason, Instant], Change]] = {
    State.READY: _ready,
    State.PAUSED: _paused,
    State.OFF_HOURS: _off_hours,
    State.OVER_BUDGET: _over_budget,
    State.DEGRADED: _degraded,
    State.STUCK: _stuck,
    State.CONTENDED: _contended,
    State.YIELDING: _yielding,
    State.MISSING: _missing,
    State.REFUSED: _refused,
}
