"""What the day's record must not show. Most rules ask only the server's own record."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ollama_keeper.core.policy import Policy, Repair
from ollama_keeper.simulator.history import Load, Request, Unload
from tests.campaign.day import Record, Sample
from tests.kit.checks import LOADS, keeping_requests, only_allowed_requests, ours
from tests.kit.checks import Evidence as Asked
from tests.kit.keeper import US

HOUR_S = 3_600.0
FAILURES_AN_HOUR = 12
RELOADS_A_DAY = 2
FAILED = frozenset({"crash", "out_of_memory", "stall"})
IDLE_TEST_S = 1.0
LOOK_TIMEOUT_S = 15.0
SETTLED_S = 5.0
HEAL_LIMIT_S = 1_800.0
SHOWN = frozenset({"ready", "degraded"})
PASSING = frozenset({"queued", "loading", "cold", "unknown"})
RESIDENCY = frozenset({"model.ready", "model.degraded", "model.lost"})
LOOK_LAG_S = 20.0
HUNG, MOVES_AGAIN = "server.scheduler_hung", ("server.recovered", "server.restarted", "keeper.started")
ON_ITS_WAY_S = 0.001  # an answer of this very instant may not have been read yet


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that was broken, when, and how."""

    rule: str
    at: float
    what: str

    def __str__(self) -> str:
        hours, rest = divmod(self.at, HOUR_S)
        return f"{int(hours):02}:{int(rest // 60):02}:{rest % 60:06.3f} {self.rule}: {self.what}"


class Evidence:
    """A record, and what several rules ask of it."""

    def __init__(self, record: Record) -> None:
        self.record, self.history = record, record.history

    @cached_property
    def looks(self) -> list[float]:
        """Ends of our good looks."""
        looks = ours(self.history, "/api/ps")
        return sorted(look.ended for look in looks if look.status == 200 and look.ended is not None)

    @cached_property
    def stays(self) -> dict[str, list[tuple[float, float]]]:
        """Spans in which weights were loaded, by their key."""
        ends: dict[str, list[float]] = defaultdict(list)
        for gone in self.history.all_unloads:
            ends[gone.key].append(gone.at)
        stays: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for load in self.history.all_loads:
            if load.outcome == "loaded" and load.end is not None:
                end = next((at for at in ends[load.key] if at >= load.end), float("inf"))
                stays[load.key].append((load.end, end))
        return stays

    def look_before(self, at: float) -> float | None:
        """When our last good look before a moment ended."""
        index = bisect_right(self.looks, at)
        return self.looks[index - 1] if index else None

    def listed(self, request: Request) -> bool:
        """Whether the last good look before a request showed its model, with and without one of that very instant."""
        looks = {self.look_before(request.at - ON_ITS_WAY_S), self.look_before(request.at)}
        return all(look is not None and self.loaded_at(request.model or "", look) for look in looks)

    def loaded_at(self, name: str, at: float) -> bool:
        """Whether the weights of a name were loaded at a moment."""
        return any(start <= at < end for start, end in self.stays[self.key(name)])

    def key(self, name: str) -> str:
        """Of the weights of a name."""
        return self.record.keys.get(name) or self.record.keys.get(f"{name}:latest", name)

    def policies(self, at: float) -> dict[str, Policy]:
        """The wishes in force at a moment, by the key of the weights."""
        wishes = [wishes for since, wishes in self.record.wishes if since <= at]
        return {self.key(policy.model): policy for policy in (wishes[-1] if wishes else ())}

    def stopping(self, at: float) -> bool:
        """Whether the keeper was stopping, or not at work."""
        return any(start <= at <= end for start, end in self.record.away) or at >= self.record.scene.ends_s

    def hung(self, at: float) -> bool:
        """Whether the keeper told that the server's scheduler hangs (#17408), which nothing of ours mends."""
        told = [change.event for since, change in self.record.told.changes if since <= at]
        return next((event == HUNG for event in reversed(told) if event in {HUNG, *MOVES_AGAIN}), False)

    def loads(self) -> list[Load]:
        """Starts of children on our account."""
        return [load for load in self.history.all_loads if load.who.split("/")[0] == US]


Rule = Callable[[Evidence], Iterable[Breach]]


def no_token(evidence: Evidence) -> Iterable[Breach]:
    """No probe was asked for, so no token is ours."""
    for request in ours(evidence.history):
        if request.tokens:
            yield Breach("no token", request.at, f"{request.tokens} for {request.model}")


def no_aborted_load(evidence: Evidence) -> Iterable[Breach]:
    """A load of ours is aborted only by a stop that outlasts its grace, or by `load_timeout`."""
    limits = {key: policy.load_timeout_s for key, policy in evidence.policies(float("inf")).items()}
    asked = {request.id: request.at for request in ours(evidence.history)}
    for load in evidence.loads():
        if load.outcome != "aborted" or load.end is None or evidence.stopping(load.end):
            continue
        if load.end - asked.get(load.request, load.start) < limits.get(load.key, 1_800.0):
            yield Breach("no aborted load", load.end, f"{load.model}, {load.end - load.start:.1f} s after its start")


def no_reload(evidence: Evidence) -> Iterable[Breach]:
    """No live runner goes for a request of ours but where `repair` asks, or twice a model where no look can tell."""
    times: Counter[str] = Counter()
    for load in evidence.loads():
        policy = evidence.policies(load.start).get(load.key)
        if not load.reload or load.reload in {"child_dead", "child_wedged"}:
            continue
        if policy is not None and policy.repair is Repair.RELOAD:
            continue
        times[load.key] += 1
        if times[load.key] > RELOADS_A_DAY or _was_seen(evidence, load):
            yield Breach("no reload of a live runner", load.start, f"{load.model} for {load.reload}")


def _was_seen(evidence: Evidence, reload: Load) -> bool:
    """Whether a look showed, before our request was sent, the load of somebody else that it undoes."""
    asked = next((one.at for one in evidence.history.all_requests if one.id == reload.request), reload.start)
    before = [
        load
        for load in evidence.history.all_loads
        if load.key == reload.key and load.outcome == "loaded" and load.end is not None and load.end < asked
    ]
    look = evidence.look_before(asked)
    if not before or look is None:
        return False
    last = before[-1]
    ended = last.end or 0.0
    gone = any(one.key == reload.key and ended < one.at < asked for one in evidence.history.all_unloads)
    return last.who.split("/")[0] != US and ended < look - SETTLED_S and not gone


def few_failed_loads(evidence: Evidence) -> Iterable[Breach]:
    """At most 12 loads of ours fail in any hour."""
    failed = sorted({load.request: load.start for load in evidence.loads() if load.outcome in FAILED}.values())
    for first, last in zip(failed, failed[FAILURES_AN_HOUR:], strict=False):
        if last - first < HOUR_S:
            yield Breach("at most 12 failed loads an hour", last, f"{FAILURES_AN_HOUR + 1} since {first:.0f} s")


def no_better_evicted_twice(evidence: Evidence) -> Iterable[Breach]:
    """A wanted model goes for our load of a lesser one at most once, until something else changes (CONTRACT 8, full).

    What changes: a model leaves on somebody else's account, the server restarts, the wishes change.
    """
    costs: Counter[str] = Counter()
    wishes = evidence.record.wishes[0][1] if evidence.record.wishes else ()
    for gone in evidence.history.all_unloads:
        now = next((some for since, some in reversed(evidence.record.wishes) if since <= gone.at), wishes)
        if now is not wishes or not _by_us(gone):
            costs, wishes = Counter(), now
        if _by_us(gone) and _is_better(evidence, gone):
            costs[gone.key] += 1
            if costs[gone.key] > 1:
                yield Breach("no better model evicted twice", gone.at, f"{gone.model} by {gone.cause}")


def _by_us(gone: Unload) -> bool:
    return gone.by.split("/")[0] == US and gone.cause in {"evicted", "memory_sweep", "reload"}


def _is_better(evidence: Evidence, gone: Unload) -> bool:
    """Whether it was wanted more than the model that we were loading when it went."""
    wishes = evidence.policies(gone.at)
    loser = wishes.get(gone.key)
    asked = [
        request
        for request in ours(evidence.history)
        if request.path in LOADS and request.at <= gone.at and (request.ended is None or request.ended >= gone.at)
    ]
    winners = [wishes.get(evidence.key(request.model or "")) for request in asked]
    return loser is not None and any(winner is not None and loser.rank < winner.rank for winner in winners)


def one_load_open(evidence: Evidence) -> Iterable[Breach]:
    """No two warms of ours are open at once: what carries a keep_alive, but for an unload."""
    warms = keeping_requests(evidence.history)
    for one, other in pairwise(warms):
        if one.ended is None or other.at < one.ended:
            yield Breach("never two open loads", other.at, f"{other.model} beside {one.model}")


def only_allowed(evidence: Evidence) -> Iterable[Breach]:
    """Nothing but the calls of CONTRACT; no warm of what the look before listed, without an idle test."""
    for told in only_allowed_requests(Asked(evidence.history)):
        if "tokens" not in told:
            yield Breach("only allowed requests", 0.0, told)
    touches = [request for request in ours(evidence.history) if request.path in LOADS]
    for request in keeping_requests(evidence.history):
        if evidence.listed(request) and not _after_idle_test(touches, request):
            yield Breach("only allowed requests", request.at, f"a warm of {request.model}, which a look listed")


def _after_idle_test(touches: list[Request], request: Request) -> bool:
    return any(
        one.model == request.model
        and "keep_alive" not in (one.body or {})
        and one.ended is not None
        and request.at - IDLE_TEST_S <= one.ended <= request.at
        for one in touches
    )


def nothing_shown_that_is_not(evidence: Evidence) -> Iterable[Breach]:
    """What is shown as ready is listed; a loss is shown within three intervals and the timeout of a look."""
    for sample in evidence.record.samples:
        policies = {policy.model: policy for policy in evidence.policies(sample.at).values()}
        for model, (state, _) in sample.states.items():
            if model in sample.listed or state not in SHOWN or model not in policies:
                continue
            since = _left(evidence, model, sample.at)
            limit_s = 3 * policies[model].interval_s + LOOK_TIMEOUT_S + SETTLED_S
            if sample.at - since > limit_s:
                yield Breach("every loss is seen", sample.at, f"{model} is shown as {state}, gone since {since:.0f} s")
                return


def _left(evidence: Evidence, model: str, at: float) -> float:
    key = evidence.key(model)
    return max((gone.at for gone in evidence.history.all_unloads if gone.key == key and gone.at <= at), default=0.0)


def every_loss_healed(evidence: Evidence) -> Iterable[Breach]:
    """What is absent is back soon, or its state tells why it is not; what passes by itself may not last."""
    since: dict[str, float] = {}
    for sample in evidence.record.samples:
        for model, (state, reason) in sample.states.items():
            waits = state in PASSING and reason not in {"released", "observed_only", "scheduler_hung", "server_down"}
            if model in sample.resident or not waits or not sample.up:
                since.pop(model, None)
            elif evidence.hung(sample.at):
                since[model] = sample.at
            elif sample.at - since.setdefault(model, sample.at) > HEAL_LIMIT_S:
                yield Breach("every loss is healed", sample.at, f"{model} is {state} ({reason}) for half an hour")
                return
    yield from _at_midnight(evidence)


def _at_midnight(evidence: Evidence) -> Iterable[Breach]:
    """Two quiet hours have passed: nothing is in passing any more."""
    last: Sample | None = evidence.record.samples[-1] if evidence.record.samples else None
    if last is None or last.at < evidence.record.scene.quiet_from_s:
        yield Breach("every loss is healed", evidence.record.scene.ends_s, "no keeper is at work")
        return
    for model, (state, reason) in last.states.items():
        if state in PASSING and reason not in {"released", "observed_only", "scheduler_hung"}:
            yield Breach("every loss is healed", last.at, f"{model} is still {state} ({reason}) at midnight")


def one_line_a_change(evidence: Evidence) -> Iterable[Breach]:
    """A state is told when it is entered, never again; a loss is told only where something left."""
    last: dict[str, str] = {}
    for at, change in evidence.record.told.changes:
        event, model = change.event, change.model
        if event == "keeper.started":
            last.clear()
        if model is not None and event == "model.released":  # and what is wanted again is told of anew
            last.pop(model, None)
        if model is None or event not in RESIDENCY:
            continue
        if last.get(model) == event and event != "model.degraded":
            yield Breach("one line a change", at, f"{event} of {model} told twice")
        last[model] = event
    yield from _false_losses(evidence)


def _false_losses(evidence: Evidence) -> Iterable[Breach]:
    before: dict[str, float] = {}
    for at, change in evidence.record.told.changes:
        if change.event != "model.lost" or change.model is None:
            continue
        key, since = evidence.key(change.model), before.get(change.model, 0.0) - LOOK_LAG_S
        if not any(gone.key == key and since <= gone.at <= at for gone in evidence.history.all_unloads):
            yield Breach("one line a change", at, f"{change.model} was told as lost, and nothing had left")
        before[change.model] = at


def nothing_broke(evidence: Evidence) -> Iterable[Breach]:
    """No part of the keeper failed."""
    for at, change in evidence.record.told.changes:
        if change.event in {"check.failed", "loop.stalled"}:
            yield Breach("nothing breaks", at, repr(change))
    for trouble in (*evidence.record.trouble, *evidence.record.told.messages):
        yield Breach("nothing breaks", evidence.record.scene.ends_s, trouble)


RULES: tuple[Rule, ...] = (
    no_token,
    no_aborted_load,
    no_reload,
    few_failed_loads,
    no_better_evicted_twice,
    one_load_open,
    only_allowed,
    nothing_shown_that_is_not,
    every_loss_healed,
    one_line_a_change,
    nothing_broke,
)


def breaches(record: Record) -> list[Breach]:
    """All that a day's record shows and must not, in order of time."""
    evidence = Evidence(record)
    return sorted((breach for rule in RULES for breach in rule(evidence)), key=lambda breach: breach.at)
