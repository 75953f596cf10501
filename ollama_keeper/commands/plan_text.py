"""A plan for people, and as a document for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from ollama_keeper.commands.status_table import silent_text
from ollama_keeper.core.holds import rival
from ollama_keeper.core.memory import Present, ServerMemory
from ollama_keeper.core.ownership import pinned
from ollama_keeper.core.plan import Do, Plan, Planned, Step
from ollama_keeper.core.policy import Budget, Policy
from ollama_keeper.core.reasons import Reason, ServerState, State
from ollama_keeper.core.sizes import DEFAULT_CONTEXT, Estimate, From
from ollama_keeper.core.units import config_size, show_duration, show_size
from ollama_keeper.report.phrases import REASONS, number

VERSION = 1
"""Of the document: raised when a key is taken away or comes to mean something else; keys may be added."""

GIB = 2**30
USUAL_LIMIT = 3  # models at once on a server with one GPU, or none, where OLLAMA_MAX_LOADED_MODELS is not set
HEAD = ("", "MODEL", "KEEP_ALIVE", "SIZE", "CONTEXT", "PLACE")


def text(plan: Plan) -> str:
    """One server, for people: at most as wide as its table."""
    memory = plan.memory
    if memory.state is ServerState.WAITING:
        return f"{memory.server}: {silent_text(memory.failure and memory.failure.value)}"
    return "\n".join(
        (_head(plan), "", *_table(plan), "", *_sizes(plan), *_budget(plan), *_steps(plan), *_victims(plan))
    )


def document(plans: Sequence[Plan]) -> dict[str, Any]:
    """All servers, for programs; sizes in bytes, None where nothing is known."""
    return {"version": VERSION, "servers": [_server(plan) for plan in plans]}


# --- for people -------------------------------------------------------------------------------------------------------


def _head(plan: Plan) -> str:
    memory = plan.memory
    chosen = sum(one.chosen for one in plan.models)
    takes = f", which take{'s' if chosen == 1 else ''} {show_size(plan.chosen_bytes)}" if plan.chosen_bytes else ""
    place = f"a place for {chosen} of {number(len(plan.models), 'model')}{takes}"
    return f"{memory.server}: Ollama {memory.version or 'unknown'}\n{_limit(memory.budget)}: {place}{_left(plan)}"


def _limit(budget: Budget | None) -> str:
    parts = []
    if budget is not None and budget.memory is not None:
        parts.append(show_size(budget.memory))
    if budget is not None and budget.models is not None:
        parts.append(number(budget.models, "model"))
    return f"budget {' and '.join(parts)}" if parts else "no budget"


def _left(plan: Plan) -> str:
    if plan.left_bytes is None:
        return ""
    if plan.left_bytes < 0:
        return f", guests overdraw it by {show_size(-plan.left_bytes)}"
    return f", {show_size(plan.left_bytes)} left"


def _table(plan: Plan) -> Iterator[str]:
    order = {step.model: place for place, step in enumerate(_sent(plan), 1)}
    rows = [HEAD, *(_row(one, order) for one in plan.models), *(_guest(one, plan.memory) for one in plan.guests)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(one: Planned, order: dict[str, int]) -> tuple[str, ...]:
    size = "unknown"
    if one.size is not None:
        size = f"{'~' if one.size.known_from is From.ESTIMATED else ''}{show_size(one.size.size)}"
    context = "-" if one.context is None else str(one.context)
    rank, model = str(one.policy.rank + 1), one.policy.model
    return (rank, model, _keep_alive(one.policy), size, context, _place(one, order))


def _guest(guest: Present, memory: ServerMemory) -> tuple[str, ...]:
    listed = guest.listed
    left_s = memory.remaining_s(listed, memory.good or memory.born)
    until = "for ever" if pinned(left_s) else f"{show_duration(left_s)} left" if left_s > 0 else "stopping"
    context = "-" if listed.context_length is None else str(listed.context_length)
    return ("", listed.text, until, show_size(listed.size), context, "guest")


def _keep_alive(policy: Policy) -> str:
    """As it is sent; what `ollama ps` makes of it."""
    return f"{policy.keep_alive} (Forever)" if policy.pins else show_duration(policy.lease_s or 0.0)


def _place(one: Planned, order: dict[str, int]) -> str:
    if one.over is not None:
        return f"over by {show_size(one.over)}"
    if one.resident:
        return "resident" if one.state is State.READY else f"resident, {_spoken(one.state)}"
    if one.state is State.MISSING and one.policy.model in order:
        return "to be pulled"
    if one.policy.model in order and one.chosen:
        return "to be loaded"
    state = _spoken(one.state)
    return f"{state}: {REASONS[one.reason]}" if one.reason and REASONS[one.reason] != state else state


def _spoken(state: State) -> str:
    return state.value.replace("_", " ")


def _sizes(plan: Plan) -> Iterator[str]:
    """What the sizes are known from, where they were not seen."""
    lines = [line for one in plan.models if (line := _known_from(one)) is not None]
    if lines:
        yield "Not loaded now (~ estimated: files, cache of the context, batch buffers):"
        yield from lines
        yield from _assumption(plan)
        yield ""


def _assumption(plan: Plan) -> Iterator[str]:
    """No endpoint tells the default context: it goes by the GPU memory that the server has found (OLLAMA.md 3)."""
    estimates = [one.size.estimate for one in plan.models if one.size is not None]
    if any(estimate.assumed and estimate.cache for estimate in estimates if estimate is not None):
        yield f"  For {DEFAULT_CONTEXT} tokens where nothing says more; a server with 23 GiB of GPU memory"
        yield "  takes 32768 by default, one with 47 GiB 262144: context_length makes sure."


def _known_from(one: Planned) -> str | None:
    size, model = one.size, one.policy.model
    if size is None:
        return None if one.state is State.MISSING else f"  {model}: of unknown size, so the budget counts it as nothing"
    if size.estimate is not None:
        return f"  {model}: {_parts(size.estimate)}"
    return f"  {model}: as its last load took" if size.known_from is From.LEARNED else None


def _parts(estimate: Estimate) -> str:
    files = f"{show_size(estimate.weights)} files"
    buffers = f" + {show_size(estimate.compute)} buffers" if estimate.compute else ""
    if estimate.cache is None:
        return f"{files}{buffers}, without a cache, of which the server tells too little"
    cache = f" + {show_size(estimate.cache)} cache" if estimate.cache else ""
    return f"{files}{cache}{buffers}"


def _budget(plan: Plan) -> Iterator[str]:
    """What guests take, what a budget would do, and what the server itself may limit."""
    if plan.guest_bytes:
        yield f"Guests take {show_size(plan.guest_bytes)}: what is to be loaded has to fit beside them."
    if plan.memory.budget is None and plan.models:
        yield from _contended(plan) if any(one.state is State.CONTENDED for one in plan.models) else _unlimited(plan)
    at_once = len(plan.victims)
    if at_once > USUAL_LIMIT:
        yield f"{at_once} models at once need OLLAMA_MAX_LOADED_MODELS={at_once} or more on the"
        yield f"server (unset: {USUAL_LIMIT} for each GPU)."


def _unlimited(plan: Plan) -> Iterator[str]:
    whole = config_size(-(-(plan.chosen_bytes + plan.guest_bytes) // GIB) * GIB)
    yield "Without a budget all are loaded, by rank; what does not fit goes to the"
    yield "CPU, or costs others their place. budget.memory leaves the lowest ranks"
    enough = f"; from {whole} on there is room for what is chosen here" if plan.chosen_bytes else ""
    yield f"out instead{enough}."


def _contended(plan: Plan) -> Iterator[str]:
    for one in plan.models:
        other = rival(plan.memory.model(one.policy.model), plan.memory)
        if one.state is State.CONTENDED and other is not None:
            behind = one.reason is Reason.SERVER_FULL
            yield f"{one.policy.model} {'waits behind' if behind else 'could not be kept beside'} {other.model}."
    yield "More room would help, or OLLAMA_MAX_LOADED_MODELS where that is the limit, or"
    yield "fewer models; they are tried again when something leaves, or after a day."


def _steps(plan: Plan) -> Iterator[str]:
    sent = _sent(plan)
    yield "Done in this order:" if sent else "Nothing is to be done."
    for place, step in enumerate(sent, 1):
        yield f"  {place}. {_VERBS[step.do]} {step.model}: {_because(step)}"
    for step in plan.steps:
        if step.do is Do.WAIT:
            until = "" if step.in_s is None else f", for {show_duration(step.in_s)}"
            yield f"  - {step.model} waits: {_because(step)}{until}"
    states = {one.policy.model: one for one in plan.models}
    for step in plan.steps:
        one = states.get(step.model)
        if step.do is Do.NOTHING and one is not None and one.resident and one.over is not None:
            yield f"  - {step.model} stays as a client has it, though it is over the budget"
        if step.do is Do.NOTHING and one is not None and not one.resident:
            yield f"  - {step.model} is left out: {_because(step)}{_hint(one)}"


def _sent(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if step.do not in {Do.WAIT, Do.NOTHING}]


def _because(step: Step) -> str:
    return REASONS.get(step.because, step.because)


def _hint(one: Planned) -> str:
    return f" (ollama pull {one.policy.model})" if one.state is State.MISSING else ""


def _victims(plan: Plan) -> Iterator[str]:
    if len(plan.victims) > 1:
        yield "Who needs room then makes Ollama evict the first of these that is idle:"
        yield f"  {', '.join(plan.victims)}"


_VERBS = {
    Do.WARM: "warm",
    Do.PULL: "pull, then warm",
    Do.PING: "ping",
    Do.IDLE_TEST: "see whether anybody uses",
    Do.REPIN: "pin again",
    Do.UNLOAD: "unload",
    Do.PROBE: "probe",
}


# --- for programs -----------------------------------------------------------------------------------------------------


def _server(plan: Plan) -> dict[str, Any]:
    memory = plan.memory
    budget = memory.budget or Budget()
    return {
        "name": memory.server,
        "state": memory.state.value,
        "version": memory.version,
        "reason": memory.failure.value if memory.failure else None,
        "budget_bytes": budget.memory,
        "budget_models": budget.models,
        "chosen_bytes": plan.chosen_bytes,
        "guest_bytes": plan.guest_bytes,
        "left_bytes": plan.left_bytes,
        "models": [_model(one) for one in plan.models],
        "guests": [{"model": one.listed.text, "size_bytes": one.listed.size} for one in plan.guests],
        "steps": [_step(step) for step in plan.steps],
        "victims": list(plan.victims),
    }


def _model(one: Planned) -> dict[str, Any]:
    size, estimate = one.size, one.size.estimate if one.size else None
    return {
        "model": one.policy.model,
        "rank": one.policy.rank,
        "priority": one.policy.priority,
        "keep_alive": one.policy.keep_alive,
        "required": one.policy.required,
        "chosen": one.chosen,
        "resident": one.resident,
        "state": one.state.value,
        "reason": one.reason.value if one.reason else None,
        "size_bytes": size.size if size else None,
        "size_from": size.known_from.value if size else None,
        "weights_bytes": estimate.weights if estimate else None,
        "cache_bytes": estimate.cache if estimate else None,
        "compute_bytes": estimate.compute if estimate else None,
        "context_assumed": estimate.assumed if estimate else False,
        "context_length": one.context,
        "over_bytes": one.over,
    }


def _step(step: Step) -> dict[str, Any]:
    in_s = None if step.in_s is None else round(step.in_s, 1)
    return {"do": step.do.value, "model": step.model, "because": step.because, "in_s": in_s}
