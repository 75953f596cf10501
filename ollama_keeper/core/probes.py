"""Probes: one token now and then, to prove that a listed model answers, and how quickly; only if asked for."""

from ollama_keeper.core.changes import Change, ModelSlow, ProbeFailed
from ollama_keeper.core.facts import Probed, ProbeRequest
from ollama_keeper.core.facts import ProbeFailed as Failed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import PROBE_FAILURES, PROBE_RETRY_S
from ollama_keeper.core.reasons import TRANSPORT_FAILURES, Failure
from ollama_keeper.core.record import replace

Folded = tuple[ServerMemory, tuple[Change, ...]]

SAYS_NOTHING = frozenset(TRANSPORT_FAILURES) - {Failure.READ_TIMEOUT, Failure.HTTP_5XX}
"""Failures of the way to the server, which say nothing of the model."""


def probe_request(model: ModelMemory) -> ProbeRequest | None:
    """The probe of a load of ours, with its own options; None where it is not known how we loaded it."""
    return None if model.record is None else ProbeRequest(model.model, model.kind, model.record.options)


def probe_due(model: ModelMemory, now: Instant) -> bool:
    """Whether a probe is asked for now; a failed one is made sure of after a minute."""
    every_s = model.policy.probe_every_s
    if every_s is None or model.present is None:
        return False
    wait_s = min(every_s, PROBE_RETRY_S) if model.probe_failures else every_s
    begun = model.present.appeared
    return now.since(begun if model.probed is None else max(begun, model.probed)) >= wait_s


def fold_probed(memory: ServerMemory, fact: Probed, now: Instant) -> Folded:
    """A probe was answered; that the model is slow is told once, until it is quick again."""
    model = memory.get(fact.model)
    if model is None:
        return memory, ()
    slow = fact.took_s >= model.policy.probe_slow_after_s
    told = slow and not model.slow
    memory = memory.with_model(replace(model, probed=now, probe_failures=0, slow=slow, touched=now))
    if not told:
        return memory, ()
    change = ModelSlow(
        server=memory.server,
        model=fact.model,
        took_s=fact.took_s,
        first_token_s=fact.first_token_s,
        hint="one token took that long on an idle model; is it on the CPU, or the machine busy?",
    )
    return memory, (change,)


def fold_probe_failed(memory: ServerMemory, fact: Failed, now: Instant) -> Folded:
    """A probe failed; two in a row, and the model is stuck. What failed on the way is no failure of the model."""
    model = memory.get(fact.model)
    if model is None:
        return memory, ()
    counted = fact.reason not in SAYS_NOTHING
    memory = memory.with_model(replace(model, probed=now, probe_failures=model.probe_failures + counted))
    if model.probe_failures >= PROBE_FAILURES:  # it is told as stuck already
        return memory, ()
    change = ProbeFailed(
        server=memory.server,
        model=fact.model,
        reason=fact.reason,
        hint=fact.detail or None,
        took_s=fact.took_s,
        status=fact.status,
    )
    return memory, (change,)
