"""Folding commands: that models be left alone for a while, the end of it, and that they be warmed now."""

from ollama_keeper.core.changes import Change, ModelPaused, ModelResumed
from ollama_keeper.core.facts import Hurried, Paused, Resumed
from ollama_keeper.core.holds import holds
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, Pause, Return, ServerMemory
from ollama_keeper.core.reasons import By, Cause, Reason, State
from ollama_keeper.core.record import replace

Folded = tuple[ServerMemory, tuple[Change, ...]]

TIME = "time"  # who resumes a pause that ends by itself


def fold_paused(memory: ServerMemory, fact: Paused, now: Instant) -> Folded:
    """Models are left alone; a later pause replaces an earlier one."""
    pause = Pause(now.wall, fact.until, fact.by, fact.note, fact.unload)
    changes: list[Change] = []
    for model in _named(memory, fact.models):
        memory = memory.with_model(replace(model, pause=pause, told=(State.PAUSED, Reason.BY_COMMAND)))
        changes.append(paused_change(model, pause, memory.server))
    return memory, tuple(changes)


def fold_resumed(memory: ServerMemory, fact: Resumed, now: Instant) -> Folded:
    """Models are kept again, those that are absent warmed at once, by rank."""
    changes: list[Change] = []
    for model in _named(memory, fact.models):
        if model.pause is not None:
            memory = memory.with_model(on_duty(replace(model, pause=None), Cause.BY_COMMAND, now))
            changes.append(ModelResumed(server=memory.server, model=model.model, by=fact.by))
    return memory, tuple(changes)


def fold_hurried(memory: ServerMemory, fact: Hurried, now: Instant) -> Folded:
    """Absent models are warmed now, by rank: a wait for somebody else's sake ends, such as the grace or a guest's turn.

    What protects the server stays, and with it the cause: the back-off, the breaker, a full server. So does a pause.
    """
    for model in _named(memory, fact.models):
        hurried = _hurried(model)
        if model.pause is None and not holds(hurried, memory, now):
            memory = memory.with_model(hurried)
    return memory, ()


def resume_in_time(memory: ServerMemory, now: Instant) -> Folded:
    """Ends the pauses whose time is over."""
    over = tuple(model.model for model in memory.models if _over(model.pause, now))
    return fold_resumed(memory, Resumed(over, TIME), now) if over else (memory, ())


def on_duty(model: ModelMemory, cause: Cause, now: Instant) -> ModelMemory:
    """A model that is to be kept again: an absent one is warmed for `cause`, whatever it left for."""
    gone = model.departure
    if gone is not None:
        gone = replace(gone, cause=cause, at=now, grace_s=0.0, displacer=None, displaced_by=None, released=False)
    return replace(model, departure=gone, returned=Return(By.FOUND), given_back=False)


def paused_change(model: ModelMemory, pause: Pause, server: str) -> ModelPaused:
    """The event of a pause."""
    return ModelPaused(
        server=server,
        model=model.model,
        state=State.PAUSED,
        reason=Reason.BY_COMMAND,
        by=pause.by,
        until=pause.until,
        note=pause.note,
    )


def _hurried(model: ModelMemory) -> ModelMemory:
    gone = model.departure
    if gone is not None:
        gone = replace(gone, cause=Cause.BY_COMMAND, grace_s=0.0, displacer=None, displaced_by=None, released=False)
    return replace(model, departure=gone)


def _named(memory: ServerMemory, names: tuple[str, ...]) -> list[ModelMemory]:
    return [model for model in memory.models if model.model in names]


def _over(pause: Pause | None, now: Instant) -> bool:
    return pause is not None and pause.until is not None and pause.until <= now.wall
