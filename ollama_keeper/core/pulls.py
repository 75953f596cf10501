"""`pull: if_missing`: whose turn it is to be pulled, how far it is, and when it is tried again.

One pull at a time a server, by rank, beside the loads: a download wants neither memory nor Ollama's scheduler. Only
what is missing is pulled, never a newer version of what is there.
"""

from typing import Any

from ollama_keeper.core.changes import Change, PullFinished, PullProgress, PullStarted
from ollama_keeper.core.changes import PullFailed as PullFailedChange
from ollama_keeper.core.facts import PullEnded, PullFailed, PullOpened, PullProgressed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Download, ModelMemory, ServerMemory
from ollama_keeper.core.policy import PullRule
from ollama_keeper.core.reasons import Failure, ServerState, Unpulled
from ollama_keeper.core.record import replace
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.spread import spread
from ollama_keeper.core.wishes import not_to_be_kept

Folded = tuple[ServerMemory, tuple[Change, ...]]

TOLD_EVERY_S = 10.0
TOLD_EVERY = 0.1  # of the total

CUT_S = (5.0, 300.0)  # first and longest time to the next try: what was cut goes on where it was
NETWORK_S = (60.0, 3_600.0)
REFUSED_S = (600.0, 21_600.0)  # what an edit, or free space, has to mend; the registry is not to be asked often

_RETRIES: dict[Failure | Unpulled, tuple[float, float]] = {
    Unpulled.NOT_IN_REGISTRY: REFUSED_S,
    Unpulled.DISK_FULL: REFUSED_S,
    Unpulled.REGISTRY_REFUSED: REFUSED_S,
    Unpulled.REGISTRY_UNREACHABLE: NETWORK_S,
    Unpulled.PULL_FAILED: NETWORK_S,
    Unpulled.PULL_STALLED: CUT_S,
    Failure.BAD_REQUEST: REFUSED_S,
}
_HINTS: dict[Failure | Unpulled, str] = {
    Unpulled.NOT_IN_REGISTRY: "the registry knows no such model: check the name and its tag",
    Unpulled.DISK_FULL: "free space where the server keeps its models (OLLAMA_MODELS)",
    Unpulled.REGISTRY_REFUSED: "the registry turns the server down: a private model, or an Ollama too old for it",
    Unpulled.REGISTRY_UNREACHABLE: "the server does not reach its registry: see its network, DNS and HTTPS_PROXY",
    Unpulled.PULL_STALLED: "nothing came any more; what has come is kept",
}


def next_pull(memory: ServerMemory, now: Instant) -> str | None:
    """The model to pull now, or None: the best rank that is missing, wanted, and not waiting after a failure."""
    if memory.state is not ServerState.UP or memory.failures or pulling(memory) is not None:
        return None
    ready = (model for model in memory.models if to_be_pulled(model, memory, now))
    return next((model.model for model in ready if retry_at(model, memory.server) <= now.mono), None)


def to_be_pulled(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether a model is to be pulled at all: asked for, missing, and to be kept now."""
    asked = model.policy.pull is PullRule.IF_MISSING and model.missing and refusal(model, memory) is None
    return asked and not_to_be_kept(model, memory, now) is None


def pulling(memory: ServerMemory) -> ModelMemory | None:
    """The model whose pull is open."""
    return next((one for one in memory.known if one.download is not None and one.download.since is not None), None)


def may_go_on(name: str, memory: ServerMemory, now: Instant) -> bool:
    """Whether an open pull is still wanted; who paused the model does not want the line to be full either."""
    model = memory.get(name)
    if model is None or memory.is_leaving(model) or model.policy.pull is not PullRule.IF_MISSING:
        return False
    return not_to_be_kept(model, memory, now) is None


def retry_at(model: ModelMemory, server: str) -> float:
    """Monotonic instant from which a pull may be tried again; long ago where none has failed."""
    last = model.download
    if last is None or last.failed is None or last.reason is None:
        return -float("inf")
    first_s, most_s = _RETRIES.get(last.reason, CUT_S)
    wait_s = min(first_s * 2.0 ** min(max(last.failures - 1, 0), 16), most_s)
    return last.failed.mono + wait_s * spread(server, model.model, last.failures)


def next_try(memory: ServerMemory, now: Instant) -> float | None:
    """Monotonic instant at which the first wait after a failed pull ends; None where none waits."""
    waiting = (retry_at(model, memory.server) for model in memory.models if to_be_pulled(model, memory, now))
    return min((at for at in waiting if at > now.mono), default=None)


def fraction(model: ModelMemory) -> float | None:
    """How much of a pull is there, 0.0 to 1.0; None where none is open, or nothing is known yet."""
    download = model.download
    if download is None or download.since is None or not download.total:
        return None
    return min(download.completed / download.total, 1.0)


# --- folds ------------------------------------------------------------------------------------------------------------


def fold_pull_opened(memory: ServerMemory, fact: PullOpened, now: Instant) -> Folded:
    """A pull of ours was sent."""
    model = memory.get(fact.model)
    if model is None:
        return memory, ()
    before = model.download or Download()
    opened = replace(before, since=now, began_at=None, told=now)
    change = PullStarted(server=memory.server, model=model.model, **_bytes(before))
    return memory.with_model(replace(model, download=opened)), (change,)


def fold_pull_progressed(memory: ServerMemory, fact: PullProgressed, now: Instant) -> Folded:
    """More has come: told at each tenth, but each 10 s at most."""
    model = memory.get(fact.model)
    if model is None or model.download is None or model.download.since is None:
        return memory, ()
    before = model.download
    began_at = fact.completed if before.began_at is None else before.began_at
    download = replace(before, completed=fact.completed, total=fact.total, began_at=began_at)
    changes: tuple[Change, ...] = ()
    if _worth_telling(download, now):
        changes = (PullProgress(server=memory.server, model=model.model, **_bytes(download)),)
        download = replace(download, told=now, told_completed=download.completed)
    return memory.with_model(replace(model, download=download)), changes


def fold_pull_ended(memory: ServerMemory, fact: PullEnded, _: Instant) -> Folded:
    """The model is there: the next look asks what is pulled, and it is warmed by rank."""
    model = memory.get(fact.model)
    if model is None:
        return memory, ()
    whole = None if model.download is None else replace(model.download, completed=model.download.total)
    change = PullFinished(server=memory.server, model=model.model, **_bytes(whole))
    return replace(memory.with_model(replace(model, download=None)), tagged=None), (change,)


def fold_pull_failed(memory: ServerMemory, fact: PullFailed, now: Instant) -> Folded:
    """A pull failed; one that we ended ourselves is no failure."""
    model = memory.get(fact.model)
    if model is None:
        return memory, ()
    before = model.download or Download()
    if fact.stopping:
        return memory.with_model(replace(model, download=replace(before, since=None))), ()
    moved = before.began_at is not None and before.completed > before.began_at
    failures = 1 if moved else before.failures + 1
    failed = replace(before, since=None, failed=now, reason=fact.reason, failures=failures)
    model = replace(model, download=failed)
    change = PullFailedChange(
        server=memory.server,
        model=model.model,
        reason=fact.reason,
        hint=_hint(fact),
        retry_s=retry_at(model, memory.server) - now.mono,
        **_bytes(failed),
    )
    return memory.with_model(model), (change,)


def _worth_telling(download: Download, now: Instant) -> bool:
    if not download.total or download.completed >= download.total or download.told is None:
        return False
    moved = (download.completed - download.told_completed) / download.total
    return moved >= TOLD_EVERY and now.since(download.told) >= TOLD_EVERY_S


def _bytes(download: Download | None) -> dict[str, Any]:
    if download is None or not download.total:
        return {}
    return {"completed_bytes": download.completed, "total_bytes": download.total}


def _hint(fact: PullFailed) -> str | None:
    hint = _HINTS.get(fact.reason, "")
    said = "" if fact.reason is Unpulled.NOT_IN_REGISTRY else fact.detail
    return "; ".join(part for part in (hint, said) if part) or None
