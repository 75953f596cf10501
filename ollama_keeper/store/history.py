"""The history in the store: its records, how they are written, kept within bounds, and read.

Instants are kept as seconds since 1970 and read as aware UTC. All functions that write take an open transaction.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ollama_keeper.core.record import record
from ollama_keeper.core.timeline import Availability, Span, availability, timeline
from ollama_keeper.store.file import SCHEMA, connected, newer, there, version_of

DAYS = 30
LARGEST = 64 * 1024 * 1024  # bytes of the whole file
LARGEST_FIELDS = 4 * 1024
TENTHS = 60  # taken out one after the other, they leave 0.2 % of what was there
HOUR_S = 3_600


@record
class Entry:
    """One event as it was told.

    Attributes:
        fields: those of its line beside the four named here and `server` and `model`, as JSON has them.
        said: the sentence for people.
        id: grows with each event of this file; 0 before it is written.
    """

    ts: datetime
    event: str
    level: str
    server: str | None
    model: str | None
    fields: Mapping[str, Any]
    said: str = ""
    id: int = 0


@record
class Use:
    """How long a model was used within one hour, as far as looks show it.

    Attributes:
        hour: when it begins; hours are those of UTC.
        kind: `pin` or `lease`, as it was kept, or `guest`.
        minutes: in which a look showed that a client had used it; what is written adds to what is there.
        size: in memory, bytes; None where unknown.
    """

    server: str
    model: str
    hour: datetime
    kind: str
    minutes: int
    size: int | None = None


@record
class Resumed:
    """A keeper sees a server for the first time: spans left open by one before it end when that was last seen."""

    server: str


Record = Entry | Span | Use | Resumed


def entry(ts: datetime, event: str, level: str, told: Mapping[str, Any], said: str) -> Entry:
    """An event of which `told` are all fields; fields of more than 4 KiB are left out."""
    fields = {name: value for name, value in told.items() if name not in {"server", "model"}}
    if sum(len(str(value)) for value in fields.values()) > LARGEST_FIELDS:
        fields = {}
    return Entry(ts, event, level, told.get("server"), told.get("model"), fields, said[:LARGEST_FIELDS])


# --- writing ----------------------------------------------------------------------------------------------------------


def put(database: sqlite3.Connection, records: Iterable[Record]) -> None:
    """Writes records, in their order."""
    for each in records:
        sql, values = _statement(each)
        database.execute(sql, values)


def put_seen(database: sqlite3.Connection, seen: Mapping[str, float]) -> None:
    """Writes when servers were last seen by the keeper, seconds since 1970."""
    database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", seen.items())


def prune(database: sqlite3.Connection, now: datetime | None, *, largest: int = LARGEST) -> None:
    """Takes out what is older than 30 days, where the time is known, and then the oldest until the file has room."""
    if now is not None:
        _older_than(database, (now - timedelta(days=DAYS)).timestamp())
    for _ in range(TENTHS):
        if _bytes(database) <= largest:
            return
        oldest, newest = _ends(database)
        if oldest is None or newest is None:
            return
        _older_than(database, oldest + (newest - oldest) / 10 + 1)


def _statement(each: Record) -> tuple[str, Sequence[object]]:
    match each:
        case Entry():
            fields = json.dumps(each.fields, ensure_ascii=False)
            named = (each.event, each.level, each.server, each.model)
            return _ADD_EVENT, (each.ts.timestamp(), *named, each.said, fields)
        case Span():
            ended = None if each.end <= each.begin else each.end.timestamp()
            told = (each.state, each.reason, each.resident)
            return _PUT_SPAN, (each.server, each.model, each.begin.timestamp(), ended, *told)
        case Use():
            hour = int(each.hour.timestamp()) // HOUR_S
            return _ADD_USE, (each.server, each.model, hour, each.kind, each.minutes, each.size)
        case Resumed():
            return _END_OPEN, (each.server,)


_ADD_EVENT = "INSERT INTO events (at, event, level, server, model, said, fields) VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_SPAN = "INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_USE = (
    "INSERT INTO uses VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET kind = excluded.kind,"
    " minutes = min(minutes + excluded.minutes, 60), size = coalesce(excluded.size, size)"
)
_END_OPEN = (
    "UPDATE spans SET ended = max(begun, coalesce((SELECT at FROM seen WHERE seen.server = spans.server), begun))"
    " WHERE server = ? AND ended IS NULL"
)


def _older_than(database: sqlite3.Connection, at: float) -> None:
    database.execute("DELETE FROM events WHERE at < ?", (at,))
    database.execute("DELETE FROM spans WHERE ended < ?", (at,))
    database.execute("DELETE FROM uses WHERE hour < ?", (at // HOUR_S,))


def _bytes(database: sqlite3.Connection) -> int:
    pages, free, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _ends(database: sqlite3.Connection) -> tuple[float | None, float | None]:
    """The oldest and the newest instant of events and spans."""
    rows = [
        database.execute("SELECT min(at), max(at) FROM events").fetchone(),
        database.execute("SELECT min(ended), max(ended) FROM spans").fetchone(),
    ]
    oldest = [row[0] for row in rows if row[0] is not None]
    newest = [row[1] for row in rows if row[1] is not None]
    return min(oldest, default=None), max(newest, default=None)


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Past:
    """Reads the history, each time from the file, so from any thread and beside a keeper that writes.

    Args:
        path: of the store; None, or no file: nothing is known.

    Of a file that an older version wrote, which is migrated when a keeper runs, what is there is read.

    Its methods raise sqlite3.Error where the file cannot be read, NotSupportedError where a newer version wrote it.
    """

    path: Path | None

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        server: str | None = None,
        models: Iterable[str] | None = None,
        after: int = 0,
        limit: int = 10_000,
    ) -> list[Entry]:
        """The newest `limit` events that fit, oldest first.

        Args:
            models: only events of these; of none, where the list is empty.
            after: only events with a larger id.
        """
        where, values = _where(("at >= ?", _seconds(since)), ("at < ?", _seconds(until)), ("server = ?", server))
        if models is not None:
            names = list(models)
            where, values = f"{where} AND model IN ({','.join('?' * len(names))})", [*values, *names]
        columns = "at, event, level, server, model, fields, said, id"
        rows = self._rows(
            f"SELECT {columns} FROM events WHERE {where} AND id > ? ORDER BY id DESC LIMIT ?",  # noqa: S608 - no value of others in it
            *values,
            after,
            limit,
        )
        return [_entry(row) for row in reversed(rows)]

    def spans(
        self,
        *,
        server: str | None = None,
        model: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Span]:
        """The spans that reach into the time, as they were written; by server, model and begin."""
        where, values = _where(("server = ?", server), ("model = ?", model))
        last = "(SELECT at FROM seen WHERE seen.server = spans.server)"
        rows = self._rows(
            f"SELECT server, model, begun, max(begun, coalesce(ended, {last}, begun)) AS last, state, reason, resident"  # noqa: S608 - no value of others in it
            f" FROM spans WHERE {where} AND begun < ? AND last >= ? ORDER BY server, model, begun",
            *values,
            _seconds(until) or 1e12,
            _seconds(since) or 0.0,
        )
        return [_span(row) for row in rows]

    def timeline(self, server: str, model: str, *, since: datetime, until: datetime) -> tuple[Span, ...]:
        """What a model was like from `since` to `until`, without gaps."""
        return timeline(self.spans(server=server, model=model, since=since, until=until), since, until)

    def availability(self, server: str, model: str, now: datetime, *, days: int = DAYS) -> Availability:
        """The share of the wanted time in which a model was warm, by day of `now`'s time zone, and of all."""
        spans = self.spans(server=server, model=model, since=now - timedelta(days=days), until=now)
        return availability(spans, now, days=days)

    def uses(self, *, since: datetime | None = None, models: Iterable[str] | None = None) -> list[Use]:
        """The hours in which models were used, or begun to be kept, oldest first."""
        hour = None if since is None else int(since.timestamp()) // HOUR_S
        where, values = _where(("hour >= ?", hour))
        if models is not None:
            names = list(models)
            where, values = f"{where} AND model IN ({','.join('?' * len(names))})", [*values, *names]
        columns = "server, model, hour, kind, minutes, size"
        rows = self._rows(f"SELECT {columns} FROM uses WHERE {where} ORDER BY hour, server, model", *values)  # noqa: S608 - no value of others in it
        return [Use(row[0], row[1], _instant(row[2] * HOUR_S), *row[3:]) for row in rows]

    def known(self) -> list[tuple[str, str]]:
        """The servers and models of which something is recorded, in order."""
        rows = self._rows(
            "SELECT server, model FROM spans UNION"
            " SELECT server, model FROM events WHERE model IS NOT NULL AND server IS NOT NULL ORDER BY 1, 2"
        )
        return [(row[0], row[1]) for row in rows]

    def seen(self) -> dict[str, datetime]:
        """When the keeper last saw each server, as far as that was written."""
        return {row[0]: _instant(row[1]) for row in self._rows("SELECT server, at FROM seen")}

    def begun(self) -> datetime | None:
        """Since when there are records."""
        sql = "SELECT min(at) FROM (SELECT min(at) AS at FROM events UNION ALL SELECT min(begun) FROM spans)"
        (row,) = self._rows(sql) or [(None,)]
        return None if row[0] is None else _instant(row[0])

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        if self.path is None or not there(self.path):
            return []
        with connected(self.path, mode="ro") as database:
            version = version_of(database)
            if version > SCHEMA:
                raise sqlite3.NotSupportedError(newer(version))
            try:
                return database.execute(sql, values).fetchall()
            except sqlite3.OperationalError:
                if version == SCHEMA:
                    raise
                return []  # the table came later


def _where(*conditions: tuple[str, object]) -> tuple[str, list[object]]:
    asked = [(text, value) for text, value in conditions if value is not None]
    return " AND ".join(text for text, _ in asked) or "1", [value for _, value in asked]


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _entry(row: tuple[Any, ...]) -> Entry:
    at, event, level, server, model, fields, said, number = row
    return Entry(_instant(at), event, level, server, model, json.loads(fields), said, number)


def _span(row: tuple[Any, ...]) -> Span:
    server, model, begun, ended, state, reason, resident = row
    known = None if resident is None else bool(resident)
    return Span(state, reason, known, _instant(begun), _instant(ended), server, model)
