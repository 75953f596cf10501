"""`/history`: the last 24 hours of every model, for the strips of the page: stretches, losses, availability, events.

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
from ollama_keeper.core.reasons import Reason
from ollama_keeper.core.timeline import Share, Span, share_of, timeline
from ollama_keeper.store import Entry
from ollama_keeper.web.answers import problem
from ollama_keeper.web.escaped import as_json

VERSION = 1
DAY = timedelta(hours=24)
MONTH = timedelta(days=30)
EVENTS = 100
READ_EVENTS = 10_000
SPANS_OF_A_MODEL = 500
FRESH_S = 2.0
"""An answer of that age is given again; an older one too, up to `PATIENCE` times as long as the last took to make."""
PATIENCE = 20.0
MONTH_FRESH_S = 600.0

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
    """The route, and what it keeps."""

    def __init__(self, records: Records, now: Callable[[], Instant]) -> None:
        self._records = records
        self._now = now
        self._made: _Made | None = None
        self._turn = asyncio.Lock()
        self._month: tuple[Instant, dict[Model, float | None]] | None = None

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
        if self._month is None or began.since(self._month[0]) >= MONTH_FRESH_S:
            self._month = began, await asyncio.to_thread(self._shares, began.wall - MONTH, began.wall)
        body = await asyncio.to_thread(self._body, began.wall, self._month[1])
        ended = self._now()
        return _Made(body, ended, ended.since(began))

    def _shares(self, since: datetime, until: datetime) -> dict[Model, float | None]:
        spans = self._records.spans(since=since, until=until)
        return {model: _share(timeline(own, since, until)) for model, own in _by_model(spans)}

    def _body(self, now: datetime, month: dict[Model, float | None]) -> bytes:
        since = now - DAY
        entries = self._records.events(since=since, limit=READ_EVENTS)
        spans = self._records.spans(since=since, until=now)
        losses = _losses(entries)
        models = [
            _model(model, timeline(own, since, now), losses.get(model, []), month.get(model))
            for model, own in _by_model(spans)
        ]
        told = [entry for entry in entries if entry.level != "debug"][-EVENTS:]
        document = {"version": VERSION, "from": _seconds(since), "to": _seconds(now), "models": models}
        return as_json(document | {"events": [_event(entry) for entry in told]})


def _by_model(spans: Iterable[Span]) -> Iterable[tuple[Model, list[Span]]]:
    for model, own in groupby(spans, key=lambda span: (span.server, span.model)):
        yield model, list(own)


def _model(model: Model, spans: Sequence[Span], losses: list[dict[str, Any]], month: float | None) -> dict[str, Any]:
    """One model; a stretch is begin, end and state."""
    told = [[_seconds(span.begin), _seconds(span.end), span.state] for span in spans[-SPANS_OF_A_MODEL:]]
    server, name = model
    return {"server": server, "model": name, "spans": told, "losses": losses, "day": _share(spans), "days_30": month}


def _share(spans: Iterable[Span]) -> float | None:
    """Warm seconds by wanted ones; None where it was not wanted."""
    total = Share()
    for span in spans:
        total = total.and_(share_of(span))
    return None if total.share is None else round(total.share, 5)


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
