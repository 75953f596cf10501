"""What is wrong, or will be, between a configuration and a server as it is: what `check` tells.

Each finding says what is so, why it matters, and what to do. Nothing is decided here that the daemon would decide
otherwise: states, sizes and refusals are asked of the functions that it uses.
"""

from collections.abc import Iterator

from ollama_keeper.core.announce import APART
from ollama_keeper.core.facts import Kind
from ollama_keeper.core.finding import Finding, Severity
from ollama_keeper.core.holds import rival
from ollama_keeper.core.inferred import limit_shown, settings
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.ownership import Claim, claim, pinned
from ollama_keeper.core.policy import ContextRule, PullRule
from ollama_keeper.core.reasons import Reason, ServerState, State, StateReason
from ollama_keeper.core.refusals import refusal, shares_weights_with
from ollama_keeper.core.states import lacks_gpu, misplacement, state_of
from ollama_keeper.core.units import show_size
from ollama_keeper.core.versions import crash_prone_looks, fast_path, parse_version

CVE_FIXED = (0, 17, 1)
SKEW_S = 60.0


def checkup(memory: ServerMemory, now: Instant) -> tuple[Finding, ...]:
    """All that is found on one server; of one that does not answer only that."""
    if memory.state is not ServerState.UP:
        return (_unreachable(memory),)
    models = (finding for model in memory.models for finding in _of_model(model, memory, now))
    return (*_of_version(memory), *_of_server(memory, now), *models)


# --- the server -------------------------------------------------------------------------------------------------------


def _unreachable(memory: ServerMemory) -> Finding:
    reason = memory.failure.value if memory.failure else "nothing yet"
    return Finding(
        Severity.ERROR,
        "unreachable",
        f"the server does not answer ({reason})",
        "nothing can be kept there until it does; a keeper that runs goes on trying",
        "see that Ollama runs, and that this machine reaches it: the URL, a firewall, OLLAMA_HOST of the server",
        memory.server,
    )


def _of_version(memory: ServerMemory) -> Iterator[Finding]:
    version, server = memory.version, memory.server
    if not fast_path(version):
        yield Finding(
            Severity.WARNING,
            "old_version",
            f"Ollama {version} is older than 0.11.5",
            "there a ping queues behind loads, so models are only looked at and warmed",
            "update Ollama",
            server,
        )
    elif crash_prone_looks(version):
        yield Finding(
            Severity.WARNING,
            "old_version",
            f"Ollama {version} is older than 0.32.4",
            "there /api/ps during a load can end the server, so it is looked at each 30 s at most",
            "update Ollama",
            server,
        )
    if parse_version(version) < CVE_FIXED:
        yield Finding(
            Severity.WARNING,
            "vulnerable_version",
            f"Ollama {version} has a published hole (CVE-2026-7482)",
            "whoever reaches the server may use it",
            "update Ollama to 0.17.1 or later",
            server,
        )


def _of_server(memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    if memory.skew_s is not None and abs(memory.skew_s) > SKEW_S:
        yield Finding(
            Severity.WARNING,
            "clock_skew",
            f"its clock differs from ours by {memory.skew_s:+.0f} s",
            "ends of leases are read by it; residency is not",
            "set both clocks (NTP)",
            memory.server,
        )
    yield from settings(memory, now)


# --- its models -------------------------------------------------------------------------------------------------------


def _of_model(model: ModelMemory, memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    if model.missing:
        yield _missing(model, memory)
        return
    refused = refusal(model, memory)
    if refused is not None:
        yield _refused(model, memory, refused)
        return
    yield from _out_of_place(model, memory, now)
    yield from _of_context(model, memory)
    yield from _of_place(model, memory)
    if model.left_alone:
        yield Finding(
            Severity.WARNING,
            "left_alone",
            "two requests of ours loaded it anew within a day",
            "its runner died, or the server loads it for options that it does not show; so it is neither pinged nor"
            " pinned again, and may expire",
            f"see in the server's log why it was loaded; then change something of {model.model} in the configuration",
            memory.server,
            model.model,
        )
    if claim(model, memory, now) is Claim.CLIENT and model.listed and pinned(memory.remaining_s(model.listed, now)):
        yield Finding(
            Severity.NOTE,
            "pinned_by_client",
            "it is resident and pinned, and not by us as far as is known",
            "another keeper, a client or a script did so; its pin is left alone: not pinged, not lowered",
            f"nothing; to make it ours: ollama stop {model.model}, and it is warmed after the grace",
            memory.server,
            model.model,
        )


def _missing(model: ModelMemory, memory: ServerMemory) -> Finding:
    pulls = model.policy.pull is PullRule.IF_MISSING
    return Finding(
        Severity.NOTE if pulls else Severity.ERROR,
        "missing",
        "it is not pulled",
        "it will be pulled, for pull: if_missing" if pulls else "what is not there cannot be loaded",
        "nothing" if pulls else f"ollama pull {model.model}; or set pull: if_missing",
        memory.server,
        model.model,
    )


def _refused(model: ModelMemory, memory: ServerMemory, reason: Reason) -> Finding:
    other = shares_weights_with(model, memory)
    same = f"it has the weights of {other.model}, and other options" if other else ""
    what, why, do = {
        Reason.CLOUD_MODEL: ("it runs in the cloud", "nothing of it is in this machine's memory", "take it out"),
        Reason.IMAGE_MODEL: ("it makes images", "Ollama loads it only to make one", "take it out"),
        Reason.SAME_WEIGHTS: (
            same,
            "both are one runner, and each request would reload it",
            "keep one, or equal options",
        ),
        Reason.BAD_REQUEST: (
            "the server refuses its options",
            "it can never be loaded so",
            "see options and context_length",
        ),
    }[reason]
    return Finding(Severity.ERROR, reason.value, what, why, do, memory.server, model.model)


def _out_of_place(model: ModelMemory, memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    state, reason = state_of(model, memory, now)
    if state is State.OVER_BUDGET:
        yield Finding(
            Severity.WARNING,
            "over_budget",
            f"it has no place in the budget ({reason.value if reason else 'budget'})",
            "models of higher rank take it, so this one is not kept",
            "see ollama-keeper plan; raise the budget, its priority, or keep fewer",
            memory.server,
            model.model,
        )
    elif state is State.CONTENDED and limit_shown(memory) is None:
        yield Finding(
            Severity.WARNING,
            "contended",
            _apart(_sized(rival(model, memory)), reason),
            "the better one of them stays; this one is tried again when something leaves, or after a day",
            APART,
            memory.server,
            model.model,
        )


def _apart(other: str, reason: StateReason) -> str:
    if reason is Reason.SERVER_FULL:
        return f"it waits behind {other}, for which the server is full"
    return f"it cannot be kept beside {other}: loading it pushed {_COST[reason]} out"


_COST: dict[StateReason, str] = {Reason.EVICTS_WANTED: "that one", Reason.SWEEPS_WANTED: "all others"}


def _sized(other: ModelMemory | None) -> str:
    if other is None:
        return "the others"
    return f"{other.model} ({show_size(other.size)})" if other.size else other.model


def _of_context(model: ModelMemory, memory: ServerMemory) -> Iterator[Finding]:
    context, shown = model.policy.context, model.shown
    if isinstance(context, ContextRule) or shown is None:
        return
    if shown.trained_context is not None and context > shown.trained_context:
        yield Finding(
            Severity.WARNING,
            "context_too_long",
            f"context_length {context} is more than it was trained for ({shown.trained_context})",
            "Ollama takes the smaller one",
            f"write {shown.trained_context}, or leave context_length out",
            memory.server,
            model.model,
        )
    elif shown.kind is Kind.COMPLETION and shown.own_context != context:
        own = f"its Modelfile says {shown.own_context}" if shown.own_context else "its Modelfile says nothing"
        yield Finding(
            Severity.WARNING,
            "context_disagrees",
            f"context_length is {context}, and {own}",
            "a client that sends no num_ctx, as all of /v1, reloads the model with another context",
            f"PARAMETER num_ctx {context} in the Modelfile, or OLLAMA_CONTEXT_LENGTH; else context_length: adopt",
            memory.server,
            model.model,
        )


def _remedy(reason: Reason, model: ModelMemory, memory: ServerMemory) -> str:
    """What brings a resident model to where it should be."""
    if lacks_gpu(reason, memory):
        return "restart Ollama: it looks for GPUs only when it starts"
    anew = f"ollama stop {model.model}, or repair: reload, which does it once nobody uses it"
    match reason:
        case Reason.OTHER_CONTEXT:
            return f"send the same num_ctx from all clients, or none and set it in the Modelfile; then {anew}"
        case Reason.OTHER_DIGEST:
            return f"its next load has what was pulled: {anew}"
    return f"free GPU memory, then {anew}"


def _of_place(model: ModelMemory, memory: ServerMemory) -> Iterator[Finding]:
    reason, listed = misplacement(model, memory), model.listed
    if reason is None or listed is None:
        return
    share = f"{listed.gpu_fraction:.0%} on the GPU" if listed.gpu_fraction is not None else "size unknown"
    yield Finding(
        Severity.WARNING,
        reason.value,
        f"it is resident, but not as wanted: {show_size(listed.size)}, {share}, context {listed.context_length}",
        "it answers slowly, or forgets early, until it is loaded anew",
        _remedy(reason, model, memory),
        memory.server,
        model.model,
    )
