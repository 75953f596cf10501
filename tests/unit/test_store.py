"""What outlives a restart: real files and threads, waited for by what they report or by `close`, never by sleeping."""

import queue
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ollama_keeper.core.changes import Change, StateFailed
from ollama_keeper.store import FILE, LARGEST_DOCUMENT, MIGRATIONS, SCHEMA, Kept, Store, open_store
from ollama_keeper.store import file as module

SOON = 10.0
DOCUMENT = {"record": {"digest": "sha256:0a", "size": 5}, "learned_context": 8192, "ü": None}


class Told:
    """What was reported, from whichever thread."""

    def __init__(self) -> None:
        self.queue: queue.Queue[Change] = queue.Queue()

    def __call__(self, change: Change) -> None:
        self.queue.put(change)

    def next(self) -> StateFailed:
        change = self.queue.get(timeout=SOON)
        assert isinstance(change, StateFailed)
        return change

    @property
    def nothing(self) -> bool:
        return self.queue.empty()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def opened(told: Told) -> Iterator[Callable[..., Store]]:
    """Opens stores that report to `told`, and closes them."""
    stores: list[Store] = []

    def opened(state_dir: Path | None, **more: object) -> Store:
        stores.append(open_store(state_dir, report=told, **more))  # type: ignore[arg-type]
        return stores[-1]

    yield opened
    for store in stores:
        store.close(SOON)


Opened = Callable[..., Store]


def keep(state_dir: Path, *models: str) -> None:
    """A keeper that knew these models and has ended."""
    store = open_store(state_dir, report=pytest.fail)
    for model in models:
        store.write("gpu", Kept(model, DOCUMENT))
    store.close(SOON)


def kept(state_dir: Path) -> list[str]:
    """The models that a keeper would find."""
    return [one.model for one in open_store(state_dir, report=pytest.fail, read_only=True).read("gpu")]


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


# --- documents --------------------------------------------------------------------------------------------------------


def test_a_document_outlives_its_store(tmp_path: Path, opened: Opened, told: Told) -> None:
    keep(tmp_path, "qwen3:8b", "")
    assert opened(tmp_path).read("gpu") == (Kept("", DOCUMENT), Kept("qwen3:8b", DOCUMENT))
    assert told.nothing


def test_the_servers_of_which_something_is_kept_are_known(tmp_path: Path, opened: Opened) -> None:
    store = opened(tmp_path)
    for server, model in (("gpu", "qwen3:8b"), ("gpu", "llama3.2:3b"), ("cpu", "")):
        store.write(server, Kept(model, DOCUMENT))
    store.close(SOON)
    assert opened(tmp_path).servers() == ("cpu", "gpu")
    assert open_store(tmp_path / "nowhere", report=pytest.fail, read_only=True).servers() == ()


def test_the_newest_document_of_a_model_is_kept(tmp_path: Path, opened: Opened) -> None:
    store = opened(tmp_path)
    for number in range(500):
        store.write("gpu", Kept("qwen3:8b", {"number": number}))
    store.close(SOON)
    assert opened(tmp_path).read("gpu") == (Kept("qwen3:8b", {"number": 499}),)


def test_a_forgotten_model_is_gone(tmp_path: Path, opened: Opened) -> None:
    keep(tmp_path, "a", "b")
    store = opened(tmp_path)
    store.forget("gpu", "a")
    store.close(SOON)
    assert kept(tmp_path) == ["b"]


def test_servers_do_not_see_each_others_models(tmp_path: Path, opened: Opened) -> None:
    keep(tmp_path, "a")
    assert opened(tmp_path).read("cpu") == ()


def test_a_document_that_is_too_large_is_told_and_takes_the_old_one_with_it(
    tmp_path: Path, opened: Opened, told: Told
) -> None:
    keep(tmp_path, "a", "b")
    store = opened(tmp_path)
    store.write("gpu", Kept("a", {"text": "x" * LARGEST_DOCUMENT}))
    store.close(SOON)
    assert "what is known of a is too large: 64.0 KiB" in (told.next().hint or "")
    assert kept(tmp_path) == ["b"]


def test_a_document_that_is_no_json_is_refused_at_once(tmp_path: Path, opened: Opened) -> None:
    with pytest.raises(TypeError):
        opened(tmp_path).write("gpu", Kept("a", {"when": object()}))


@pytest.mark.parametrize("value", ["'[1, 2]'", "'{'", "x'ff00ff'", "'" + "[" * 50_000 + "'", "7"])
def test_a_bad_document_costs_only_itself(tmp_path: Path, opened: Opened, told: Told, value: str) -> None:
    keep(tmp_path, "a", "b")
    execute(tmp_path / FILE, f"UPDATE kept SET document = {value} WHERE model = 'a'")
    assert [one.model for one in opened(tmp_path).read("gpu")] == ["b"]
    assert told.nothing


def test_a_file_that_can_no_longer_be_read_is_told_and_nothing_is_known(
    tmp_path: Path, opened: Opened, told: Told
) -> None:
    store = opened(tmp_path)
    (tmp_path / FILE).write_bytes(b"no database" * 1_000)
    assert store.read("gpu") == ()
    assert "not a database" in (told.next().hint or "")


def test_memory_only_keeps_nothing_and_tells_nothing(opened: Opened, told: Told) -> None:
    store = opened(None)
    store.write("gpu", Kept("a", DOCUMENT))
    store.forget("gpu", "b")
    assert store.read("gpu") == ()
    assert told.nothing


# --- the file and its place -------------------------------------------------------------------------------------------


def test_directory_and_files_are_the_owners_alone(tmp_path: Path, opened: Opened) -> None:
    state_dir = tmp_path / "deep" / "state"
    store = opened(state_dir)
    with closing(sqlite3.connect(state_dir / FILE)) as reader:  # so that the log of the file stays for a moment
        reader.execute("SELECT * FROM kept").fetchall()
        store.write("gpu", Kept("a", DOCUMENT))
        store.close(SOON)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state_dir.iterdir()}
    assert modes == {FILE: 0o600, f"{FILE}-wal": 0o600, f"{FILE}-shm": 0o600}
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700


def test_a_place_that_cannot_be_made_is_told_once_and_the_keeper_goes_on(
    tmp_path: Path, opened: Opened, told: Told
) -> None:
    (tmp_path / "file").touch()
    store = opened(tmp_path / "file" / "state")
    assert told.next().hint == "Not a directory; ollama-keeper goes on in memory; state_dir names another place, or off"
    assert store.read("gpu") == ()
    store.write("gpu", Kept("a", DOCUMENT))
    store.close(SOON)
    assert told.nothing


def test_what_could_not_be_written_is_written_when_the_place_is_there(
    tmp_path: Path, opened: Opened, told: Told
) -> None:
    blocker = tmp_path / "state"
    blocker.touch()
    store = opened(blocker)
    store.write("gpu", Kept("a", {"number": 1}))
    store.write("gpu", Kept("a", {"number": 2}))
    assert told.next().path == str(blocker / FILE)
    blocker.unlink()
    store.close(SOON)
    assert opened(blocker).read("gpu") == (Kept("a", {"number": 2}),)
    assert told.nothing


def test_a_file_deleted_under_the_keeper_comes_back_with_all_it_knows(
    tmp_path: Path, opened: Opened, told: Told
) -> None:
    store = opened(tmp_path, retry_s=0.0)
    store.write("gpu", Kept("a", DOCUMENT))
    wait_for(lambda: kept(tmp_path) == ["a"])
    (tmp_path / FILE).unlink()
    store.write("gpu", Kept("b", DOCUMENT))
    assert "unable to open" in (told.next().hint or "")
    store.close(SOON)
    assert kept(tmp_path) == ["a", "b"]


def test_a_file_that_is_a_directory_is_left_alone(tmp_path: Path, opened: Opened, told: Told) -> None:
    (tmp_path / FILE).mkdir()
    assert opened(tmp_path).read("gpu") == ()
    assert "Is a directory" in (told.next().hint or "")
    assert (tmp_path / FILE).is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="mounts are Linux's")
def test_a_full_disk_is_told_once_and_caught_up_with_when_there_is_space(tmp_path: Path, told: Told) -> None:
    """FAULTS E3. The disk is a tmpfs of 512 KiB, which only root can mount."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", tmp_path], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("may not mount a tmpfs here")
    try:
        store = open_store(tmp_path, report=told, retry_s=0.0)
        ballast = tmp_path / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(600_000))
        for number in range(20):
            store.write("gpu", Kept(f"m{number:02}", {"text": "x" * 1_000}))
        assert told.next().hint
        ballast.unlink()
        store.close(SOON)
        assert kept(tmp_path) == [f"m{number:02}" for number in range(20)]
        assert told.nothing
    finally:
        subprocess.run(["umount", tmp_path], check=True)


# --- damaged, newer, older --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"no database at all" * 100, id="another-kind-of-file"),
        pytest.param(lambda data: data[: len(data) // 2], id="cut-in-half"),
        pytest.param(lambda data: data[:200] + bytes(len(data) - 200), id="zeros-after-the-header"),
        pytest.param(lambda data: b"{" + data[1:], id="first-byte-wrong"),
    ],
)
def test_a_damaged_file_is_set_aside_and_begun_anew(
    tmp_path: Path, opened: Opened, told: Told, damage: Callable[[bytes], bytes]
) -> None:
    keep(tmp_path, "a")
    path = tmp_path / FILE
    bad = damage(path.read_bytes())
    path.write_bytes(bad)
    store = opened(tmp_path)
    assert told.next().hint == "it was damaged: set aside as state.db.bad, and begun anew"
    assert store.read("gpu") == ()
    store.write("gpu", Kept("b", DOCUMENT))
    store.close(SOON)
    assert kept(tmp_path) == ["b"]
    assert (tmp_path / "state.db.bad").read_bytes() == bad
    assert told.nothing


def test_wrong_bytes_anywhere_never_stop_the_keeper(tmp_path: Path) -> None:
    """Wherever the wrong byte is: what is written is found again, or the operator is told that it will not be."""
    keep(tmp_path, "a", "b")
    path = tmp_path / FILE
    good = path.read_bytes()
    for place in [*range(100), *range(100, len(good), 97)]:
        for old in tmp_path.iterdir():
            old.unlink()
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        told = Told()
        store = open_store(tmp_path, report=told, retry_s=0.0)
        store.read("gpu")
        store.write("gpu", Kept("c", DOCUMENT))
        store.close(SOON)
        assert not told.nothing or "c" in kept(tmp_path), f"byte {place}"


def test_damaged_files_are_counted_and_bounded(tmp_path: Path, opened: Opened) -> None:
    for number in range(12):
        (tmp_path / FILE).write_bytes(b"no database" * 100 + bytes([number]))
        opened(tmp_path)
    bad = [f"{FILE}.bad", *(f"{FILE}.bad{number}" for number in range(1, 10))]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([FILE, *bad])
    assert (tmp_path / f"{FILE}.bad9").read_bytes()[-1] == 11


def test_a_damaged_file_takes_its_log_along(tmp_path: Path, opened: Opened) -> None:
    """A log left behind would be played into the new file."""
    keep(tmp_path, "a")
    with closing(sqlite3.connect(tmp_path / FILE)) as other:  # holds the log open, as another keeper may
        other.execute("DELETE FROM kept")
        other.commit()
        (tmp_path / FILE).write_bytes(b"no database" * 1_000)
        opened(tmp_path)
        assert (tmp_path / f"{FILE}.bad-wal").exists()
        assert not (tmp_path / f"{FILE}-wal").exists()
    assert kept(tmp_path) == []


def test_a_damage_while_running_is_mended_with_all_the_keeper_knows(tmp_path: Path, opened: Opened, told: Told) -> None:
    store = opened(tmp_path, retry_s=0.0)
    store.write("gpu", Kept("a", DOCUMENT))
    wait_for(lambda: kept(tmp_path) == ["a"])
    (tmp_path / FILE).write_bytes(b"no database" * 1_000)
    store.write("gpu", Kept("b", DOCUMENT))
    store.close(SOON)
    assert [told.next().hint, told.next().hint][1] == "it was damaged: set aside as state.db.bad, and begun anew"
    assert kept(tmp_path) == ["a", "b"]


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path, opened: Opened, told: Told) -> None:
    path = tmp_path / FILE
    execute(
        path, "CREATE TABLE things (one TEXT)", "INSERT INTO things VALUES ('x')", f"PRAGMA user_version = {SCHEMA + 1}"
    )
    before = path.read_bytes()
    store = opened(tmp_path)
    assert told.next().hint == (
        f"a newer ollama-keeper wrote it (schema {SCHEMA + 1}, this one knows {SCHEMA}), so it is left alone; "
        "update ollama-keeper, or name another state_dir; ollama-keeper goes on in memory"
    )
    store.write("gpu", Kept("a", DOCUMENT))
    store.close(SOON)
    assert store.read("gpu") == ()
    assert path.read_bytes() == before
    assert told.nothing


def test_a_file_of_an_older_version_is_migrated_and_keeps_what_it_has(
    tmp_path: Path, opened: Opened, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, "a")
    monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (one TEXT)"))
    monkeypatch.setattr(module, "SCHEMA", SCHEMA + 1)
    assert [one.model for one in opened(tmp_path).read("gpu")] == ["a"]
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA + 1,)
        assert database.execute("SELECT count(*) FROM later").fetchone() == (0,)
    assert told.nothing


def test_a_migration_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(tmp_path, "a")
    monkeypatch.setattr(module, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (one TEXT)", "no statement"))
    monkeypatch.setattr(module, "SCHEMA", SCHEMA + 2)
    opened(tmp_path)
    with closing(sqlite3.connect(tmp_path / f"{FILE}.bad")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert database.execute("SELECT model FROM kept").fetchall() == [("a",)]


# --- reading only, sharing, being killed ------------------------------------------------------------------------------


def test_read_only_makes_nothing(tmp_path: Path, opened: Opened, told: Told) -> None:
    store = opened(tmp_path / "state", read_only=True)
    store.write("gpu", Kept("a", DOCUMENT))
    store.close(SOON)
    assert store.read("gpu") == ()
    assert not (tmp_path / "state").exists()
    assert told.nothing


def test_read_only_writes_nothing(tmp_path: Path, opened: Opened, told: Told) -> None:
    keep(tmp_path, "a")
    store = opened(tmp_path, read_only=True)
    store.write("gpu", Kept("b", DOCUMENT))
    store.close(SOON)
    assert kept(tmp_path) == ["a"]
    assert told.nothing


def test_two_keepers_may_share_a_file(tmp_path: Path, opened: Opened, told: Told) -> None:
    stores = [opened(tmp_path), opened(tmp_path)]
    for number in range(100):
        for which, store in enumerate(stores):
            store.write("gpu", Kept(f"own{which}", {"number": number}))
            store.write("gpu", Kept("shared", {"by": which}))
    for store in stores:
        store.close(SOON)
    found = {one.model: one.document for one in opened(tmp_path).read("gpu")}
    last = found.pop("shared")["by"]
    assert last in {0, 1}, "whoever wrote last, for each writes in its own time"
    assert found == {"own0": {"number": 99}, "own1": {"number": 99}}
    assert told.nothing


def test_a_locked_file_never_blocks_the_caller(tmp_path: Path, opened: Opened, told: Told) -> None:
    store = opened(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for number in range(1_000):
            store.write("gpu", Kept(f"m{number}", DOCUMENT))
        store.close(0.0)  # gives up the wait, not the work
        other.execute("ROLLBACK")
    store.close(SOON)
    assert len(kept(tmp_path)) == 1_000
    assert told.nothing


def test_fault_g6_a_killed_keeper_leaves_a_file_that_opens(tmp_path: Path, opened: Opened, told: Told) -> None:
    """Every document of one transaction is there, or none: what is found is whole."""
    endless = f"""
import sys
import time
from pathlib import Path
from ollama_keeper.store import Kept, open_store
from ollama_keeper.store import store as module
module.GATHER_S = 0.0
store = open_store(Path({str(tmp_path)!r}), report=print)
number = 0
while True:
    number += 1
    for model in "abc":
        store.write("gpu", Kept(model, {{"number": number, "text": "x" * 5000}}))
    if number == 50:
        print("going", flush=True)
"""
    for _ in range(3):
        keeper = subprocess.Popen([sys.executable, "-c", endless], stdout=subprocess.PIPE, text=True)
        assert keeper.stdout is not None
        with keeper.stdout:
            assert keeper.stdout.readline() == "going\n"
            wait_for(lambda: kept(tmp_path) == ["a", "b", "c"])
            keeper.send_signal(signal.SIGKILL)
            keeper.wait(SOON)
        found = opened(tmp_path).read("gpu")
        assert [len(one.document["text"]) for one in found] == [5_000] * 3
        assert told.nothing


def test_fault_g6_killed_while_it_is_made(tmp_path: Path, opened: Opened, told: Told) -> None:
    """What a kill between two steps of making leaves: an empty file, or one whose schema was rolled back."""
    (tmp_path / FILE).touch()
    assert opened(tmp_path).read("gpu") == ()
    assert told.nothing


def wait_for(done: Callable[[], bool]) -> None:
    """Asks again and again, which takes a millisecond each time as it opens the file."""
    end = time.monotonic() + SOON
    while not done():
        assert time.monotonic() < end, "it did not happen"
