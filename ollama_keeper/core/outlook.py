"""What the keeper does next with a model by itself, and when, as far as that is known now.

For people to look at: nothing is decided by it. Whatever happens on the server before may change it.
"""

from enum import StrEnum
from typing import NamedTuple

from ollama_keeper.core.decide import Act, Why, decide
from ollama_keeper.core.holds import holds, wants_load
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import IDLE_TEST_EVERY_S
from ollama_keeper.core.ownership import Claim, claim, lease_left_s, unused_in_s
from ollama_keeper.core.policy import OnExpire
from ollama_keeper.core.pulls import pulling, retry_at, to_be_pulled
from ollama_keeper.core.reasons import ServerState, State
from ollama_keeper.core.versions import fast_path
from ollama_keeper.core.wishes import Unwanted, ahead_s, not_to_be_kept


class Step(StrEnum):
    """What is done next."""

    WARM = "warm"
    PING = "ping"
    REPIN = "repin"
    PROBE = "probe"
    UNLOAD = "unload"
    RESUME = "resume"
    PULL = "pull"


class Next(NamedTuple):
    """The next step.

    Attributes:
        in_s: seconds until then, at least; None when it waits for something that has no time, such as its turn.
    """

    step: Step
    in_s: float | None = None


_STEPS = {
    Act.PING: Step.PING,
    Act.IDLE_TEST: Step.PING,
    Act.KEEP: Step.REPIN,
    Act.PROBE: Step.PROBE,
    Act.UNLOAD: Step.UNLOAD,
}


def outlook(model: ModelMemory, memory: ServerMemory, now: Instant, *, state: State | None = None) -> Next | None:
    """The next step of a model; None when nothing is foreseen.

    Args:
        state: its state, where somebody has it already: most models are ready, and less is asked of them.
    """
    if state is State.READY and _rests(model, memory, now):
        return _ping(model, memory, now)
    decision = decide(model, memory, now)
    if decision.act in _STEPS:
        return Next(_STEPS[decision.act], 0.0)
    unwanted = not_to_be_kept(model, memory, now)
    if unwanted is not None:
        return _wanted_again(unwanted, model, now)
    if to_be_pulled(model, memory, now):
        return _pull(model, memory, now)
    if wants_load(model, memory):
        return _warm(model, memory, now)
    if decision.why in {Why.HANDS_OFF, Why.BUSY, Why.BEHIND_LOAD} and claim(model, memory, now) is not Claim.OURS:
        return _repin(decision.why, model, memory, now)
    return _ping(model, memory, now) if decision.why in {Why.NOT_DUE, Why.BEHIND_LOAD, Why.BUSY} else None


def _rests(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    """Whether a ready model can be sent nothing but pings: as `decide`, without what no ready model has."""
    heard = memory.state is ServerState.UP and not memory.failures and not memory.silent and memory.hung is None
    if not heard or model.left_alone or model.pending is not None or not fast_path(memory.version):
        return False
    if memory.full is not None and memory.full.winner == model.model:  # it may have to make way
        return False
    return model.policy.probe_every_s is None and claim(model, memory, now) is Claim.OURS


def _wanted_again(unwanted: Unwanted, model: ModelMemory, now: Instant) -> Next | None:
    if unwanted.until is None:
        return None
    left_s = (unwanted.until - now.wall).total_seconds()
    if unwanted.state is State.OFF_HOURS:
        return Next(Step.WARM, max(left_s - ahead_s(model), 0.0))
    return Next(Step.RESUME, max(left_s, 0.0))


def _pull(model: ModelMemory, memory: ServerMemory, now: Instant) -> Next | None:
    """The pull after the wait that follows a failure; the warm that follows an open one has no time."""
    if pulling(memory) is model:
        return Next(Step.WARM)
    return Next(Step.PULL, max(retry_at(model, memory.server) - now.mono, 0.0) if pulling(memory) is None else None)


def _warm(model: ModelMemory, memory: ServerMemory, now: Instant) -> Next | None:
    """A warm once the last of its holds has ended; none where one ends only by an event."""
    ends = [hold.until for hold in holds(model, memory, now)]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None
    return Next(Step.WARM, max(*known, now.mono) - now.mono if known else None)


def _repin(why: Why, model: ModelMemory, memory: ServerMemory, now: Instant) -> Next | None:
    """Taking over a client's load, or setting its time again, once nobody uses it; none where it is left alone."""
    if why is Why.BUSY and model.idle_tested is not None:
        return Next(Step.REPIN, max(IDLE_TEST_EVERY_S - now.since(model.idle_tested), 0.0))
    unused_s = unused_in_s(model, memory, now) if why is Why.HANDS_OFF else None
    return None if unused_s is None else Next(Step.REPIN, unused_s)


def _ping(model: ModelMemory, memory: ServerMemory, now: Instant) -> Next | None:
    """The ping that is due next: after `ping_every`, for a lease at half of its time at the latest."""
    policy, listed = model.policy, model.listed
    if listed is None or (not policy.pins and policy.on_expire is OnExpire.RELEASE):
        return None
    dues: list[float] = []
    if policy.ping_every_s is not None and model.touched is not None:
        dues.append(policy.ping_every_s - now.since(model.touched))
    if policy.lease_s is not None:
        left_s = lease_left_s(model, memory, now)
        dues.append((memory.remaining_s(listed, now) if left_s is None else left_s) - policy.lease_s / 2)
    return Next(Step.PING, max(min(dues), 0.0)) if dues else None
