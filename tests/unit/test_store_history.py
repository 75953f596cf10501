"""Notes and history in the store: written by its thread, bounded, read beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ollama_keeper.core.timeline import Span
from ollama_keeper.store import FILE, Entry, Record, Resumed, Store, Use, open_store
from ollama_keeper.store.history import prune, put
from ollama_keeper.store.store import MOST_RECORDS

SOON = 10.0
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def event(seconds: float, name: str = "model.ready", model: str | None = "a", **fields: object) -> Entry:
    return Entry(at(seconds), name, "info", "gpu", model, fields, f"{model} at {seconds}")


def opened(state_dir: Path) -> Store:
    return open_store(state_dir, report=lambda change: pytest.fail(str(change)))


def written(state_dir: Path, *records: Record, seen: datetime | None = None) -> Store:
    """A store to which this was written, closed."""
    store = opened(state_dir)
    if seen is not None:
        store.saw(["gpu"], seen)
    store.append(*records)
    store.close(SOON)
    return store


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The file itself, with nothing in it."""
    written(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        yield database


# --- notes ------------------------------------------------------------------------------------------------------------


def test_notes_outlive_their_store_and_are_found_by_prefix(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.note("alerts.a", {"one": 1})
    store.note("alerts.b", {"two": [2]})
    store.note("other", {})
    store.note("alerts.b", None)
    store.close(SOON)
    assert opened(tmp_path).notes("alerts.") == {"alerts.a": {"one": 1}}
    assert opened(tmp_path).read("\0note") == ()


def test_a_store_without_a_file_has_no_notes_and_no_past(tmp_path: Path) -> None:
    store = open_store(None, report=lambda _: None)
    store.note("a", {})
    store.append(event(0))
    assert store.notes("") == {}
    assert store.past.events() == []


# --- events -----------------------------------------------------------------------------------------------------------


def test_events_are_read_by_time_model_and_server(tmp_path: Path) -> None:
    past = written(tmp_path, event(0, hint="h"), event(10, model="b"), event(20, "server.up", None)).past
    assert past.events()[0] == Entry(at(0), "model.ready", "info", "gpu", "a", {"hint": "h"}, "a at 0", 1)
    assert [one.id for one in past.events(since=at(10))] == [2, 3]
    assert [one.id for one in past.events(until=at(10))] == [1]
    assert [one.id for one in past.events(models=["a", "b"])] == [1, 2]
    assert past.events(models=[]) == past.events(server="cpu") == []
    assert [one.id for one in past.events(limit=2)] == [2, 3]
    assert [one.id for one in past.events(after=2)] == [3]


def test_of_too_many_events_the_oldest_are_lost_and_counted(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the disk does not keep up
        for number in range(MOST_RECORDS + 5_000):
            store.append(event(number))
        assert store.records_lost > 0
        other.execute("ROLLBACK")
    store.close(SOON * 6)
    found = store.past.events(limit=1_000_000)
    assert len(found) + store.records_lost == MOST_RECORDS + 5_000
    assert found[-1].ts == at(MOST_RECORDS + 4_999)


# --- spans ------------------------------------------------------------------------------------------------------------


def test_an_open_span_reaches_to_the_last_sight(tmp_path: Path) -> None:
    past = written(tmp_path, Span("ready", None, True, at(0), at(0), "gpu", "a"), seen=at(60)).past
    (span,) = past.spans()
    assert (span.begin, span.end, span.resident) == (at(0), at(60), True)


def test_a_span_left_open_by_a_killed_keeper_ends_where_that_last_saw_it(tmp_path: Path) -> None:
    written(tmp_path, Span("ready", None, True, at(0), at(0), "gpu", "a"), seen=at(60))
    new = Span("cold", "unload_grace", False, at(100), at(100), "gpu", "a")
    past = written(tmp_path, Resumed("gpu"), new, seen=at(160)).past
    assert [(s.state, s.begin, s.end) for s in past.timeline("gpu", "a", since=at(0), until=at(160))] == [
        ("ready", at(0), at(60)), ("unknown", at(60), at(100)), ("cold", at(100), at(160))
    ]  # fmt: skip


def test_availability_comes_from_the_spans(tmp_path: Path) -> None:
    spans = (
        Span("ready", None, True, at(0), at(75), "gpu", "a"),
        Span("cold", None, False, at(75), at(100), "gpu", "a"),
    )
    past = written(tmp_path, *spans).past
    assert past.availability("gpu", "a", at(100)).total.share == 0.75
    assert past.known() == [("gpu", "a")]


# --- uses, bounds -----------------------------------------------------------------------------------------------------


def test_uses_of_an_hour_add_up_to_sixty_minutes_at_most(tmp_path: Path) -> None:
    uses = [Use("gpu", "a", NOON, "pin", minutes, size) for minutes, size in ((0, 5), (40, None), (30, None))]
    assert written(tmp_path, *uses).past.uses() == [Use("gpu", "a", NOON, "pin", 60, 5)]


def test_what_is_older_than_thirty_days_goes(file: sqlite3.Connection) -> None:
    day_s = 86_400
    put(file, [event(-31 * day_s), event(-29 * day_s), Use("gpu", "a", at(-31 * day_s), "pin", 1)])
    put(file, [Span("ready", None, True, at(-40 * day_s), at(-31 * day_s), "gpu", "a")])
    prune(file, NOON)
    assert file.execute("SELECT count(*) FROM events").fetchone() == (1,)
    assert file.execute("SELECT count(*) FROM uses").fetchone() == (0,)
    assert file.execute("SELECT count(*) FROM spans").fetchone() == (0,)


def test_a_file_out_of_bounds_loses_its_oldest(file: sqlite3.Connection) -> None:
    put(file, [event(number, text="x" * 1_000) for number in range(2_000)])
    prune(file, None, largest=1_000_000)
    left = file.execute("SELECT count(*), max(at) FROM events").fetchone()
    assert 100 < left[0] < 1_000
    assert left[1] == at(1_999).timestamp()
