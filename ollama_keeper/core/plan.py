"""What would be done on one server, and in which order, if nothing else happened: what `plan` and `--dry-run` tell.

Nothing is decided here. Each step is asked of the functions that decide for the daemon; a warm is asked of a memory in
which the warms before it have succeeded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from ollama_keeper.core.budget import over_bytes
from ollama_keeper.core.decide import Act, decide
from ollama_keeper.core.facts import Listed, LoadRequest
from ollama_keeper.core.holds import holds, wants_load
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import LoadRecord, ModelMemory, Present, ServerMemory
from ollama_keeper.core.policy import Policy
from ollama_keeper.core.pulls import to_be_pulled
from ollama_keeper.core.reasons import Reason, State, StateReason
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.requests import warm_options, warm_request
from ollama_keeper.core.sizes import Size, context_of, size_of
from ollama_keeper.core.states import state_of
from ollama_keeper.core.turn import next_load
from ollama_keeper.core.wishes import claimants, not_to_be_kept

ALWAYS_S = float("inf")
FOREVER_S = 9_223_372_036.0  # what Ollama makes of -1 (OLLAMA.md 1)


class Do(StrEnum):
    """What is done in a step."""

    WARM = "warm"
    PULL = "pull"
    PING = "ping"
    IDLE_TEST = "idle_test"
    REPIN = "repin"
    UNLOAD = "unload"
    PROBE = "probe"
    WAIT = "wait"
    NOTHING = "nothing"


_DOES = {
    Act.PING: Do.PING,
    Act.IDLE_TEST: Do.IDLE_TEST,
    Act.KEEP: Do.REPIN,
    Act.UNLOAD: Do.UNLOAD,
    Act.PROBE: Do.PROBE,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        because: a value of CONTRACT 4, or a sentence of `decide`.
        request: what is sent first; None where nothing is, or a probe.
        in_s: seconds until a wait ends by itself; None where only an event ends it.
    """

    model: str
    do: Do
    because: str
    request: LoadRequest | None = None
    in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """One wanted model.

    Attributes:
        chosen: it has its place: nothing keeps it out but time, as far as is known.
        context: tokens that its next load gets, or has got.
        over: bytes by which it exceeds the budget.
    """

    policy: Policy
    state: State
    reason: StateReason
    resident: bool
    chosen: bool
    size: Size | None
    context: int | None
    over: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One server.

    Attributes:
        chosen_bytes: of the chosen models, as far as known; `guest_bytes` of guests, and of what is being given back.
        left_bytes: of the budgeted memory, negative where guests overdraw it; None where none is budgeted.
        steps: what is sent, in order; then what is pulled beside that, waits or is left alone.
        victims: whom Ollama would evict, first to last, once all steps are done: the first of them that is idle.
    """

    memory: ServerMemory
    models: tuple[Planned, ...]
    guests: tuple[Present, ...]
    chosen_bytes: int
    guest_bytes: int
    left_bytes: int | None
    steps: tuple[Step, ...]
    victims: tuple[str, ...]


def plan(memory: ServerMemory, now: Instant) -> Plan:
    """What is chosen on a server, and what would be done."""
    models = tuple(planned(model, memory, now) for model in memory.models)
    chosen = sum(one.size.size for one in models if one.chosen and one.size is not None)
    others = [guest.listed.size for guest in memory.guests()]
    others += [model.listed.size for model in memory.leaving if model.listed is not None]
    budgeted = memory.budget.memory if memory.budget else None
    left = None if budgeted is None else budgeted - chosen - sum(others)
    done, after = _warmed(memory, now)
    return Plan(
        memory,
        models,
        memory.guests(),
        chosen_bytes=chosen,
        guest_bytes=sum(others),
        left_bytes=left,
        steps=(*_touches(memory, now), *done, *_rest(memory, {step.model for step in done}, now)),
        victims=victims(after, now),
    )


def planned(model: ModelMemory, memory: ServerMemory, now: Instant) -> Planned:
    """One model: whether it has a place, what it takes, and by how much it is too large."""
    state, reason = state_of(model, memory, now)
    out = model.missing or refusal(model, memory) or not_to_be_kept(model, memory, now)
    chosen = not out and state is not State.CONTENDED
    return Planned(
        model.policy,
        state,
        reason,
        resident=model.present is not None,
        chosen=chosen,
        size=size_of(model),
        context=_context(model),
        over=over_bytes(model, claimants(memory, now), memory) if state is State.OVER_BUDGET else None,
    )


def step_of(model: ModelMemory, memory: ServerMemory, now: Instant) -> Step:
    """What one model gets first, or why it gets nothing; other models aside."""
    decision = decide(model, memory, now)
    if decision.act in _DOES:
        return Step(model.model, _DOES[decision.act], decision.why.value, decision.request)
    unwanted = not_to_be_kept(model, memory, now)
    if to_be_pulled(model, memory, now):
        return Step(model.model, Do.PULL, Reason.NOT_PULLED.value)
    if unwanted is None and wants_load(model, memory):
        return _warm(model, memory, now)
    state, reason = state_of(model, memory, now)
    said = reason.value if reason is not None and state is not State.READY else decision.why.value
    return Step(model.model, Do.NOTHING, said)


def victims(memory: ServerMemory, now: Instant) -> tuple[str, ...]:
    """Whom Ollama would evict, first to last: the shortest keep_alive, then the path of the weights (OLLAMA.md 4)."""
    weights = dict(memory.weights)
    ours = [(model.listed, model, model.shown.weights if model.shown else None) for model in memory.models]
    guests = [(guest.listed, None, weights.get(guest.listed.digest)) for guest in memory.guests()]
    ordered = sorted(
        (_kept_for_s(listed, model, memory, now), path or "", model.model if model else listed.text)
        for listed, model, path in (*ours, *guests)
        if listed is not None
    )
    return tuple(name for _, _, name in ordered)


def _touches(memory: ServerMemory, now: Instant) -> Iterator[Step]:
    for model in memory.known:
        step = step_of(model, memory, now)
        if step.do not in {Do.WARM, Do.PULL, Do.WAIT, Do.NOTHING}:
            yield step


def _warmed(memory: ServerMemory, now: Instant) -> tuple[tuple[Step, ...], ServerMemory]:
    """The warms in their order, and the memory after them, had all of them succeeded."""
    steps: list[Step] = []
    for _ in memory.models:
        name = next_load(memory, now)
        if name is None:
            break
        model = memory.model(name)
        steps.append(_warm(model, memory, now))
        memory = memory.with_model(_loaded(model, now))
    return tuple(steps), memory


def _rest(memory: ServerMemory, done: set[str], now: Instant) -> Iterator[Step]:
    for model in memory.models:
        step = step_of(model, memory, now)
        if model.model not in done and step.do in {Do.WARM, Do.PULL, Do.WAIT, Do.NOTHING}:
            yield replace(step, do=Do.WAIT) if step.do is Do.WARM else step


def _warm(model: ModelMemory, memory: ServerMemory, now: Instant) -> Step:
    held = holds(model, memory, now)
    request = warm_request(model)
    if not held:
        cause = model.departure.cause.value if model.departure else ""
        return Step(model.model, Do.WARM, cause, request)
    ends = [hold.until for hold in held]
    known = [end for end in ends if end is not None]
    in_s = max(known) - now.mono if len(known) == len(ends) else None
    return Step(model.model, Do.WAIT, held[0].reason.value, request, in_s)


def _loaded(model: ModelMemory, now: Instant) -> ModelMemory:
    """A model as it would be after its warm."""
    size = size_of(model)
    taken, context = size.size if size else 0, context_of(model)
    name, digest, policy = model.policy.name, model.pulled or "", model.policy
    until = now.wall + timedelta(seconds=min(sent_for_s(policy), FOREVER_S))
    listed = Listed(name, str(name), digest, taken, taken, context, until)
    record = LoadRecord(digest, context, taken, taken, policy.lease_s, warm_options(model), now.wall)
    return replace(model, present=Present(listed, now, now), record=record, departure=None)


def _context(model: ModelMemory) -> int | None:
    """Tokens: as listed; else what the next load gets, as far as that is known."""
    if model.listed is not None:
        return model.listed.context_length
    return context_of(model) if model.shown is not None else None


def sent_for_s(policy: Policy) -> float:
    """Seconds of the keep_alive that a warm sends; -1 is for ever."""
    sent = policy.keep_alive
    if isinstance(sent, str):
        return float(sent.removesuffix("h")) * 3_600
    return ALWAYS_S if sent < 0 else float(sent)


def _kept_for_s(listed: Listed, model: ModelMemory | None, memory: ServerMemory, now: Instant) -> float:
    """The keep_alive by which Ollama orders its victims: known of our loads; of others at least what is left of it."""
    record = model.record if model is not None else None
    if model is not None and record is not None:
        return sent_for_s(model.policy) if record.lease_s is None else record.lease_s
    left_s = memory.remaining_s(listed, now)
    return ALWAYS_S if left_s > FOREVER_S / 2 else left_s
