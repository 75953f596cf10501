"""`/history`: the last 24 hours of every model, for the strips of the page: stretches, losses, and the newest events.

It is read in a thread beside the loop, by one at a time, and kept: however many ask, the file is read once in a while
only, the more seldom the longer that takes. The answer is bounded in every direction.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.reasons import Reason
from ollama_keeper.core.states import state_of
from ollama_keeper.core.timeline import Span, timeline
from ollama_keeper.core.view import since
from ollama_keeper.store import Entry
from ollama_keeper.web.answers import problem
from ollama_keeper.web.escaped import as_json

VERSION = 1
DAY = timedelta(hours=24)
EVENTS = 100
READ_EVENTS = 10_000
SPANS_OF_A_MODEL = 500
FRESH_S = 2.0
"""An answer of that age is given again; an older one too, up to `PATIENCE` times as long as the last took to make."""
PATIENCE = 20.0

Model = tuple[str, str]


class Records(Protocol):
    """What has been written of events and stretches; both read a file, and may raise sqlite3.Error."""

    def events(self, *, since: datetime | None = None, limit: int = READ_EVENTS) -> list[Entry]:
        """The newest events, oldest first."""
        ...

    def spans(self, *, since: datetime | None = None, until: datetime | None = None) -> list[Span]:
        """The stretches that reach into the time, by server, model and begin."""
        ...


@dataclass(frozen=True, slots=True)
class _Made:
    """An answer, when it was made, and how long that took."""

    body: bytes
    at: Instant
    took_s: float

    def fresh(self, now: Instant) -> bool:
        """Whether it may be given again."""
        return now.since(self.at) < max(FRESH_S, PATIENCE * self.took_s)


class History:
    """The route, and what it keeps.

    Args:
        memories: what is known now: it goes on where the records end, for those are written seldom while all is well.
    """

    def __init__(
        self, records: Records, memories: Callable[[], Iterable[ServerMemory]], now: Callable[[], Instant]
    ) -> None:
        self._records = records
        self._memories = memories
        self._now = now
        self._made: _Made | None = None
        self._turn = asyncio.Lock()

    def route(self) -> Route:
        """Where it is asked."""
        return Route("/history", self.history)

    async def history(self, _: Request) -> Response:
        """The last 24 hours, as of a few seconds ago."""
        async with self._turn:
            if self._made is None or not self._made.fresh(self._now()):
                try:
                    self._made = await self._anew()
                except (sqlite3.Error, OSError):
                    return problem(503, "the history cannot be read", hint="state.failed in the log says why")
        return Response(self._made.body, media_type="application/json")

    async def _anew(self) -> _Made:
        began = self._now()
        present: list[Span] = []
        for memory in tuple(self._memories()):
            present += (_present(model, memory, began) for model in memory.models)
            await asyncio.sleep(0)  # others have their turn after each server
        body = await asyncio.to_thread(self._body, began.wall, present)
        ended = self._now()
        return _Made(body, ended, ended.since(began))

    def _body(self, now: datetime, present: Sequence[Span]) -> bytes:
        begin = now - DAY
        entries = self._records.events(since=begin, limit=READ_EVENTS)
        spans = self._records.spans(since=begin, until=now)
        losses = _losses(entries)
        past = _by_model(spans)
        models = [_model((*past.get(_of(one), ()), one), begin, losses.get(_of(one), [])) for one in present]
        told = [entry for entry in entries if entry.level != "debug"][-EVENTS:]
        document = {"version": VERSION, "from": _seconds(begin), "to": _seconds(now), "models": models}
        return as_json(document | {"events": [_event(entry) for entry in told]})


def _present(model: ModelMemory, memory: ServerMemory, now: Instant) -> Span:
    """How a model is, from when it came to be so until now."""
    state, _ = state_of(model, memory, now)
    return Span(state.value, None, None, since(model, memory, state).wall, now.wall, memory.server, model.model)


def _of(span: Span) -> Model:
    return span.server, span.model


def _by_model(spans: Iterable[Span]) -> dict[Model, list[Span]]:
    return {model: list(own) for model, own in groupby(spans, key=_of)}


def _model(spans: Sequence[Span], begin: datetime, losses: list[dict[str, Any]]) -> dict[str, Any]:
    """One model, the last of whose spans is the present one; a stretch is begin, end and state."""
    present = spans[-1]
    told: list[list[Any]] = []
    for span in timeline(spans, begin, present.end):
        if told and told[-1][2] == span.state:
            told[-1][1] = _seconds(span.end)
        else:
            told.append([_seconds(span.begin), _seconds(span.end), span.state])
    return {"server": present.server, "model": present.model, "spans": told[-SPANS_OF_A_MODEL:], "losses": losses}


def _losses(entries: Iterable[Entry]) -> dict[Model, list[dict[str, Any]]]:
    """What was lost, when and why; what was given back is no loss."""
    losses: dict[Model, list[dict[str, Any]]] = {}
    for entry in entries:
        if entry.event == "model.lost" and entry.fields.get("reason") != Reason.RELEASED:
            told = {name: entry.fields.get(name) for name in ("cause", "displaced_by")}
            losses.setdefault((entry.server or "", entry.model or ""), []).append({"at": _seconds(entry.ts), **told})
    return {model: each[-SPANS_OF_A_MODEL:] for model, each in losses.items()}


def _event(entry: Entry) -> dict[str, Any]:
    """An event in the form of the live ones, with what a page needs of it."""
    told = {"ts": entry.ts.isoformat(timespec="milliseconds"), "level": entry.level, "event": entry.event}
    return {**told, "server": entry.server, "model": entry.model, "hint": entry.fields.get("hint"), "text": entry.said}


def _seconds(at: datetime) -> float:
    return round(at.timestamp(), 1)
