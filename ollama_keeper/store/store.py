"""Small documents by server and model, notes by key, and the history, written by one thread.

Documents and notes are read once, at the start. Writing never blocks the caller: the newest document of a key replaces
an older one that still waits. While the file cannot be used the keeper goes on in memory; that is told once, and the
file is tried again and again. A document is written whole or not at all, whenever the process is killed.
"""

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ollama_keeper.core.units import show_size
from ollama_keeper.errors import StateError
from ollama_keeper.store.file import FILE, SCHEMA, Report, connected, prepare, schema_of, there, unusable
from ollama_keeper.store.history import Past, Record, prune, put, put_seen

RETRY_S = 30.0
GATHER_S = 1.0  # at most one transaction a second, however much changes: kind to memory cards
FIRST_GATHER_S = 0.05  # after a quiet second: what follows at once is written soon, in case we are killed
LARGEST_DOCUMENT = 64 * 1024
MOST_RECORDS = 20_000  # of the history that wait: 20 s of a flood; about 20 MiB
MOST_AT_ONCE = 2_000  # records of a transaction: about 50 ms
PRUNE_EVERY = 20_000  # records
NOTE = "\0note"  # in place of a server's name

Key = tuple[str, str]
Documents = dict[Key, str | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one model of a server; the server's own document has the empty name.

    Attributes:
        document: what JSON can express.
    """

    model: str
    document: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written in one transaction.

    Attributes:
        quiet: nothing had been written for a second before.
    """

    documents: Documents
    records: list[Record]
    seen: Mapping[str, float]
    quiet: bool


class Store:
    """Documents by server and model, in a file or only in memory.

    Args:
        path: the file; None keeps nothing.
        report: told once when the file cannot be used, from the writer's thread, and again only after it could be.
        read_only: nothing is written, nor made.
        failed: the file could not be prepared, which has been told; that is tried again before each write.
        retry_s: how long a file that failed is left alone.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        report: Report,
        read_only: bool = False,
        failed: bool = False,
        retry_s: float = RETRY_S,
    ) -> None:
        self._path = path
        self._report = report
        self._read_only = read_only
        self._retry_s = retry_s
        self._failed = failed
        self._held: Documents = {}
        self._waiting: Documents = {}
        self._records: deque[Record] = deque()
        self._seen: dict[str, float] = {}
        self._now: datetime | None = None
        self._lost = 0
        self._since_pruned = PRUNE_EVERY
        self._wake = threading.Condition()
        self._closing = False
        self._writer: threading.Thread | None = None

    def read(self, server: str) -> tuple[Kept, ...]:
        """All that was kept for a server; empty where there is no file, and where it cannot be read."""
        if self._path is None or not there(self._path):
            return ()
        try:
            with connected(self._path, mode="ro") as database:
                rows = database.execute("SELECT model, document FROM kept WHERE server = ?", (server,)).fetchall()
        except sqlite3.Error as error:
            self._tell(error)
            return ()
        return tuple(Kept(model, parsed) for model, text in rows if (parsed := _document(text)) is not None)

    def servers(self) -> tuple[str, ...]:
        """The servers of which something was kept; none where there is no file, and where it cannot be read."""
        if self._path is None or not there(self._path):
            return ()
        try:
            with connected(self._path, mode="ro") as database:
                return tuple(name for (name,) in database.execute("SELECT DISTINCT server FROM kept ORDER BY server"))
        except sqlite3.Error as error:
            self._tell(error)
            return ()

    def write(self, server: str, kept: Kept) -> None:
        """Keeps a document from now on; returns at once. One of more than 64 KiB is not kept, and told.

        Raises:
            TypeError, ValueError: the document is more than JSON can express.
        """
        text = json.dumps(kept.document, ensure_ascii=False)
        too_large = len(text) > LARGEST_DOCUMENT
        self._queue((server, kept.model), None if too_large else text)
        if too_large:
            self._tell(StateError(f"what is known of {kept.model or server} is too large: {show_size(len(text))}"))

    def forget(self, server: str, model: str) -> None:
        """Keeps nothing of a model any more; returns at once."""
        self._queue((server, model), None)

    def note(self, key: str, document: Mapping[str, Any] | None) -> None:
        """Keeps a note of somebody's own by its key from now on, None forgets it; as `write` does.

        Raises:
            TypeError, ValueError: the document is more than JSON can express.
        """
        text = None if document is None else json.dumps(document, ensure_ascii=False)
        if text is not None and len(text) > LARGEST_DOCUMENT:
            self._tell(StateError(f"the note {key} is too large: {show_size(len(text))}"))
            text = None
        self._queue((NOTE, key), text)

    def notes(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        """The notes whose keys begin so; empty where there is no file, and where it cannot be read."""
        if self._path is None or not there(self._path):
            return {}
        try:
            with connected(self._path, mode="ro") as database:
                rows = database.execute(
                    "SELECT key, document FROM notes WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)
                ).fetchall()
        except sqlite3.Error as error:
            self._tell(error)
            return {}
        return {key: parsed for key, text in rows if (parsed := _document(text)) is not None}

    @property
    def past(self) -> Past:
        """Reads the history."""
        return Past(self._path)

    @property
    def records_lost(self) -> int:
        """Records of the history that could not wait any longer, so far."""
        return self._lost

    def append(self, *records: Record) -> None:
        """Writes records of the history; returns at once. Of too many that wait, the oldest are lost and counted."""
        if self._path is None or self._read_only:
            return
        with self._wake:
            self._records.extend(records)
            self._bound()
            self._begin(self._path)

    def saw(self, servers: Iterable[str], at: datetime) -> None:
        """Notes when servers were last seen; it is written together with whatever is written next."""
        with self._wake:
            self._now = at
            self._seen.update(dict.fromkeys(servers, at.timestamp()))

    def close(self, timeout_s: float) -> None:
        """Writes what still waits, for `timeout_s` at most."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._writer is not None:
            self._writer.join(timeout_s)

    def _queue(self, key: Key, text: str | None) -> None:
        if self._path is None or self._read_only:
            return
        with self._wake:
            self._waiting[key] = self._held[key] = text
            self._begin(self._path)

    def _begin(self, path: Path) -> None:
        self._wake.notify()
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_all, args=(path,), name="state", daemon=True)
            self._writer.start()

    def _bound(self) -> None:
        while len(self._records) > MOST_RECORDS:
            self._records.popleft()
            self._lost += 1

    # --- the writer's thread ------------------------------------------------------------------------------------------

    def _write_all(self, path: Path) -> None:
        pause_s = FIRST_GATHER_S
        while (batch := self._next(pause_s)) is not None:
            last_try = self._closing and self._failed
            try:
                self._write(path, batch)
            except (sqlite3.Error, OSError, StateError) as error:
                self._tell(error)
                self._put_back(batch)
                if last_try:
                    return
            pause_s = FIRST_GATHER_S if batch.quiet else min(pause_s * 2, GATHER_S)
            self._rest(self._retry_s if self._failed else min(pause_s, GATHER_S))

    def _next(self, pause_s: float) -> Batch | None:
        """What waits, once something does; None when all is written and the store closes."""
        with self._wake:
            quiet = not self._wake.wait_for(self._due, max(GATHER_S - pause_s, 0.0))
            self._wake.wait_for(self._due)
            if not self._waiting and not self._records and not (self._closing and self._seen):
                return None
            records = [self._records.popleft() for _ in range(min(len(self._records), MOST_AT_ONCE))]
            batch = Batch(self._waiting, records, self._seen, quiet=quiet)
            self._waiting, self._seen = {}, {}
            return batch

    def _due(self) -> bool:
        return bool(self._waiting or self._records or self._closing)

    def _write(self, path: Path, batch: Batch) -> None:
        documents = batch.documents
        if self._failed and prepare(path, self._report, thoroughly=True):
            documents = self._all()
        with connected(path) as database, database:
            database.execute("PRAGMA synchronous = NORMAL")  # in WAL a power cut costs the last second, never the file
            database.execute("BEGIN IMMEDIATE")
            for key, text in documents.items():
                _put(database, key, text)
            put(database, batch.records)
            put_seen(database, batch.seen)
            self._prune(database, len(batch.records))
        self._failed = False

    def _prune(self, database: sqlite3.Connection, records: int) -> None:
        self._since_pruned += records
        if self._since_pruned >= PRUNE_EVERY:
            prune(database, self._now)
            self._since_pruned = 0

    def _all(self) -> Documents:
        with self._wake:
            return dict(self._held)

    def _put_back(self, batch: Batch) -> None:
        """What could not be written waits again, unless something newer does."""
        with self._wake:
            self._waiting = {**batch.documents, **self._waiting}
            self._seen = {**batch.seen, **self._seen}
            self._records.extendleft(reversed(batch.records))
            self._bound()

    def _rest(self, seconds: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._closing, seconds)

    def _tell(self, error: Exception) -> None:
        told, self._failed = self._failed, True
        if not told and self._path is not None:
            self._report(unusable(self._path, error))


def open_store(state_dir: Path | None, *, report: Report, read_only: bool = False, retry_s: float = RETRY_S) -> Store:
    """The store of a state directory; whatever is wrong with it is reported, and the keeper goes on in memory.

    A damaged file is set aside as `state.db.bad` and begun anew; one of a newer version is left alone.

    Args:
        state_dir: made if it is not there, readable by its owner only; None keeps nothing.
        report: told what is wrong, once.
        read_only: nothing is made, migrated, written or reported; of an older file what is there is read.
        retry_s: how long a file that failed is left alone.
    """
    if state_dir is None:
        return Store(None, report=report)
    path = state_dir / FILE
    if read_only:
        known = 0 < (schema_of(path) or 0) <= SCHEMA
        return Store(path if known else None, report=lambda _: None, read_only=True)
    try:
        prepare(path, report)
    except StateError as error:
        report(unusable(path, error))
        return Store(None, report=report)
    except (OSError, sqlite3.Error) as error:
        report(unusable(path, error))
        return Store(path, report=report, failed=True, retry_s=retry_s)
    return Store(path, report=report, retry_s=retry_s)


def _put(database: sqlite3.Connection, key: Key, text: str | None) -> None:
    if key[0] == NOTE:
        _put_note(database, key[1], text)
    elif text is None:
        database.execute("DELETE FROM kept WHERE server = ? AND model = ?", key)
    else:
        database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (*key, text))


def _put_note(database: sqlite3.Connection, key: str, text: str | None) -> None:
    if text is None:
        database.execute("DELETE FROM notes WHERE key = ?", (key,))
    else:
        database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, text))


def _document(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
