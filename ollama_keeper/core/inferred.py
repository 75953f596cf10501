"""Settings of a server that no answer of it tells, as far as `/api/ps` lets conclude them.

A load that was given no keep_alive has `OLLAMA_KEEP_ALIVE`, five minutes where that is not set; only loads of others
show it, for ours say theirs. `OLLAMA_MAX_LOADED_MODELS` shows where a model had to go though there was room (OLLAMA.md
1, 4).
"""

from collections.abc import Iterator, Sequence

from ollama_keeper.core.facts import Listed
from ollama_keeper.core.finding import Finding, Severity
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, Present, ServerMemory
from ollama_keeper.core.numbers import TIME_SLACK_S
from ollama_keeper.core.ownership import Claim, claim, pinned
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.units import show_duration, show_size

USUAL_KEEP_ALIVE_S = 300.0
USUAL_LIMIT = 3  # models at once with one GPU or none, where OLLAMA_MAX_LOADED_MODELS is not set
A_HABIT = 2  # loads that are alike: one may be a client's wish, several are the server's


def settings(memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    """What is found of both."""
    yield from _of_keep_alive(memory, now)
    yield from _of_limit(memory)


# --- OLLAMA_KEEP_ALIVE ------------------------------------------------------------------------------------------------


def _of_keep_alive(memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    foreign = _of_others(memory, now)
    for_ever = pinned_by_others(memory, now)
    if for_ever and len(for_ever) == len(foreign) >= A_HABIT:
        yield Finding(
            Severity.NOTE,
            "keep_alive_forever",
            f"all that others have loaded is pinned: {_named(for_ever)}",
            "another keeper pins them, or OLLAMA_KEEP_ALIVE is likely -1 on the server: whatever anybody loads stays,"
            " until it is in the way",
            "if that is not wanted: see whether another keeper runs; else unset OLLAMA_KEEP_ALIVE there, and name the"
            " models that matter here",
            memory.server,
        )
        return
    ours = {model.listed for model in memory.models}
    guests = [listed for listed in for_ever if listed not in ours]  # of a kept model it is told there
    if guests:
        yield Finding(
            Severity.NOTE,
            "pinned_by_others",
            f"{_named(guests)} {'is' if len(guests) == 1 else 'are'} pinned, and not by us",
            "another keeper pins them, a client or a script; OLLAMA_KEEP_ALIVE=-1 on the server pins all that is"
            " loaded",
            "if that is not wanted: see whether another ollama-keeper runs, and what sends keep_alive -1; then ollama"
            " stop",
            memory.server,
        )
    yield from _of_long_leases(foreign, memory, now)


def _of_long_leases(foreign: Sequence[Present], memory: ServerMemory, now: Instant) -> Iterator[Finding]:
    given = {one.listed: given_s(one, memory, now) for one in foreign}
    long = [one for one, s in given.items() if s > USUAL_KEEP_ALIVE_S + TIME_SLACK_S and not pinned(s)]
    if not long:
        return
    by_server = len(long) == len(foreign) >= A_HABIT
    whose = "OLLAMA_KEEP_ALIVE is likely" if by_server else "a client asks for it, or OLLAMA_KEEP_ALIVE is"
    yield Finding(
        Severity.NOTE,
        "long_keep_alive",
        f"{_named(long)}: loaded by others, and kept for {show_duration(max(given[one] for one in long))} or more",
        f"{whose} longer than the usual 5m: so long they hold their memory, used or not",
        "if that is not wanted: unset OLLAMA_KEEP_ALIVE on the server, or see what sends keep_alive",
        memory.server,
    )


def pinned_by_others(memory: ServerMemory, now: Instant) -> list[Listed]:
    """What others have loaded for ever, whether they asked for that or it is the server's OLLAMA_KEEP_ALIVE."""
    return [one.listed for one in _of_others(memory, now) if pinned(memory.remaining_s(one.listed, now))]


def given_s(present: Present, memory: ServerMemory, now: Instant) -> float:
    """Seconds that a load was given at its last use, at least: to its end from when that was last seen to move."""
    return memory.remaining_s(present.listed, now) + now.since(present.moved)


def _of_others(memory: ServerMemory, now: Instant) -> list[Present]:
    """What others have loaded: guests, and kept models whose listed load is a client's."""
    kept = [model.present for model in memory.models if model.present and _clients(model, memory, now)]
    return [*memory.guests(), *kept]


def _clients(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    return claim(model, memory, now) in {Claim.CLIENT, Claim.IDLE_CLIENT}


def _named(listed: Sequence[Listed]) -> str:
    return ", ".join(one.text for one in listed)


# --- OLLAMA_MAX_LOADED_MODELS -----------------------------------------------------------------------------------------


def _of_limit(memory: ServerMemory) -> Iterator[Finding]:
    placed = [model for model in memory.models if not model.missing and refusal(model, memory) is None]
    if (limited := limit_shown(memory)) is not None:
        yield limited
    elif len(placed) > max(USUAL_LIMIT, len(memory.present)):
        yield Finding(
            Severity.NOTE,
            "many_models",
            f"{len(placed)} models are to be resident at once",
            f"Ollama holds {USUAL_LIMIT} a GPU, {USUAL_LIMIT} without one, where OLLAMA_MAX_LOADED_MODELS is not set",
            f"set OLLAMA_MAX_LOADED_MODELS={len(placed)} or more on the server, if it has fewer GPUs",
            memory.server,
        )


def limit_shown(memory: ServerMemory) -> Finding | None:
    """That a model had to go for their number, and not for memory, where that shows."""
    full, loaded = memory.full, len(memory.present)
    if full is None or full.sweep or not loaded:
        return None
    away = [model for model in memory.models if model.model in {full.winner, full.loser} and model.listed is None]
    if len(away) != 1:
        return None
    room = _room(memory, full.loser_size if away[0].model == full.loser else full.winner_size)
    if room is None and loaded != USUAL_LIMIT:
        return None
    usual = f"that many Ollama holds with one GPU or none, where it is not set; {loaded} models are loaded"
    return Finding(
        Severity.WARNING,
        "loaded_limit",
        f"loading {full.winner} cost {full.loser}, {room or f'with {loaded} models loaded'}",
        f"OLLAMA_MAX_LOADED_MODELS is likely {loaded} on the server{'' if room else f': {usual}'}",
        f"set OLLAMA_MAX_LOADED_MODELS={loaded + 1} or more there; or keep fewer",
        memory.server,
        away[0].model,
    )


def _room(memory: ServerMemory, size: int) -> str | None:
    """That the budget has room for what is loaded and `size` more; None where it has not, or is not known."""
    budget = memory.budget.memory if memory.budget else None
    taken = sum(one.listed.size for one in memory.present)
    if budget is None or not size or taken + size > budget:
        return None
    return f"though {show_size(taken)} of {show_size(budget)} are taken"
