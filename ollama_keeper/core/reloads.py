"""Requests of ours that loaded a resident model anew, though they should have loaded nothing.

They are told by the time they took, for the server says nothing of it. The second in a day ends all such requests, for
what is the reason of the first may be a difference in options that no look shows (CONTRACT 1).
"""

from ollama_keeper.core.changes import Change, ModelReloaded
from ollama_keeper.core.facts import Send
from ollama_keeper.core.inferred import pinned_by_others
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import LoadRecord, ModelMemory, Pending, ServerMemory
from ollama_keeper.core.numbers import DAY_S, RELOADS_A_DAY
from ollama_keeper.core.ownership import pinned, shares_our_load
from ollama_keeper.core.reasons import By, Reloaded
from ollama_keeper.core.record import replace

HINT_LEFT_ALONE = (
    "the second time in a day: it is neither pinged nor pinned again, until its configuration changes;"
    " see in the server's log why it was loaded"
)


def without_slow(model: ModelMemory, memory: ServerMemory, now: Instant) -> ModelMemory:
    """Forgets a ping that was as slow as a load and loaded nothing, as the pin of ours that is still there shows.

    A ping names no time, so what it loads has the server's own (OLLAMA.md 1), which may be for ever where a load of
    others is.
    """
    pending, record, listed = model.pending, model.record, model.listed
    if pending is None or pending.vanished or pending.request.send is not Send.PING:
        return model
    if listed is None or record is None or record.lease_s is not None or not shares_our_load(model):
        return model
    if not pinned(memory.remaining_s(listed, now)) or pinned_by_others(memory, now):
        return model
    return replace(model, pending=None)


def reload_counted(model: ModelMemory, now: Instant) -> ModelMemory:
    """A request of ours has loaded the model anew; after the second in a day there are no more."""
    recent = (*(at for at in model.reloads if now.mono - at < DAY_S), now.mono)
    return replace(model, reloads=recent, left_alone=model.left_alone or len(recent) >= RELOADS_A_DAY)


def reloaded_by_us(
    model: ModelMemory, pending: Pending, before: LoadRecord | None, *, server: str, now: Instant
) -> tuple[ModelMemory, tuple[Change, ...]]:
    """What is told of the request `pending`, where it has loaded anew what `before` describes."""
    if not pending.reloaded:
        return model, ()
    model = reload_counted(model, now)
    context = model.listed.context_length if model.listed else None
    context_before = before.context_length if before else None
    alike = pending.request.send is Send.PING and context_before in {None, context}
    change = ModelReloaded(
        server=server,
        model=model.model,
        reason=Reloaded.RUNNER_DIED if alike else Reloaded.OTHER_OPTIONS,
        by=By.KEEPER,
        context_length=context,
        context_length_before=context_before,
        hint=HINT_LEFT_ALONE if model.left_alone else None,
    )
    return model, (change,)
