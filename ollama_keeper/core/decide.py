"""`decide`: what one model is to be sent now. A value, with its reason, and no effect.

An absent model asks for nothing here: whose turn it is to load concerns the whole server (`turn.next_load`).
"""

from enum import StrEnum

from ollama_keeper.core.facts import LoadRequest, ProbeRequest, Send
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.makeway import goes, makes_way
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.numbers import IDLE_TEST_EVERY_S, PING_RETRY_S, YOUNG_LOAD_S
from ollama_keeper.core.ownership import Claim, claim, found_idle, lease_left_s, pulled_anew
from ollama_keeper.core.policy import OnExpire, Options
from ollama_keeper.core.probes import probe_due, probe_request
from ollama_keeper.core.reasons import ServerState
from ollama_keeper.core.record import record
from ollama_keeper.core.refusals import refusal
from ollama_keeper.core.release import release
from ollama_keeper.core.repair import repair, same_weights
from ollama_keeper.core.requests import keep_request, ping_request, takeover_options, unload_request
from ollama_keeper.core.versions import fast_path
from ollama_keeper.core.wishes import not_to_be_kept


class Act(StrEnum):
    """What is to be done for a listed model."""

    NOTHING = "nothing"
    PING = "ping"
    IDLE_TEST = "idle_test"
    KEEP = "keep"
    UNLOAD = "unload"
    PROBE = "probe"


class Why(StrEnum):
    """Why a decision is what it is; told at debug level and by tests."""

    NOT_ANSWERED = "the server has not answered lately"
    NOT_TO_BE_KEPT = "it is not to be kept now"
    OLD_SERVER = "a ping would queue behind loads on a server this old"
    BEHIND_LOAD = "a load of ours is open"
    NOT_LISTED = "it is not listed"
    LEFT_ALONE = "two of our requests were reloads: left alone until the configuration changes"
    OTHER_DIGEST = "other weights are pulled than those that are loaded"
    HANDS_OFF = "a client's load in use, or an expiry that has passed"
    UNSAFE_OPTIONS = "no options are known with which it would not be reloaded"
    BUSY = "it was in use at the last idle test"
    NOT_DUE = "nothing is due"
    DUE = "a ping is due"
    HALF_TIME = "half of its lease is over"
    SHORTENED = "a client shortened its time"
    IDLE_LEASE = "a client's lease that nobody uses"
    MAKES_WAY = "it cost a better model its place, which comes back beside others"
    REPAIR = "it is not as wanted, or its scheduler hangs, and repair: reload"
    PROBE_DUE = "a probe is due"
    GIVEN_BACK = "it is not to be kept, and is given back"


@record
class Decision:
    """What to do for one model, and why; `request` is set for everything that is sent."""

    act: Act
    why: Why
    request: LoadRequest | None = None
    probe: ProbeRequest | None = None


_NOTHING = {why: Decision(Act.NOTHING, why) for why in Why}


def decide(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
    """What the model is to be sent now.

    1. The server has not answered lately: nothing; silence says nothing of the model.
    2. Not to be kept now (paused, off hours, over budget), or any more: given back, after the idle test if it was
       pinned. Refused, missing, or left alone after two reloads of ours: nothing.
    3. A load of ours is open: no re-pin; no ping beside a young one (CONTRACT 1).
    4. Not listed: nothing here; `next_load` decides.
    5. Listed, pulled anew: no ping, which might load the new weights beside (OLLAMA.md 5); with `repair: reload` an
       unload, where the weights are the same; else `next_load` decides.
    6. Ours by record, and to be repaired: idle test, then an unload. Its time shortened: idle test, then re-pin. Never
       on a past expiry, which is somebody's stop.
    7. Ours, and in the way of better models that its load had cost their places: idle test, then an unload. Else a
       ping when due, for a lease at half of its time; a probe when due, after the idle test.
    8. A client's: watched; once nobody uses it, taken over after the idle test.
    """
    held = _not_now(model, memory, now)  # (1) (2) (3) (4)
    if held is not None:
        return _NOTHING[held]
    if pulled_anew(model):  # (5)
        return _pulled_anew(model, memory, now)
    if memory.is_leaving(model) or not_to_be_kept(model, memory, now):  # (2)
        return _give_back(model, memory, now)
    match claim(model, memory, now):
        case Claim.SHORTENED:  # (6)
            return _keep(Send.REPIN, model, memory, now=now, options=model.record.options if model.record else None)
        case Claim.OURS:  # (6) (7)
            return _ours(model, memory, now)
        case Claim.IDLE_CLIENT if model.listed is not None:  # (8)
            options = takeover_options(model, memory, model.listed)
            return _keep(Send.TAKEOVER, model, memory, now=now, options=options)
        case _:
            return _NOTHING[Why.HANDS_OFF]


def any_ping_due(memory: ServerMemory, now: Instant) -> bool:
    """Whether something would be sent, so that `/api/tags` is asked before it."""
    return any(decide(model, memory, now).act is not Act.NOTHING for model in memory.models)


def _not_now(model: ModelMemory, memory: ServerMemory, now: Instant) -> Why | None:
    if memory.state is not ServerState.UP or memory.failures or memory.silent:
        return Why.NOT_ANSWERED
    if model.missing or refusal(model, memory):
        return Why.NOT_TO_BE_KEPT
    if model.left_alone:
        return Why.LEFT_ALONE
    if not fast_path(memory.version):
        return Why.OLD_SERVER
    if _beside_load(model, memory, now):
        return Why.BEHIND_LOAD
    return Why.NOT_LISTED if model.listed is None else None


def _pulled_anew(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
    """No idle test here, for its ping would reload; an unload hangs nothing, and waits for whoever uses the model."""
    unload = repair(model, memory, now) if same_weights(model, memory) and not model.unloading else None
    if unload is None or not_to_be_kept(model, memory, now):
        return _NOTHING[Why.OTHER_DIGEST]
    return Decision(Act.UNLOAD, Why.REPAIR, unload)


def _give_back(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
    request = release(model, memory, now)
    if request is None or _ping_just_failed(model, now):
        return _NOTHING[Why.NOT_TO_BE_KEPT]
    if request.send is Send.UNLOAD:
        return Decision(Act.UNLOAD, Why.GIVEN_BACK, request)
    return _once_idle(request, model, memory, now=now, why=Why.GIVEN_BACK)


def _beside_load(model: ModelMemory, memory: ServerMemory, now: Instant) -> bool:
    mine = memory.opened(model.model) is not None or model.pending is not None
    return mine or any(load.counts(now) and now.since(load.since) < YOUNG_LOAD_S for load in memory.open)


def _keep(send: Send, model: ModelMemory, memory: ServerMemory, *, now: Instant, options: Options | None) -> Decision:
    why = Why.SHORTENED if send is Send.REPIN else Why.IDLE_LEASE
    if model.policy.on_expire is OnExpire.RELEASE and not model.policy.pins:
        return _NOTHING[Why.HANDS_OFF]
    if options is None:
        return _NOTHING[Why.UNSAFE_OPTIONS]
    return _once_idle(keep_request(send, model, options), model, memory, now=now, why=why)


def _once_idle(request: LoadRequest, model: ModelMemory, memory: ServerMemory, *, now: Instant, why: Why) -> Decision:
    """A request with a keep_alive, or an unload, once the idle test said idle; the test, if not made lately."""
    frees = memory.hung is not None and request.send is Send.UNLOAD
    stands = memory.hung is not None or memory.abandoned is not None  # a keep_alive would take away what may free it
    if not frees and (stands or any(load.counts(now) for load in memory.open)):
        return _NOTHING[Why.BEHIND_LOAD]
    if found_idle(model, now):
        return Decision(Act.UNLOAD if request.send is Send.UNLOAD else Act.KEEP, why, request)
    if model.idle_tested is not None and now.since(model.idle_tested) < IDLE_TEST_EVERY_S:
        return _NOTHING[Why.BUSY]
    options = model.record.options if request.send is Send.UNLOAD and model.record else request.options
    return Decision(Act.IDLE_TEST, why, ping_request(model, options))


def _ours(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
    if goes(model, now):
        return _NOTHING[Why.MAKES_WAY]
    if makes_way(model, memory, now) is not None and not _ping_just_failed(model, now):
        return _once_idle(unload_request(model), model, memory, now=now, why=Why.MAKES_WAY)
    unload = repair(model, memory, now)
    if unload is not None and not model.unloading:
        return _once_idle(unload, model, memory, now=now, why=Why.REPAIR)
    ping = _ping(model, memory, now)
    if ping.act is not Act.NOTHING or not probe_due(model, now) or _ping_just_failed(model, now):
        return ping
    probe, record = probe_request(model), model.record
    if probe is None or record is None:
        return ping
    test = _once_idle(ping_request(model, record.options), model, memory, now=now, why=Why.PROBE_DUE)
    return Decision(Act.PROBE, Why.PROBE_DUE, probe=probe) if test.act is Act.KEEP else test


def _ping_just_failed(model: ModelMemory, now: Instant) -> bool:
    return model.ping_failed is not None and now.since(model.ping_failed) < PING_RETRY_S


def _ping(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
    policy, record = model.policy, model.record
    if record is None or (not policy.pins and policy.on_expire is OnExpire.RELEASE):
        return _NOTHING[Why.NOT_DUE]
    if _ping_just_failed(model, now):
        return _NOTHING[Why.NOT_DUE]
    left_s = lease_left_s(model, memory, now)
    if policy.lease_s is not None and left_s is not None and left_s <= policy.lease_s / 2:
        return Decision(Act.PING, Why.HALF_TIME, ping_request(model, record.options))
    if policy.ping_every_s is None:
        return _NOTHING[Why.NOT_DUE]
    if model.touched is not None and now.since(model.touched) < policy.ping_every_s:
        return _NOTHING[Why.NOT_DUE]
    return Decision(Act.PING, Why.DUE, ping_request(model, record.options))
