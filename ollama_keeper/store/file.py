"""The file of the store: how it is made, checked, migrated, set aside and opened."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ollama_keeper.core.changes import Change, StateFailed
from ollama_keeper.errors import StateError, printable

FILE = "state.db"
LOCKED_S = 5.0  # for another keeper with the same file; its transactions take milliseconds
MOST_BAD = 10
DAMAGE = "the file is damaged"

MIGRATIONS: tuple[str, ...] = (
    "CREATE TABLE kept (server TEXT, model TEXT, document TEXT NOT NULL, PRIMARY KEY (server, model)) WITHOUT ROWID",
    "CREATE TABLE notes (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE events (id INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, level TEXT NOT NULL,"
    " server TEXT, model TEXT, said TEXT NOT NULL, fields TEXT NOT NULL)",
    "CREATE INDEX events_at ON events (at)",
    "CREATE TABLE spans (server TEXT, model TEXT, begun REAL, ended REAL, state TEXT NOT NULL, reason TEXT,"
    " resident INTEGER, PRIMARY KEY (server, model, begun)) WITHOUT ROWID",
    "CREATE TABLE uses (server TEXT, model TEXT, hour INTEGER, kind TEXT NOT NULL, minutes INTEGER NOT NULL,"
    " size INTEGER, PRIMARY KEY (server, model, hour)) WITHOUT ROWID",
    "CREATE TABLE seen (server TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
)
"""One statement a version of the schema: the n-th leads from version n to n + 1."""
SCHEMA = len(MIGRATIONS)
PRECIOUS = {"kept": {"server", "model", "document"}, "notes": {"key", "document"}}
"""The tables that are checked at each start, which is quick, with their columns; the history is only once it failed."""
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR})

Report = Callable[[Change], None]


def prepare(path: Path, report: Report, *, thoroughly: bool = False) -> bool:
    """Makes, checks or migrates the file; one that is damaged is set aside.

    Args:
        thoroughly: all of it is checked, which takes its time: 64 MiB of history.

    Returns:
        Whether it is new, and so empty.

    Raises:
        StateError: a newer version wrote it.
        OSError, sqlite3.Error: it cannot be used now.
    """
    try:
        return _made(path, thoroughly=thoroughly)
    except sqlite3.DatabaseError as error:
        if not _damaged(error):
            raise
        bad = _set_aside(path)
        report(StateFailed(path=str(path), hint=f"it was damaged: set aside as {bad.name}, and begun anew"))
        return _made(path, thoroughly=False)


@contextmanager
def connected(path: Path, *, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """A connection whose transactions begin and end as told; it never makes the file."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCKED_S, isolation_level=None)) as database:
        database.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            yield database
        except UnicodeDecodeError as error:  # sqlite3 words some of its errors with bytes of a damaged file
            raise sqlite3.DatabaseError(DAMAGE) from error


def schema_of(path: Path) -> int | None:
    """The version of a file's schema, 0 where nothing was made yet; None where there is no file that can be read."""
    try:
        with connected(path, mode="ro") as database:
            return version_of(database)
    except sqlite3.Error:
        return None


def version_of(database: sqlite3.Connection) -> int:
    """The version of the schema of an open file."""
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    return version


def newer(version: int) -> str:
    """That a newer version wrote a file."""
    return f"a newer ollama-keeper wrote it (schema {version}, this one knows {SCHEMA})"


def unusable(path: Path, error: Exception) -> StateFailed:
    """That the file cannot be used, and what can be done."""
    why = printable(getattr(error, "strerror", None) or str(error))
    elsewhere = "" if isinstance(error, StateError) else "; state_dir names another place, or off"
    return StateFailed(path=str(path), hint=f"{why}; ollama-keeper goes on in memory{elsewhere}")


def _made(path: Path, *, thoroughly: bool) -> bool:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with connected(path) as database:
        version = version_of(database)
        if version > SCHEMA:
            msg = f"{newer(version)}, so it is left alone; update ollama-keeper, or name another state_dir"
            raise StateError(msg)
        _check(database, version, thoroughly=thoroughly)
        with suppress(sqlite3.OperationalError):  # another keeper may be at it, and some network disks cannot
            database.execute("PRAGMA journal_mode = WAL")
        _migrate(database)
    return version == 0


def _migrate(database: sqlite3.Connection) -> None:
    if version_of(database) == SCHEMA:
        return
    with database:
        database.execute("BEGIN IMMEDIATE")
        for step in MIGRATIONS[version_of(database) :]:
            database.execute(step)
        database.execute(f"PRAGMA user_version = {SCHEMA}")


def _check(database: sqlite3.Connection, version: int, *, thoroughly: bool) -> None:
    there = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    whole = thoroughly or version == 0
    checks = ["PRAGMA quick_check(1)"] if whole else [f"PRAGMA quick_check({name})" for name in PRECIOUS.keys() & there]
    for check in checks:
        if database.execute(check).fetchone() != ("ok",):
            raise sqlite3.DatabaseError(DAMAGE)
    if version == SCHEMA and any(_columns(database, name) != columns for name, columns in PRECIOUS.items()):
        raise sqlite3.DatabaseError(DAMAGE)


def there(path: Path) -> bool:
    """Whether the file is there; where its folder cannot be entered, whoever opens it is told why."""
    try:
        return path.is_file()
    except OSError:
        return True


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in database.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _damaged(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault, and not its place. Extended codes have the plain one in their low byte."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in DAMAGED


def _set_aside(path: Path) -> Path:
    """Renames a damaged file together with its log, and gives the new name; of many the last one is replaced."""
    names = (path.with_name(f"{path.name}.bad{number or ''}") for number in range(MOST_BAD))
    bad = next((name for name in names if not name.exists()), path.with_name(f"{path.name}.bad{MOST_BAD - 1}"))
    path.replace(bad)
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-wal").replace(bad.with_name(f"{bad.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return bad
