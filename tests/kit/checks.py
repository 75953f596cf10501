"""What must hold in every fault (FAULTS.md 1), each a function over the evidence that gives the breaches in words.

The truth is the simulator's record, never the keeper's own log; of the keeper only what it shows (states, output) and
what it holds (tasks, descriptors, threads, jobs) is asked.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from ollama_keeper.core.names import parse_name
from ollama_keeper.simulator.history import History, Load, Request, Unload

US = "ollama-keeper"
CANARY = "c4n4ry-t0ken-of-nobody"
LOADS = frozenset({"/api/generate", "/api/embed"})
ALLOWED = frozenset(
    {("GET", "/api/ps"), ("GET", "/api/version"), ("GET", "/api/tags"), ("POST", "/api/show")}
    | {("POST", path) for path in LOADS}
)
LOAD_FIELDS = frozenset({"model", "keep_alive", "options", "stream", "input"})
IDLE_TEST_S = 1.0  # what an idle test allows is sent within this time of its ping
UNLOAD = 0
POOLS = ("asyncio_", "resolver_", "state")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds; threads of bounded pools are not counted, for those begin as needed."""

    tasks: tuple[tuple[str, int], ...]
    descriptors: int
    threads: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is to ask after a fault.

    Attributes:
        history: of the simulated server.
        key_of: the weights that a name stands for.
        output: everything that the keeper told, whoever it told.
        footprints: pairs of what was held before and after.
        states: what the keeper shows, by model, at the end.
        resident: what is true, by model, at the end.
        alerts: those that arrived at a receiver, in order.
        aborts, reloads, probes: how many loads we may have aborted, live runners reloaded, tokens asked for.
    """

    history: History
    key_of: Callable[[str], str] = str
    output: str = ""
    footprints: tuple[tuple[Footprint, Footprint], ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    resident: Mapping[str, bool] = field(default_factory=dict)
    aborts: int = 0
    reloads: int = 0
    probes: int = 0
    alerts: tuple[Mapping[str, Any], ...] = ()


Check = Callable[[Evidence], list[str]]


# --- the checks -------------------------------------------------------------------------------------------------------


def one_warm_open(evidence: Evidence) -> list[str]:
    """At most one warm is open at once, so none is sent before the one before it has an outcome."""
    most = _most_open(keeping_requests(evidence.history))
    return [f"{most} warms were open at once"] if most > 1 else []


def one_look_open(evidence: Evidence) -> list[str]:
    """Looks never stack."""
    most = _most_open(ours(evidence.history, "/api/ps"))
    return [f"{most} looks were open at once"] if most > 1 else []


def no_warm_of_a_listed_model(evidence: Evidence) -> list[str]:
    """What the last look listed gets a keep_alive only after an idle test, or to be given back."""
    return [
        f"{request.model} was warmed at {request.at:.3f} though the look before listed it"
        for request in keeping_requests(evidence.history)
        if _was_listed(evidence, request) and not _after_idle_test(evidence.history, request)
    ]


def only_allowed_requests(evidence: Evidence) -> list[str]:
    """Nothing but the calls of CONTRACT, and no load that could generate a token."""
    asked = ours(evidence.history)
    paths = [f"{one.method} {one.path}" for one in asked if (one.method, one.path) not in ALLOWED]
    bodies = [
        f"{one.path} with {one.body}"
        for one in asked
        if one.path in LOADS and not _is_load_only(one) | _is_probe(one, evidence)
    ]
    tokens = evidence.history.tokens(who=US)
    return [*paths, *bodies, *([f"{tokens} tokens were generated"] if tokens > evidence.probes else [])]


def no_load_disturbed(evidence: Evidence) -> list[str]:
    """No load aborted and no live runner reloaded beyond what the row allows."""
    aborted, reloaded = evidence.history.aborted(who=US), evidence.history.reloads(who=US)
    return [
        *([f"{len(aborted)} loads were aborted: {aborted}"] if len(aborted) > evidence.aborts else []),
        *([f"{len(reloaded)} reloads: {reloaded}"] if len(reloaded) > evidence.reloads else []),
    ]


def nothing_left_behind(evidence: Evidence) -> list[str]:
    """Tasks, descriptors, threads and jobs are as many as before."""
    return [f"before {before}, after {after}" for before, after in evidence.footprints if before != after]


def no_secret_told(evidence: Evidence) -> list[str]:
    """The canary is in no output."""
    at = evidence.output.find(CANARY)
    return [f"told: {evidence.output[max(at - 80, 0) : at + 40]!r}"] if at >= 0 else []


def nothing_broke(evidence: Evidence) -> list[str]:
    """No part of the keeper failed, and nothing was left to asyncio's own handler."""
    marks = ("check.failed", "consumer.failed", "keeper.broken", "Traceback", "never retrieved", "never awaited")
    return [f"told: {mark}" for mark in marks if mark in evidence.output]


def states_are_true(evidence: Evidence) -> list[str]:
    """What is shown as ready is resident, and nothing else."""
    return [
        f"{model} is shown as {state}, and is {'' if evidence.resident[model] else 'not '}resident"
        for model, state in evidence.states.items()
        if (state in {"ready", "degraded"}) != evidence.resident[model]
    ]


def no_alert_twice(evidence: Evidence) -> list[str]:
    """No alert of one fingerprint fires again without its end between; repeats begin when the first did."""
    firing: dict[str, str] = {}
    found = []
    for alert in evidence.alerts:
        name, since = alert["fingerprint"], alert["startsAt"]
        if alert["status"] == "resolved":
            firing.pop(name, None)
        elif firing.setdefault(name, since) != since:
            found.append(f"{alert['labels']} fired at {firing[name]} and at {since}")
    return found


CHECKS: tuple[Check, ...] = (
    one_warm_open,
    one_look_open,
    no_warm_of_a_listed_model,
    only_allowed_requests,
    no_load_disturbed,
    nothing_left_behind,
    no_secret_told,
    nothing_broke,
    states_are_true,
    no_alert_twice,
)


def breaches(evidence: Evidence) -> dict[str, list[str]]:
    """What does not hold, by the name of the check; empty after a fault that was survived."""
    found = {check.__name__: check(evidence) for check in CHECKS}
    return {name: broken for name, broken in found.items() if broken}


# --- the record -------------------------------------------------------------------------------------------------------


def ours(history: History, path: str | None = None) -> list[Request]:
    """The keeper's requests."""
    return history.requests(path, who=US)


def keeping_requests(history: History) -> list[Request]:
    """Our warms, re-pins and take-overs: loads with a keep_alive that does not unload."""
    return [
        request
        for request in ours(history)
        if request.path in LOADS and (request.body or {}).get("keep_alive", UNLOAD) != UNLOAD
    ]


def gaps(requests: list[Request]) -> list[float]:
    """Seconds between the arrivals of requests."""
    return [later.at - earlier.at for earlier, later in pairwise(requests)]


def history_of(document: Mapping[str, Any]) -> History:
    """The record as another process tells it."""
    return History(
        [Request(**one) for one in document["requests"]],
        [Load(**one) for one in document["loads"]],
        [Unload(**one) for one in document["unloads"]],
    )


def keys_by_load(history: History) -> Callable[[str], str]:
    """The weights of a name, as far as loads under that name tell."""
    known = {parse_name(load.model): load.key for load in history.all_loads}
    return lambda name: known.get(parse_name(name), name)


# --- what is held -----------------------------------------------------------------------------------------------------


def footprint(jobs: int = 0) -> Footprint:
    """What this process holds now, in a running loop."""
    tasks = Counter(_kind(task) for task in asyncio.all_tasks() if task is not asyncio.current_task())
    threads = sum(not thread.name.startswith(POOLS) for thread in threading.enumerate())
    return Footprint(tuple(sorted(tasks.items())), descriptors("self"), threads, jobs)


def descriptors(process: int | str) -> int:
    """Open files of a process."""
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


# --- inside -----------------------------------------------------------------------------------------------------------


def _kind(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")


def _most_open(requests: list[Request]) -> int:
    edges = [(request.at, 1) for request in requests]
    edges += [(request.ended, -1) for request in requests if request.ended is not None]
    return max(accumulate(change for _, change in sorted(edges)), default=0)


def _is_load_only(request: Request) -> bool:
    body = request.body or {}
    return body.keys() <= LOAD_FIELDS and not body.get("input")


def _is_probe(request: Request, evidence: Evidence) -> bool:
    options = (request.body or {}).get("options")
    return evidence.probes > 0 and isinstance(options, dict) and options.get("num_predict") == 1


def _was_listed(evidence: Evidence, request: Request) -> bool:
    history, key = evidence.history, evidence.key_of(request.model or "")
    look = next((look for look in reversed(list(_answered_looks(history))) if _ended(look) <= request.at), None)
    return look is not None and _resident_at(history, key, _ended(look))


def _answered_looks(history: History) -> Iterator[Request]:
    return (look for look in ours(history, "/api/ps") if look.status == 200 and look.ended is not None)


def _ended(request: Request) -> float:
    return float("inf") if request.ended is None else request.ended


def _resident_at(history: History, key: str, at: float) -> bool:
    loaded = [load.end for load in history.all_loads if load.key == key and load.outcome == "loaded" and load.end]
    last = max((end for end in loaded if end <= at), default=None)
    if last is None:
        return False
    return not any(unload.key == key and last <= unload.at <= at for unload in history.all_unloads)


def _after_idle_test(history: History, request: Request) -> bool:
    return any(
        one.path in LOADS
        and one.model == request.model
        and "keep_alive" not in (one.body or {})
        and request.at - IDLE_TEST_S <= _ended(one) <= request.at
        for one in ours(history)
    )
