"""What outlives a restart: small documents in one SQLite file, written by one thread.

Reading happens once, at the start. Writing never blocks the caller: the newest document of a key replaces an older one
that still waits. While the file cannot be used the keeper goes on in memory; that is told once, and the file is tried
again and again. A document is written whole or not at all, whenever the process is killed.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_keeper.core.changes import Change, StateFailed
from ollama_keeper.core.units import show_size
from ollama_keeper.errors import StateError, printable

FILE = "state.db"
RETRY_S = 30.0
GATHER_S = 1.0  # at most one transaction a second, however much changes: kind to memory cards
LOCKED_S = 5.0  # for another keeper with the same file; its transactions take milliseconds
LARGEST_DOCUMENT = 64 * 1024
MOST_BAD = 10
DAMAGE = "the file is damaged"

MIGRATIONS: tuple[str, ...] = (
    "CREATE TABLE kept (server TEXT, model TEXT, document TEXT NOT NULL, PRIMARY KEY (server, model)) WITHOUT ROWID",
)
"""One statement a version of the schema: the n-th leads from version n to n + 1."""
SCHEMA = len(MIGRATIONS)
COLUMNS = {"server", "model", "document"}
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR})

Report = Callable[[Change], None]
Key = tuple[str, str]
Batch = dict[Key, str | None]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one model of a server; the server's own document has the empty name.

    Attributes:
        document: what JSON can express.
    """

    model: str
    document: Mapping[str, Any] = field(hash=False)


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
        self._held: Batch = {}
        self._waiting: Batch = {}
        self._wake = threading.Condition()
        self._closing = False
        self._writer: threading.Thread | None = None

    def read(self, server: str) -> tuple[Kept, ...]:
        """All that was kept for a server; empty where there is no file, and where it cannot be read."""
        if self._path is None or not self._path.is_file():
            return ()
        try:
            with _connected(self._path, mode="ro") as database:
                rows = database.execute("SELECT model, document FROM kept WHERE server = ?", (server,)).fetchall()
        except sqlite3.Error as error:
            self._tell(error)
            return ()
        return tuple(kept for model, text in rows if (kept := _parsed(model, text)) is not None)

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
            self._wake.notify()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, args=(self._path,), name="state", daemon=True)
                self._writer.start()

    # --- the writer's thread ------------------------------------------------------------------------------------------

    def _write_all(self, path: Path) -> None:
        while batch := self._next():
            again = self._failed
            try:
                self._write(path, batch)
            except (sqlite3.Error, OSError, StateError) as error:
                self._tell(error)
                self._put_back(batch)
                if self._closing and again:
                    return
            self._rest(self._retry_s if self._failed else GATHER_S)

    def _next(self) -> Batch:
        """What waits, once something does; empty when all is written and the store closes."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            batch, self._waiting = self._waiting, {}
            return batch

    def _write(self, path: Path, batch: Batch) -> None:
        if self._failed and _prepare(path, self._report):
            batch = self._all()
        with _connected(path) as database, database:
            database.execute("PRAGMA synchronous = NORMAL")  # in WAL a power cut costs the last second, never the file
            database.execute("BEGIN IMMEDIATE")
            for key, text in batch.items():
                _put(database, key, text)
        self._failed = False

    def _all(self) -> Batch:
        with self._wake:
            return dict(self._held)

    def _put_back(self, batch: Batch) -> None:
        """What could not be written waits again, unless something newer does."""
        with self._wake:
            self._waiting = {**batch, **self._waiting}

    def _rest(self, seconds: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._closing, seconds)

    def _tell(self, error: Exception) -> None:
        told, self._failed = self._failed, True
        if not told and self._path is not None:
            self._report(_unusable(self._path, error))


def open_store(state_dir: Path | None, *, report: Report, read_only: bool = False, retry_s: float = RETRY_S) -> Store:
    """The store of a state directory; whatever is wrong with it is reported, and the keeper goes on in memory.

    A damaged file is set aside as `state.db.bad` and begun anew; one of a newer version is left alone.

    Args:
        state_dir: made if it is not there, readable by its owner only; None keeps nothing.
        report: told what is wrong, once.
        read_only: nothing is made, migrated or written, and nothing is reported.
        retry_s: how long a file that failed is left alone.
    """
    if state_dir is None:
        return Store(None, report=report)
    path = state_dir / FILE
    if read_only:
        return Store(path if _of_this_version(path) else None, report=report, read_only=True)
    try:
        _prepare(path, report)
    except StateError as error:
        report(_unusable(path, error))
        return Store(None, report=report)
    except (OSError, sqlite3.Error) as error:
        report(_unusable(path, error))
        return Store(path, report=report, failed=True, retry_s=retry_s)
    return Store(path, report=report, retry_s=retry_s)


# --- the file ---------------------------------------------------------------------------------------------------------


def _prepare(path: Path, report: Report) -> bool:
    """Makes, checks or migrates the file; one that is damaged is set aside.

    Returns:
        Whether it is new, and so empty.

    Raises:
        StateError: a newer version wrote it.
        OSError, sqlite3.Error: it cannot be used now.
    """
    try:
        return _made(path)
    except sqlite3.DatabaseError as error:
        if not _damaged(error):
            raise
        bad = _set_aside(path)
        report(StateFailed(path=str(path), hint=f"it was damaged: set aside as {bad.name}, and begun anew"))
        return _made(path)


def _made(path: Path) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with _connected(path) as database:
        version = _version(database)
        if version > SCHEMA:
            msg = f"a newer ollama-keeper wrote it (schema {version}, this one knows {SCHEMA}), so it is left alone"
            raise StateError(msg)
        _check(database, version)
        with suppress(sqlite3.OperationalError):  # another keeper may be at it, and some network disks cannot
            database.execute("PRAGMA journal_mode = WAL")
        _migrate(database)
    return version == 0


def _migrate(database: sqlite3.Connection) -> None:
    with database:
        database.execute("BEGIN IMMEDIATE")
        for step in MIGRATIONS[_version(database) :]:
            database.execute(step)
        database.execute(f"PRAGMA user_version = {SCHEMA}")


def _check(database: sqlite3.Connection, version: int) -> None:
    found = database.execute("PRAGMA quick_check(1)").fetchone()
    columns = {name for (name,) in database.execute("SELECT name FROM pragma_table_info('kept')")}
    if found != ("ok",) or (version == SCHEMA and columns != COLUMNS):
        raise sqlite3.DatabaseError(DAMAGE)


def _damaged(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault, and not its place. Extended codes have the plain one in their low byte."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in DAMAGED


def _version(database: sqlite3.Connection) -> int:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    return version


def _of_this_version(path: Path) -> bool:
    try:
        with _connected(path, mode="ro") as database:
            return _version(database) == SCHEMA
    except sqlite3.Error:
        return False


def _set_aside(path: Path) -> Path:
    """Renames a damaged file together with its log, and gives the new name; of many the last one is replaced."""
    names = (path.with_name(f"{path.name}.bad{number or ''}") for number in range(MOST_BAD))
    bad = next((name for name in names if not name.exists()), path.with_name(f"{path.name}.bad{MOST_BAD - 1}"))
    path.replace(bad)
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").replace(bad.with_name(f"{bad.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return bad


@contextmanager
def _connected(path: Path, *, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """A connection whose transactions begin and end as told; it never makes the file."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCKED_S, isolation_level=None)) as database:
        database.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            yield database
        except UnicodeDecodeError as error:  # sqlite3 words some of its errors with bytes of a damaged file
            raise sqlite3.DatabaseError(DAMAGE) from error


def _put(database: sqlite3.Connection, key: Key, text: str | None) -> None:
    if text is None:
        database.execute("DELETE FROM kept WHERE server = ? AND model = ?", key)
    else:
        database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (*key, text))


def _parsed(model: str, text: str) -> Kept | None:
    try:
        document = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return Kept(model, document) if isinstance(document, dict) else None


def _unusable(path: Path, error: Exception) -> StateFailed:
    why = printable(getattr(error, "strerror", None) or str(error))
    elsewhere = "" if isinstance(error, StateError) else "; state_dir names another place, or off"
    return StateFailed(path=str(path), hint=f"{why}; ollama-keeper goes on in memory{elsewhere}")
