"""Keepers without one of their rules: a walk that does not catch each of them proves nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ollama_keeper.core.decide import Act, Decision, Why, decide
from ollama_keeper.core.facts import Fact, Looked, LookFailed, Send
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.learn import learn
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.ownership import shares_our_load
from ollama_keeper.core.requests import keep_request, warm_request
from ollama_keeper.core.turn import next_load
from tests.worlds.events import Kind
from tests.worlds.keeper import Keeper, Learnt
from tests.worlds.scene import ROOM_FOR_ONE, ROOM_FOR_TWO, Scene


def without_the_idle_test() -> Keeper:
    """A shortened model is re-pinned at once, whoever uses it (#17408)."""

    def hasty(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
        decision = decide(model, memory, now)
        if decision.act is not Act.IDLE_TEST or model.record is None:
            return decision
        return replace(decision, act=Act.PING, request=keep_request(Send.REPIN, model, model.record.options))

    return Keeper(decide=hasty)


def that_sends_beside_a_load() -> Keeper:
    """A listed model is judged as if nothing were loading."""

    def heedless(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
        return decide(model, replace(memory, open=()), now)

    return Keeper(decide=heedless)


def that_takes_silence_for_absence() -> Keeper:
    """A look that fails is folded as one that shows nothing, and all that it lacks as free to be loaded."""

    def credulous(memory: ServerMemory, fact: Fact, now: Instant) -> Learnt:
        if not isinstance(fact, LookFailed):
            return learn(memory, fact, now)
        memory, changes = learn(memory, Looked(()), now)
        return replace(memory, gap=None), changes

    return Keeper(learn=credulous)


def that_forgets_that_the_server_is_full() -> Keeper:
    """A warm that cost a better model is tried again and again."""

    def forgetful(memory: ServerMemory, fact: Fact, now: Instant) -> Learnt:
        memory, changes = learn(memory, fact, now)
        return replace(memory, full=None, doubt=None), changes

    return Keeper(learn=forgetful)


def that_pings_with_its_next_options() -> Keeper:
    """A ping carries what the next warm would, not what the load got: it reloads."""

    def eager(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
        decision = decide(model, memory, now)
        if decision.act is Act.NOTHING and decision.why is Why.HANDS_OFF and model.listed is not None:
            ping = replace(warm_request(model), send=Send.PING, keep_alive=None)
            return Decision(Act.PING, Why.DUE, ping)
        return decision

    return Keeper(decide=eager)


def that_loads_a_listed_model() -> Keeper:
    """A client's load is replaced by our own."""

    def greedy(memory: ServerMemory, now: Instant) -> str | None:
        foreign = (model.model for model in memory.models if model.listed and not shares_our_load(model))
        return next_load(memory, now) or (None if memory.open else next(foreign, None))

    return Keeper(next_load=greedy)


def that_never_pings() -> Keeper:
    """A runner that died while it is listed is never found."""

    def quiet(model: ModelMemory, memory: ServerMemory, now: Instant) -> Decision:
        decision = decide(model, memory, now)
        return Decision(Act.NOTHING, decision.why) if decision.act is Act.PING else decision

    return Keeper(decide=quiet)


def that_leaves_an_unloaded_model_cold() -> Keeper:
    """What somebody unloaded is never loaded again."""

    def resigned(memory: ServerMemory, now: Instant) -> str | None:
        name = next_load(memory, now)
        gone = memory.model(name).departure if name else None
        return None if gone is not None and gone.grace_s else name

    return Keeper(next_load=resigned)


@dataclass(frozen=True)
class Control:
    """One such keeper, the scene and the trouble that lay it bare, and the rule by which it must be caught."""

    make: Callable[[], Keeper]
    rule: str
    kinds: tuple[Kind, ...] = ()
    scene: Scene = ROOM_FOR_TWO
    depth: int = 1


CONTROLS = {
    "no idle test": Control(without_the_idle_test, "no keep_alive without the idle test", (Kind.LEASE,)),
    "a ping beside a load": Control(that_sends_beside_a_load, "no ping beside a young load", (Kind.LEASE,)),
    "silence is absence": Control(
        that_takes_silence_for_absence, "never a warm for a listed model", (Kind.LOSE_LOOK,), depth=2
    ),
    "full is forgotten": Control(
        that_forgets_that_the_server_is_full, "no better model is evicted twice", scene=ROOM_FOR_ONE
    ),
    "a client's load is pinged": Control(
        that_pings_with_its_next_options, "nothing that CONTRACT 1 forbids", (Kind.OTHER,)
    ),
    "a listed model is loaded": Control(that_loads_a_listed_model, "never a warm for a listed model", (Kind.OTHER,)),
    "never a ping": Control(that_never_pings, "an undisturbed world becomes steady", (Kind.KILL,)),
    "unloaded for good": Control(
        that_leaves_an_unloaded_model_cold, "an undisturbed world becomes steady", (Kind.STOP,)
    ),
}
