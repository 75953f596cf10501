"""Files of other versions: each that was ever written is migrated with all that it holds, a newer one is refused.

`tests/data/stores` has a file of each schema as a keeper of that time left it: two models kept, one pinned and one by
lease. A new schema comes with its file.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ollama_keeper.core.changes import Change
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.keep import restored_model
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.policy import policy_for
from ollama_keeper.store import FILE, MIGRATIONS, SCHEMA, Entry, Past, Store, open_store

STORES = Path(__file__).parents[1] / "data" / "stores"
SERVER = "127.0.0.1:11893"
PINNED, LEASED = "model-0:8b", "model-1:8b"
NOW = Instant(1_000.0, datetime(2026, 11, 26, 12, tzinfo=UTC))
WRITTEN = {int(path.stem.removeprefix("schema-")): path for path in STORES.glob("schema-*.db")}
"""Schemas that a keeper ever wrote; between 1 and 7 all steps came at once."""
HISTORY = 7


@pytest.fixture(params=sorted(WRITTEN), ids=lambda version: f"schema {version}")
def old(request: pytest.FixtureRequest, tmp_path: Path) -> int:
    """A state directory with a file of that schema."""
    shutil.copy(WRITTEN[request.param], tmp_path / FILE)
    version: int = request.param
    return version


@pytest.fixture
def told() -> list[Change]:
    return []


@pytest.fixture
def store(old: int, tmp_path: Path, told: list[Change]) -> Iterator[Store]:
    opened = open_store(tmp_path, report=told.append)
    yield opened
    opened.close(5.0)


def asked(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def kept(store: Store) -> dict[str, ModelMemory]:
    """The models as a starting keeper knows them."""
    documents = {one.model: one.document for one in store.read(SERVER) if one.model}
    return {name: restored_model(ModelMemory(policy_for(name)), document, NOW) for name, document in documents.items()}


def test_there_is_a_file_of_this_schema_and_of_the_first_one() -> None:
    assert {1, SCHEMA} <= WRITTEN.keys(), "a new schema: put a file of it into tests/data/stores"


def test_each_is_migrated_and_what_is_ours_is_still_ours(store: Store, tmp_path: Path, told: list[Change]) -> None:
    assert asked(tmp_path / FILE, "PRAGMA user_version") == [(SCHEMA,)]
    models = kept(store)
    assert {name: model.record.lease_s for name, model in models.items() if model.record} == {
        PINNED: None,
        LEASED: 1_800.0,
    }
    assert all(model.longest_load_s and model.touched for model in models.values())
    assert told == []
    assert [path.name for path in tmp_path.iterdir() if ".bad" in path.name] == []


def test_each_has_the_tables_of_a_new_file_and_can_be_written(store: Store, tmp_path: Path, old: int) -> None:
    fresh = open_store(tmp_path / "fresh", report=pytest.fail)
    fresh.close(5.0)
    tables = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
    assert asked(tmp_path / FILE, tables) == asked(tmp_path / "fresh" / FILE, tables)
    before = len(store.past.events())
    assert (before > 0) == (old >= HISTORY)
    store.append(Entry(NOW.wall, "model.ready", "info", SERVER, PINNED, {}, "it is ready"))
    store.note("alert", {"of": "somebody"})
    store.close(5.0)
    assert len(store.past.events()) == before + 1
    assert store.notes("alert") == {"alert": {"of": "somebody"}}


@pytest.mark.parametrize("version", range(1, SCHEMA))
def test_every_step_between_them_leads_on(version: int, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        for statement in MIGRATIONS[:version]:
            database.execute(statement)
        database.execute("INSERT INTO kept VALUES ('gpu', 'a', ?)", (json.dumps({"own_context": 8192}),))
        database.execute(f"PRAGMA user_version = {version}")
    store = open_store(tmp_path, report=pytest.fail)
    store.close(5.0)
    assert asked(tmp_path / FILE, "PRAGMA user_version") == [(SCHEMA,)]
    assert [one.document for one in store.read("gpu")] == [{"own_context": 8192}]


def test_whoever_only_reads_finds_what_is_there_and_changes_nothing(old: int, tmp_path: Path) -> None:
    before = (tmp_path / FILE).read_bytes()
    store = open_store(tmp_path, report=pytest.fail, read_only=True)
    assert kept(store).keys() == {PINNED, LEASED}
    assert store.notes("") == {}
    past = Past(tmp_path / FILE)
    had = old >= HISTORY
    assert [bool(found) for found in (past.events(), past.spans(), past.uses(), past.known(), past.seen())] == [had] * 5
    assert (past.begun() is not None) == had
    assert (tmp_path / FILE).read_bytes() == before


# --- newer ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def newer(tmp_path: Path) -> bytes:
    """A file of the next schema."""
    shutil.copy(WRITTEN[SCHEMA], tmp_path / FILE)
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("ALTER TABLE events RENAME COLUMN said TO told")
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        database.commit()
    return (tmp_path / FILE).read_bytes()


def test_a_newer_one_is_refused_with_what_to_do_and_left_alone(
    newer: bytes, tmp_path: Path, told: list[Change]
) -> None:
    store = open_store(tmp_path, report=told.append)
    assert store.read(SERVER) == ()
    store.append(Entry(NOW.wall, "model.ready", "info", SERVER, PINNED, {}, "it is ready"))
    store.close(5.0)
    (change,) = told
    assert change.hint == (
        f"a newer ollama-keeper wrote it (schema {SCHEMA + 1}, this one knows {SCHEMA}), so it is left alone; update"
        " ollama-keeper, or name another state_dir; ollama-keeper goes on in memory"
    )
    assert (tmp_path / FILE).read_bytes() == newer
    assert {path.name for path in tmp_path.iterdir()} == {FILE}


def test_whoever_only_reads_a_newer_one_is_told_so(newer: bytes, tmp_path: Path) -> None:
    assert open_store(tmp_path, report=pytest.fail, read_only=True).read(SERVER) == ()
    with pytest.raises(sqlite3.NotSupportedError, match=rf"schema {SCHEMA + 1}, this one knows {SCHEMA}\)$"):
        Past(tmp_path / FILE).events()
    assert (tmp_path / FILE).read_bytes() == newer
