"""Drives the pure core through a story: facts at given seconds, and what was told of them.

No clock, no loop: `story.at(20).looks(...)`. What a server would list is written with `listed(...)`.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ollama_keeper.core.changes import Change
from ollama_keeper.core.decide import Decision, decide
from ollama_keeper.core.facts import (
    Answered,
    Configured,
    Described,
    Fact,
    Failed,
    IdleTested,
    Kind,
    Listed,
    LoadRequest,
    Looked,
    LookFailed,
    Opened,
    Pulled,
    Shown,
    Tagged,
    Versioned,
    VersionFailed,
)
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.learn import learn
from ollama_keeper.core.memory import ModelMemory, ServerMemory, fresh_memory
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.pace import to_describe
from ollama_keeper.core.policy import Policy, policy_for, ranked
from ollama_keeper.core.presence import strangers
from ollama_keeper.core.reasons import Cause, Failure, StateReason
from ollama_keeper.core.requests import warm_request
from ollama_keeper.core.states import state_of
from ollama_keeper.core.turn import next_load

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PIN_S = 9_223_372_036.0
GIB = 2**30


def instant(seconds: float) -> Instant:
    """The moment `seconds` after noon."""
    return Instant(1_000.0 + seconds, NOON + timedelta(seconds=seconds))


def digest_of(name: str) -> str:
    """A manifest digest that belongs to a name."""
    return f"digest-of-{parse_name(name)}"


def listed(
    name: str,
    expires_s: float = PIN_S,
    *,
    context: int | None = 4096,
    size: int = 5 * GIB,
    vram: int | None = None,
    digest: str | None = None,
) -> Listed:
    """An entry of `/api/ps` whose time ends `expires_s` after noon."""
    return Listed(
        name=parse_name(name),
        text=str(parse_name(name)),
        digest=digest or digest_of(name),
        size=size,
        size_vram=size if vram is None else vram,
        context_length=context,
        expires_at=NOON + timedelta(seconds=expires_s),
    )


def wanted(name: str, **wishes: object) -> Policy:
    """A policy: all defaults but `wishes`."""
    return replace(policy_for(name), **wishes)


@dataclass
class Story:
    """One server's memory, walked by facts.

    Attributes:
        pulled: digests that names mean by now, where that is not what is listed under them.
    """

    policies: tuple[Policy, ...]
    version: str = "0.33.0"
    seconds: float = 0.0
    kinds: dict[str, Shown] = field(default_factory=dict)
    pulled: dict[str, str] = field(default_factory=dict)
    told: list[Change] = field(default_factory=list)
    memory: ServerMemory = field(init=False)

    def __post_init__(self) -> None:
        self.memory = fresh_memory("gpu", instant(0))
        self.learns(Configured(ranked(self.policies)))

    @property
    def now(self) -> Instant:
        return instant(self.seconds)

    def at(self, seconds: float) -> "Story":
        """Moves to a moment."""
        assert seconds >= self.seconds, "a story goes forward"
        self.seconds = seconds
        return self

    def learns(self, fact: Fact) -> "Story":
        self.memory, changes = learn(self.memory, fact, self.now)
        self.told.extend(changes)
        return self

    def begins(self, *entries: Listed) -> "Story":
        """A server that answers, everything pulled and described."""
        self.learns(Versioned(self.version)).looks(*entries)
        return self.learns_what_is_pulled()

    def learns_what_is_pulled(self, *absent: str) -> "Story":
        names = [model.model for model in self.memory.models if model.model not in absent]
        self.learns(Tagged(tuple(Pulled(parse_name(name), digest_of(name)) for name in names)))
        for name in names:
            shown = self.kinds.get(name, Shown(Kind.COMPLETION, f"blob-of-{name}", trained_context=32_768))
            self.learns(Described(parse_name(name), digest_of(name), shown))
        return self

    def looks(self, *entries: Listed, reconnected: bool = False) -> "Story":
        return self.learns(Looked(tuple(entries), asked=self.now, reconnected=reconnected)).learns_of_guests()

    def learns_of_guests(self) -> "Story":
        """What the shell asks after a look: whether a guest is one of ours under another name."""
        if strangers(self.memory):
            ours = [Pulled(m.policy.name, m.pulled) for m in self.memory.models if m.pulled]
            guests = [Pulled(one.name, self.pulled.get(one.text, one.digest)) for one in strangers(self.memory)]
            self.learns(Tagged((*ours, *guests)))
        while (asked := to_describe(self.memory, self.now)) is not None:
            name, digest = asked
            shown = self.kinds.get(name, Shown(Kind.COMPLETION, f"blob-of-{name}", trained_context=32_768))
            self.learns(Described(parse_name(name), digest, shown))
        return self

    def looks_until(self, seconds: float, *entries: Listed, every: float = 15.0) -> "Story":
        """The same answer at each look up to a moment."""
        while self.seconds + every < seconds:
            self.at(self.seconds + every).looks(*entries)
        return self.at(seconds).looks(*entries)

    def fails_to_look(self, reason: Failure = Failure.CONNECT_REFUSED, times: int = 1) -> "Story":
        for _ in range(times):
            self.learns(LookFailed(reason))
        return self

    def fails_to_ask_version(self, reason: Failure = Failure.CONNECT_REFUSED) -> "Story":
        return self.learns(VersionFailed(reason))

    def warms(self, name: str, took_s: float = 4.0, *entries: Listed) -> "Story":
        """A warm of ours: sent, answered after `took_s`, and shown by the look after it."""
        model = self.model(name)
        request = warm_request(model)
        self.learns(Opened(request, model.departure.cause if model.departure else Cause.FIRST_SEEN))
        self.at(self.seconds + took_s).learns(Answered(request))
        return self.looks(*(entries or (listed(name, self.seconds + PIN_S),)))

    def opens_warm(self, name: str) -> LoadRequest:
        model = self.model(name)
        request = warm_request(model)
        self.learns(Opened(request, model.departure.cause if model.departure else Cause.FIRST_SEEN))
        return request

    def fails_to_warm(self, name: str, reason: Failure, took_s: float = 1.0) -> "Story":
        request = self.opens_warm(name)
        self.at(self.seconds + took_s)
        return self.learns(Failed(request, reason, 500))

    def sends(self, request: LoadRequest, took_s: float = 0.003) -> "Story":
        """A ping, re-pin or take-over of ours, answered."""
        self.learns(Opened(request))
        return self.at(self.seconds + took_s).learns(Answered(request))

    def finds_idle(self, name: str, *, idle: bool = True) -> "Story":
        return self.learns(IdleTested(name, idle=idle))

    # --- what is asked of it ------------------------------------------------------------------------------------------

    def model(self, name: str) -> ModelMemory:
        return self.memory.model(name)

    def decides(self, name: str) -> Decision:
        return decide(self.model(name), self.memory, self.now)

    def state(self, name: str) -> tuple[str, StateReason]:
        state, reason = state_of(self.model(name), self.memory, self.now)
        return state.value, reason

    def loads_next(self) -> str | None:
        return next_load(self.memory, self.now)

    def events(self, *prefixes: str) -> list[str]:
        """Names of the events told so far, those that begin with one of `prefixes`."""
        return [change.event for change in self.told if not prefixes or change.event.startswith(prefixes)]

    def last(self, event: str) -> Change:
        """The last event of a name."""
        return next(change for change in reversed(self.told) if change.event == event)
