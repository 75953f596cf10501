"""When to look, and what to learn beside it: looking is frequent and free, but an old server can die of it."""

from collections.abc import Callable

from ollama_keeper.core.connection import HOPELESS
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import (
    DOWN_AFTER,
    QUICK_LOOK_OLD_S,
    QUICK_LOOK_S,
    RECHECK_S,
    RECONNECT_FIRST_S,
    RECONNECT_MOST_S,
    TAGS_EVERY_S,
    TAGS_FRESH_S,
    TAGS_WHILE_MISSING_S,
)
from ollama_keeper.core.ownership import pulled_anew
from ollama_keeper.core.policy import Contention
from ollama_keeper.core.presence import strangers
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.versions import crash_prone_looks

NOT_ASKED_FOR = frozenset({State.PAUSED, State.OFF_HOURS, State.OVER_BUDGET})
FRESH_S = 1.0  # a look so young serves every check that asks


def look_after_s(memory: ServerMemory) -> float:
    """Seconds from the last look, or from the last failure, to the next one."""
    if memory.retry_after_s is not None:
        return max(memory.retry_after_s, RECHECK_S)
    if memory.state in {ServerState.WAITING, ServerState.DOWN}:
        return _reconnect_after_s(memory)
    if memory.failures or memory.state is ServerState.BUSY:
        return RECHECK_S
    ordinary = min((model.policy.interval_s for model in memory.models), default=QUICK_LOOK_OLD_S)
    if not crash_prone_looks(memory.version):
        return min(ordinary, QUICK_LOOK_S) if hurried(memory) else ordinary
    configured = any(model.policy.interval_configured for model in memory.models)
    return ordinary if configured else max(ordinary, QUICK_LOOK_OLD_S)


def fresh_for_s(memory: ServerMemory) -> float:
    """Age up to which a look serves a check; longer below 0.32.4, so that the looks of all checks stay apart.

    A server that asked for patience is not asked by checks.
    """
    if memory.retry_after_s is not None:
        return look_after_s(memory)
    if not crash_prone_looks(memory.version) or any(model.policy.interval_configured for model in memory.models):
        return min(FRESH_S, min((model.policy.interval_s for model in memory.models), default=FRESH_S) / 2)
    return QUICK_LOOK_OLD_S - FRESH_S


def hurried(memory: ServerMemory) -> bool:
    """Whether a wanted model is absent, loading or held, so that looking sooner matters."""
    return bool(memory.open or memory.leaving) or any(_awaited(model, memory) for model in memory.models)


def tags_due(memory: ServerMemory, now: Instant, *, ping_due: Callable[[], bool]) -> bool:
    """Whether to ask `/api/tags`: at first, before pings (at most one in 5 min), each 60 s while a model is missing.

    And once for each guest that may be one of ours under another name: it is asked about by its name, which may have
    come to mean other weights since it was loaded. And once when other weights are listed than were pulled at last.
    """
    if memory.state is not ServerState.UP:
        return False
    if memory.tagged is None:
        return True
    age = now.since(memory.tagged)
    missing = any(model.missing and refusal(model, memory) is None for model in memory.models)
    asked = (missing and age >= TAGS_WHILE_MISSING_S) or (age >= TAGS_FRESH_S and bool(strangers(memory)))
    other = [model.present for model in memory.models if model.present is not None and pulled_anew(model)]
    asked = asked or any(memory.tagged < present.appeared for present in other)
    return asked or (age >= TAGS_EVERY_S and (bool(other) or ping_due()))


def to_describe(memory: ServerMemory, now: Instant) -> tuple[str, str] | None:
    """Name and digest of the next model to ask `/api/show` for: a wanted one, else a guest that may be an alias."""
    if memory.state is not ServerState.UP:
        return None
    for model in memory.models:
        if _unknown(model, memory, now) and model.pulled is not None:
            return model.model, model.pulled
    guests = strangers(memory)
    if not guests or memory.tagged is None or now.since(memory.tagged) >= TAGS_FRESH_S:
        return None
    return guests[0].text, guests[0].digest


def _unknown(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    tried = model.show_failed is not None and now.since(model.show_failed) < TAGS_WHILE_MISSING_S
    return model.shown is None and not model.missing and not tried and refusal(model, memory) is None


def _awaited(model: ModelMemory, memory: ServerMemory) -> bool:
    if model.present is not None:
        return model.pending is not None or _given_back_unseen(model, memory)
    if model.told is not None and model.told[0] in NOT_ASKED_FOR:
        return False
    released = model.departure is not None and model.departure.released
    observed = model.policy.contention is Contention.OBSERVE
    return not (model.missing or released or observed or refusal(model, memory))


def _given_back_unseen(model: ModelMemory, memory: ServerMemory) -> bool:
    """Whether a model was given back, and no look has shown yet what came of it."""
    touched, good = model.touched, memory.good
    return model.given_back and touched is not None and good is not None and good < touched


def _reconnect_after_s(memory: ServerMemory) -> float:
    if memory.failure in HOPELESS:
        return RECONNECT_MOST_S
    tries = memory.failures - (DOWN_AFTER if memory.state is ServerState.DOWN else 1)
    return min(RECONNECT_FIRST_S * 2.0 ** max(min(tries, 10), 0), RECONNECT_MOST_S)
