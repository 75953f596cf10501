"""The demo in words: rows of models, what happened, figures, and the two lines at the end."""

from dataclasses import replace

from ollama_keeper.commands.demo_tally import Tally
from ollama_keeper.commands.demo_view import Kind, News, Row, Side
from ollama_keeper.core import changes as of
from ollama_keeper.core.changes import Change
from ollama_keeper.core.facts import Listed
from ollama_keeper.core.holds import holds, in_the_way
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.ownership import pinned, shares_our_load
from ollama_keeper.core.reasons import Cause, Reloaded, ServerState, State, StateReason
from ollama_keeper.core.states import state_of
from ollama_keeper.core.units import show_duration
from ollama_keeper.report.phrases import why
from ollama_keeper.report.words import sentence

DETAILS = {
    of.ModelLost: ("server", "state", "expires_at", "last_seen_s", "grace_s"),
    of.ModelReady: ("server", "cause", "size_bytes", "vram_bytes", "context_length"),
    of.ModelYielding: ("server", "since_s"),
    of.ModelReloaded: ("server", "context_length_before"),
}
"""What a short line does without; of other events of a model, the server."""
UNTOLD = (of.KeeperStarted, of.KeeperStopping, of.KeeperStopped, of.ConfigLoaded, of.KeeperSummary)
GOOD = (of.ModelReady, of.ModelRepinned, of.ServerUp, of.ServerRecovered, of.BreakerClosed)


def rows_of(memory: ServerMemory, now: Instant) -> tuple[Row, ...]:
    """The wanted models of a server in the order of their ranks, then its guests."""
    wanted = [_row(model, memory, now) for model in memory.models]
    guests = [
        Row(guest.listed.text, "guest", "somebody else's", _time_left(guest.listed, memory, now))
        for guest in memory.guests()
    ]
    return (*wanted, *guests)


def news_of(change: Change, at_s: float) -> News | None:
    """A change as a short line; None where it is nothing to look at."""
    if change.level == "debug" or isinstance(change, UNTOLD):
        return None
    kind: Kind = "good" if isinstance(change, GOOD) else "note" if change.level == "info" else "bad"
    kind = "note" if isinstance(change, of.WarmStarted) else kind
    return News(at_s, kind, sentence(_short(change)))


def side_of(tally: Tally, warmth: tuple[int, ...]) -> Side:
    """The figures of one server."""
    if not tally.watched_s:
        return Side()
    cold = f"{tally.cold_share:.0%}  ({show_duration(round(tally.cold_s))})"
    return Side((f"{tally.losses} / {tally.healed}", cold, f"{tally.waited} of {tally.asked}"), warmth)


def closing(kept: Tally, alone: Tally) -> tuple[str, str]:
    """What came of it, in two lines."""
    return f"with ollama-keeper  {_told(kept)}", f"without             {_told(alone)}"


def _told(tally: Tally) -> str:
    back = f"{tally.losses} lost, {tally.healed} back"
    return f"{back}; cold {tally.cold_share:.0%} of the time; {tally.waited} of {tally.asked} users waited"


# --- one model --------------------------------------------------------------------------------------------------------


def _row(model: ModelMemory, memory: ServerMemory, now: Instant) -> Row:
    state, reason = state_of(model, memory, now)
    return Row(model.model, state.value, _why(state, reason, model, memory), _until(state, model, memory, now=now))


def _why(state: State, reason: StateReason, model: ModelMemory, memory: ServerMemory) -> str:
    guest = in_the_way(model, memory)
    if state is State.YIELDING and guest is not None:
        return f"{guest.listed.text} is in use"
    if state is State.READY and memory.failures:
        return "as last seen: the server does not answer"
    if state is State.READY and model.listed is not None and not shares_our_load(model):
        return "a client loaded it"
    if state is State.UNKNOWN and memory.state is ServerState.WAITING:
        return "waiting for the server"
    return why(reason)


def _until(state: State, model: ModelMemory, memory: ServerMemory, *, now: Instant) -> str:
    """How long it stays, how long its load should still take, or when it is tried again."""
    if model.listed is not None:
        return _time_left(model.listed, memory, now)
    load = memory.opened(model.model)
    if load is not None and model.shortest_load_s is not None:
        return f"~{max(model.shortest_load_s - now.since(load.since), 0.0):.0f}s"
    held = () if state in {State.LOADING, State.QUEUED, State.UNKNOWN} else holds(model, memory, now)
    ends = [hold.until for hold in held if hold.until is not None]
    return f"{max(max(ends) - now.mono, 0.0):.0f}s" if ends else ""


def _time_left(listed: Listed, memory: ServerMemory, now: Instant) -> str:
    left_s = memory.remaining_s(listed, now)
    return "forever" if pinned(left_s) else f"{max(left_s, 0.0):.0f}s"


def _short(change: Change) -> Change:
    """The same with less; a server's own events keep its name."""
    drop = DETAILS.get(type(change), ("server",) if change.model else ())
    shorter: Change = replace(change, **dict.fromkeys(drop, None))
    if isinstance(shorter, of.ModelReady) and change.cause is Cause.FIRST_SEEN:
        return replace(shorter, outage_s=None)
    if isinstance(shorter, of.ModelReloaded) and change.reason is Reloaded.RUNNER_DIED:
        return replace(shorter, context_length=None)
    return shorter
