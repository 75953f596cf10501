"""What clients waited for: requests that met a model which was not there, for how long, and why it was not.

A wait lasts from a request until it has its runner, by the server's own `load_duration`; what it waits behind others on
that runner, or while the server itself does not answer, is none.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ollama_keeper.simulator.history import Load, Request, Unload
from ollama_keeper.simulator.simulator import CLIENT
from tests.campaign.day import Answer, Record
from tests.campaign.scene import Ask

COLD_FROM_S = 0.1  # a runner that is there is had within 3 ms
OK = 200
LOAD_FAILED = frozenset({"crash", "out_of_memory", "stall"})
NO_LOAD = "it waited for the server's scheduler alone"
FIRST_USE = "nobody had loaded it yet"
RELOADS = {"num_ctx": "asked for with another context", "child_dead": "its process was dead"}
CAUSES = {
    "expired": "its keep_alive had run out",
    "keep_alive_0": "a client had unloaded it (keep_alive 0)",
    "unload": "a person had stopped it",
    "restart": "the server had restarted",
    "runtime_oom": "out of memory",
    "memory_sweep": "out of memory",
    "load_failed": "its load had failed",
    "reload": "asked for with another context",
}


@dataclass(frozen=True, slots=True)
class Wait:
    """One client's request.

    Attributes:
        wanted: whether its model is in the configuration all day.
        answered: whether the server gave an answer at all.
        wait_s: until it had its runner; 0.0 where that was there.
        slot_s: behind others on the runner.
        why: the model was not there; empty where it was.
        shown: what the keeper last showed of the model before the request, with its reason; empty without a keeper.
    """

    ask: Ask
    wanted: bool
    answered: bool
    wait_s: float
    slot_s: float
    why: str
    shown: str

    @property
    def cold(self) -> bool:
        """Whether it met a model that was not there."""
        return bool(self.why)


def waits(record: Record) -> list[Wait]:
    """Each client's request of a day, in order."""
    requests = [one for one in record.history.all_requests if one.who == CLIENT]
    triples = zip(record.scene.asks, requests, record.answers, strict=True)
    return [_wait(record, ask, request, answer) for ask, request, answer in triples]


def _wait(record: Record, ask: Ask, request: Request, answer: Answer) -> Wait:
    status, raw = answer
    said: Mapping[str, Any] = json.loads(raw) if status == OK else {}
    until = request.at + said["load_duration"] / 1e9 if said else request.ended or request.at
    failed = any(load.request == request.id and load.outcome in LOAD_FAILED for load in record.history.all_loads)
    wait_s = until - request.at - _frozen_s(record, request.at, until) if said or failed else 0.0
    cold = wait_s >= COLD_FROM_S
    why = _why(record, request) if cold else ""
    shown = _shown(record, ask) if cold else ""
    return Wait(ask, ask.model in record.scene.wanted, status != 0, wait_s if cold else 0.0, _slot_s(said), why, shown)


def _shown(record: Record, ask: Ask) -> str:
    index = bisect_right(record.samples, ask.at, key=lambda sample: sample.at)
    state, reason = record.samples[index - 1].states.get(ask.model, ("", "")) if index else ("", "")
    return f"{state} ({reason})" if reason else state


def _slot_s(said: Mapping[str, Any]) -> float:
    """An embedder tells too little; its answers are short."""
    if "eval_duration" not in said:
        return 0.0
    parts = said["load_duration"] + said["prompt_eval_duration"] + said["eval_duration"]
    return max(float(said["total_duration"] - parts) / 1e9, 0.0)


def _frozen_s(record: Record, start: float, end: float) -> float:
    """Seconds of a span in which the server answered nobody."""
    return sum(max(min(end, until) - max(start, since), 0.0) for since, until in _frozen(record))


def _frozen(record: Record) -> Iterator[tuple[float, float]]:
    for mishap in record.scene.mishaps:
        if mishap.name == "frozen":
            yield mishap.at, mishap.at + mishap.given["until_s"]
        if mishap.name == "restart":
            up = mishap.at + mishap.given["down_s"]
            yield up, up + mishap.given["starting_s"]


# --- why --------------------------------------------------------------------------------------------------------------


def _why(record: Record, request: Request) -> str:
    history, key = record.history, record.keys[request.model or ""]
    own = next((load for load in history.all_loads if load.request == request.id), None)
    if own is not None and own.reload:
        return RELOADS.get(own.reload, own.reload)
    under_way = _under_way(history.all_loads, key, request)
    gone = [one for one in history.all_unloads if one.key == key and one.at <= request.at + COLD_FROM_S]
    if own is None and under_way is None:
        return NO_LOAD
    if own is None and under_way is not None and under_way.reload:
        return RELOADS.get(under_way.reload, under_way.reload)
    return _cause(gone[-1]) if gone else FIRST_USE


def _under_way(loads: list[Load], key: str, request: Request) -> Load | None:
    end = request.ended or float("inf")
    of_it = (load for load in loads if load.key == key)
    return next((load for load in of_it if load.start < end and (load.end or end) > request.at), None)


def _cause(gone: Unload) -> str:
    if gone.cause == "evicted":
        return "pushed out by a client's load" if gone.by == CLIENT else "pushed out by a load ahead of need"
    return CAUSES.get(gone.cause, gone.cause)
