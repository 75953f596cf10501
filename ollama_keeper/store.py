"""What outlives a restart: small documents in one SQLite file, written by one thread.

Reading happens once, at the start. Writing never blocks the caller: the newest document of a key replaces an older one that
still waits. A file that cannot be used is told of once and the keeper goes on in memory; what it holds is then lost at its end.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_keeper.core.changes import Change, StateFailed
from ollama_keeper.errors import StateError

FILE = "state.db"
SCHEMA = 1
RETRY_S = 30.0
LARGEST_DOCUMENT = 64 * 1024
_CREATE = (
    "CREATE TABLE kept (server TEXT, model TEXT, document TEXT NOT NULL, PRIMARY KEY (server, model)) WITHOUT ROWID"
)

Report = Callable[[Change], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one model of a server; the server's own document has the empty name."""

    model: str
    document: Mapping[str, Any] = field(hash=False)


class Store:
    """Documents by server and model, in a file or only in memory.

    Args:
        path: the file, already checked and migrated; None keeps everything in memory.
        report: told once when writing fails, from the writer's thread.
    """

    def __init__(self, path: Path | None, *, report: Report) -> None:
        self._path = path
        self._report = report
        self._waiting: dict[tuple[str, str], str | None] = {}
        self._wake = threading.Condition()
        self._closing = False
        self._failed = False
        self._writer: threading.Thread | None = None

    def read(self, server: str) -> tuple[Kept, ...]:
        """All that was kept for a server; empty where there is no file."""
        if self._path is None:
            return ()
        try:
            with closing(_connect(self._path)) as database:
                rows = database.execute("SELECT model, document FROM kept WHERE server = ?", (server,)).fetchall()
        except sqlite3.Error as error:
            self._tell(error)
            return ()
        return tuple(kept for model, text in rows if (kept := _parsed(model, text)) is not None)

    def write(self, server: str, kept: Kept) -> None:
        """Keeps a document from now on; returns at once."""
        text = json.dumps(kept.document, ensure_ascii=False)
        if len(text) <= LARGEST_DOCUMENT:
            self._queue(server, kept.model, text)

    def forget(self, server: str, model: str) -> None:
        """Keeps nothing of a model any more; returns at once."""
        self._queue(server, model, None)

    def close(self, timeout_s: float) -> None:
        """Writes what still waits, for `timeout_s` at most."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._writer is not None:
            self._writer.join(timeout_s)

    # --- the writer's thread ------------------------------------------------------------------------------------------

    def _queue(self, server: str, model: str, text: str | None) -> None:
        if self._path is None:
            return
        with self._wake:
            self._waiting[server, model] = text
            self._wake.notify()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="state", daemon=True)
                self._writer.start()

    def _write_all(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closing)
                batch, self._waiting = self._waiting, {}
                if not batch:
                    return
            self._write_batch(batch)

    def _write_batch(self, batch: Mapping[tuple[str, str], str | None]) -> None:
        try:
            with closing(_connect(self._existing_path())) as database, database:
                for (server, model), text in batch.items():
                    _put(database, server, model, text=text)
        except (sqlite3.Error, OSError) as error:
            self._keep_waiting(batch)
            self._tell(error)
        else:
            self._failed = False

    def _keep_waiting(self, batch: Mapping[tuple[str, str], str | None]) -> None:
        """What could not be written is tried again later, unless something newer has come."""
        with self._wake:
            self._waiting = {**batch, **self._waiting}
            if self._closing:
                self._waiting = {}
                return
            self._wake.wait_for(lambda: self._closing, RETRY_S)

    def _existing_path(self) -> Path:
        if self._path is None:
            raise StateError("kept in memory only")
        return self._path

    def _tell(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            hint = f"{error}: what the keeper knows stays in memory, and is written when the file can be"
            self._report(StateFailed(path=str(self._path), hint=hint))


def open_store(state_dir: Path | None, *, report: Report, read_only: bool = False) -> Store:
    """The store of a state directory; whatever is wrong with it is reported, and the store is then in memory.

    A damaged file is set aside as `state.db.bad` and begun anew; one of a newer version is left alone.

    Args:
        state_dir: made if it is not there; None keeps nothing.
        report: told what is wrong, once.
        read_only: nothing is made, migrated or written.
    """
    if state_dir is None:
        return Store(None, report=report)
    path = state_dir / FILE
    try:
        if read_only:
            return Store(path if path.is_file() and _version(path) == SCHEMA else None, report=report)
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _prepare(path, report)
    except StateError as error:
        report(StateFailed(path=str(path), hint=str(error)))
        return Store(None, report=report)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        if not read_only:
            report(StateFailed(path=str(path), hint=f"{why}: the keeper goes on in memory; set state_dir, or off"))
        return Store(None, report=report)
    return Store(path, report=report)


def _prepare(path: Path, report: Report) -> None:
    """Makes, checks or migrates the file."""
    try:
        _make(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        bad = _set_aside(path)
        report(StateFailed(path=str(path), hint=f"damaged: set aside as {bad.name} and begun anew"))
        _make(path)


def _make(path: Path) -> None:
    with closing(_connect(path)) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            msg = f"written by a newer ollama-keeper (schema {version}, this one knows {SCHEMA}): left alone; going on in memory"
            raise StateError(msg)
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            msg = "damaged"
            raise sqlite3.DatabaseError(msg)
        database.execute("PRAGMA journal_mode = WAL")
        with database:
            for step in _MIGRATIONS[version:]:
                database.execute(step)
            database.execute(f"PRAGMA user_version = {SCHEMA}")
    with suppress(OSError):
        path.chmod(0o600)


_MIGRATIONS: tuple[str, ...] = (_CREATE,)
"""One statement a schema version: the n-th leads from version n to n + 1."""


def _version(path: Path) -> int:
    with closing(_connect(path)) as database:
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        return version


def _set_aside(path: Path) -> Path:
    number = 0
    bad = path.with_name(path.name + ".bad")
    while bad.exists():
        number += 1
        bad = path.with_name(f"{path.name}.bad{number}")
    path.rename(bad)
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    return bad


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=2.0)


def _put(database: sqlite3.Connection, server: str, model: str, *, text: str | None) -> None:
    if text is None:
        database.execute("DELETE FROM kept WHERE server = ? AND model = ?", (server, model))
    else:
        database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (server, model, text))


def _parsed(model: str, text: str) -> Kept | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return Kept(model, document) if isinstance(document, dict) else None
