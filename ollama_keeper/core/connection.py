"""Folding what concerns the server itself: answers, silence, versions; and what is pulled and shown there."""

from collections.abc import Iterable

from ollama_keeper.core.changes import (
    Change,
    ModelReleased,
    ServerBusy,
    ServerDown,
    ServerInquiryFailed,
    ServerRestarted,
    ServerWaiting,
)
from ollama_keeper.core.facts import (
    Configured,
    Described,
    DescribeFailed,
    InquiryFailed,
    Listed,
    LookFailed,
    LookSilent,
    Pulled,
    Tagged,
    Versioned,
    VersionFailed,
)
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.looks import recognised
from ollama_keeper.core.memory import Departure, Full, ModelMemory, ServerMemory
from ollama_keeper.core.numbers import DOWN_AFTER, SAY_WAITING_EVERY_S
from ollama_keeper.core.ownership import Claim, claim
from ollama_keeper.core.policy import Policy, Release
from ollama_keeper.core.presence import strangers
from ollama_keeper.core.reasons import Cause, Failure, ServerState
from ollama_keeper.core.record import replace
from ollama_keeper.core.release import without_released

Folded = tuple[ServerMemory, tuple[Change, ...]]

HOPELESS = frozenset({Failure.HTTP_4XX, Failure.HOST_REJECTED, Failure.REDIRECT, Failure.TLS})
"""Failures that no quick second try mends: down at once, asked again each 30 s."""

BUSY_SIGNS = frozenset({Failure.HTTP_429, Failure.SERVER_BUSY})
"""The server is there and says that it has too much to do."""


def fold_look_failed(memory: ServerMemory, fact: LookFailed, now: Instant) -> Folded:
    """A look without a valid answer: it says nothing about the models."""
    memory = replace(memory, silent=False, disturbed=True, retry_after_s=fact.retry_after_s)
    if fact.reason in BUSY_SIGNS:
        return _busy(replace(memory, failed=now, failure=fact.reason), fact.reason, now)
    if memory.state is ServerState.BUSY and fact.reason is Failure.READ_TIMEOUT:
        return replace(memory, failed=now, failure=fact.reason), ()
    return _no_answer(memory, fact.reason, now, detail=fact.detail)


def fold_look_silent(memory: ServerMemory, _: LookSilent, _now: Instant) -> Folded:
    """A look is open for longer than 5 s: `/api/version` tells busy from down."""
    return replace(memory, silent=True), ()


def fold_version_failed(memory: ServerMemory, fact: VersionFailed, now: Instant) -> Folded:
    """`/api/version` did not answer, or not as Ollama would."""
    return _no_answer(replace(memory, disturbed=True), fact.reason, now, detail=fact.detail)


def fold_versioned(memory: ServerMemory, fact: Versioned, now: Instant) -> Folded:
    """`/api/version` answered; another version than before is a restart."""
    changes: tuple[Change, ...] = ()
    if memory.version is not None and memory.version != fact.version:
        restarted = ServerRestarted(server=memory.server, version_before=memory.version, version=fact.version)
        memory, changes = replace(memory, restarted=True, tagged=None), (restarted,)
    memory = replace(memory, version=fact.version)
    if not memory.silent:
        return memory, changes
    memory, busy = _busy(replace(memory, failures=0), Failure.READ_TIMEOUT, now)
    return memory, (*changes, *busy)


def _busy(memory: ServerMemory, reason: Failure, now: Instant) -> Folded:
    if memory.state is ServerState.BUSY:
        return memory, ()
    change = ServerBusy(
        server=memory.server,
        reason=reason,
        failures=memory.failures,
        hint="it answers /api/version but not /api/ps; a load or an unload may hold its locks",
    )
    return replace(memory, state=ServerState.BUSY, since=now), (change,)


def _no_answer(memory: ServerMemory, reason: Failure, now: Instant, *, detail: str) -> Folded:
    failures = max(memory.failures + 1, DOWN_AFTER if reason in HOPELESS else 0)
    memory = replace(memory, failures=failures, failure=reason, failed=now)
    if memory.state is ServerState.WAITING:
        return _still_waiting(memory, reason, now, detail=detail)
    if memory.state is ServerState.DOWN or failures < DOWN_AFTER:
        return memory, ()
    change = ServerDown(server=memory.server, reason=reason, failures=failures, hint=detail or None)
    return replace(memory, state=ServerState.DOWN, since=now), (change,)


def _still_waiting(memory: ServerMemory, reason: Failure, now: Instant, *, detail: str) -> Folded:
    if memory.say_waiting is not None and now.since(memory.say_waiting) < SAY_WAITING_EVERY_S:
        return memory, ()
    waits = ServerWaiting(server=memory.server, reason=reason, since_s=now.since(memory.born), hint=detail or None)
    return replace(memory, say_waiting=now), (waits,)


# --- what is wanted, pulled and shown ---------------------------------------------------------------------------------


def fold_configured(memory: ServerMemory, fact: Configured, now: Instant) -> Folded:
    """The operator's wishes. A model whose wishes are the same keeps all; one that is wanted no more is given back."""
    known = {model.policy.name: model for model in memory.known}
    models = tuple(_wanted(known.pop(policy.name, None), policy) for policy in fact.policies)
    full, doubt = (_still_full(mark, memory, fact.policies) for mark in (memory.full, memory.doubt))
    timeout_s = fact.look_timeout_s or memory.look_timeout_s
    if any(model.pulled is None and not model.missing for model in models):  # a new one: it must be known to be warmed
        memory = replace(memory, tagged=None)
    leaving = tuple(known.values())
    memory = replace(memory, models=models, leaving=leaving, full=full, doubt=doubt)
    memory = replace(memory, look_timeout_s=timeout_s, budget=fact.budget)
    changes = tuple(
        _not_renewed(model, memory.server) for model in memory.leaving if _lease_of_ours(model, memory, now)
    )
    return without_released(memory, now), changes


def _still_full(full: Full | None, memory: ServerMemory, policies: tuple[Policy, ...]) -> Full | None:
    """What was learnt of two models that do not fit together holds while all that was wished for is still so."""
    ranks = {policy.model: policy.rank for policy in policies}
    as_ranked = {replace(policy, rank=0) for policy in policies}
    if full is None or any(replace(model.policy, rank=0) not in as_ranked for model in memory.models):
        return None
    if full.winner not in ranks or full.loser not in ranks or ranks[full.winner] < ranks[full.loser]:
        return None
    return replace(full, rank=ranks[full.winner])


def _wanted(known: ModelMemory | None, policy: Policy) -> ModelMemory:
    if known is None:
        return ModelMemory(policy=policy)
    known, before = replace(known, policy=policy, given_back=False), known.policy
    if replace(before, rank=policy.rank, keep_alive=policy.keep_alive) == policy:
        return known
    return replace(known, rejected=False, left_alone=False, reloads=())


def _lease_of_ours(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    lease = model.record is not None and model.record.lease_s is not None
    return lease and model.policy.release is Release.EXPIRE and claim(model, memory, now) is Claim.OURS


def _not_renewed(model: ModelMemory, server: str) -> ModelReleased:
    return ModelReleased(server=server, model=model.model, how=Release.EXPIRE.value)


def fold_tagged(memory: ServerMemory, fact: Tagged, now: Instant) -> Folded:
    """What is pulled: a model that was missing and has arrived is warmed as if seen for the first time."""
    pulled = {entry.name: entry for entry in fact.models}
    orphans = [one for one in strangers(memory) if one.name not in pulled or pulled[one.name].digest != one.digest]
    models = tuple(_tagged(model, pulled.get(model.policy.name), now) for model in memory.models)
    return replace(_no_aliases(memory, orphans), models=models, tagged=now, inquiry=None), ()


def _no_aliases(memory: ServerMemory, strangers: Iterable[Listed]) -> ServerMemory:
    """Guests of which nobody can tell what weights they have: their names mean others by now, or nothing."""
    return replace(memory, weights=(*memory.weights, *((one.digest, None) for one in strangers)))


def _tagged(model: ModelMemory, entry: Pulled | None, now: Instant) -> ModelMemory:
    if entry is None:
        return replace(model, pulled=None, missing=True, remote=False)
    digest = entry.digest
    model = replace(model, remote=entry.remote, disk_size=entry.size)
    shown = model.shown if model.asked_digest == digest else None
    model = replace(model, pulled=digest, shown=shown, rejected=model.rejected and shown is not None)
    if not model.missing:
        return model
    arrived = model.departure or Departure(Cause.FIRST_SEEN, at=now)
    gone = None if model.present else replace(arrived, cause=Cause.FIRST_SEEN, grace_s=0.0)
    return replace(model, missing=False, departure=gone, failures=0, failed=None, failure=None)


def fold_inquiry_failed(memory: ServerMemory, fact: InquiryFailed, _: Instant) -> Folded:
    """`/api/tags` failed while looks are answered: told once a reason, for nothing new can be warmed meanwhile."""
    memory = _no_aliases(memory, strangers(memory))
    if memory.inquiry is fact.reason:
        return memory, ()
    change = ServerInquiryFailed(
        server=memory.server,
        reason=fact.reason,
        hint=f"/api/tags does not answer, so new models cannot be warmed: {fact.detail or 'see the log of the server'}",
    )
    return replace(memory, inquiry=fact.reason), (change,)


def fold_described(memory: ServerMemory, fact: Described, now: Instant) -> Folded:
    """What `/api/show` tells: kind and weights of a wanted model, weights of a guest that may be an alias."""
    weights = tuple((digest, known) for digest, known in memory.weights if digest != fact.digest)
    memory = replace(memory, weights=(*weights, (fact.digest, fact.shown.weights)))
    for model in memory.models:
        if model.policy.name == fact.name and model.pulled == fact.digest:
            memory = memory.with_model(replace(model, shown=fact.shown, asked_digest=fact.digest))
    return recognised(memory, now), ()


def fold_describe_failed(memory: ServerMemory, fact: DescribeFailed, now: Instant) -> Folded:
    """`/api/show` failed: a wanted model that is not there is missing; a guest is not asked about again."""
    wanted = [model for model in memory.models if model.policy.name == fact.name]
    for model in wanted:
        missing = model.missing or fact.reason is Failure.NOT_FOUND
        memory = memory.with_model(replace(model, missing=missing, show_failed=now))
    if not wanted and fact.digest:
        memory = replace(memory, weights=(*memory.weights, (fact.digest, None)))
    return memory, ()
