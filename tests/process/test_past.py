"""`events`, `explain` and `usage` as processes: beside a keeper, and after it was killed."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from ollama_keeper.store import FILE, SCHEMA
from tests.kit.proc import World, free_port, wait_for

pytestmark = pytest.mark.process

QWEN, LLAVA = "qwen3:8b", "llava:13b"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    """A world in which a keeper lost its model to a guest, and was killed."""
    with World(tmp_path_factory.mktemp("past"), forks=True) as world:
        server = world.simulate("--load-time", "100ms", "--max-loaded", "1")
        path = world.home / "keeper.yaml"
        path.write_text(f"ollama: {server.url}\nmodels: [{QWEN}]\ninterval: 1s\nstate_dir: {world.home / 'state'}\n")
        listen = f"127.0.0.1:{free_port()}"
        keeper = world.run("--config", str(path), OLLAMA_KEEPER_WEB__LISTEN=listen)
        keeper.until("model.ready")
        server.befalls("client", model=LLAVA, prompt="hi")
        lost = keeper.until("model.lost")
        assert lost["displaced_by"] == LLAVA
        keeper.until("model.yielding")
        wait_for(lambda: "model.yielding" in world.do("events", "-c", str(path)).out)
        wait_for(lambda: world.do("usage", "-c", str(path)).code == 0)  # the first of its beats of 5 s
        live = world.do("explain", QWEN, "-c", str(path), OLLAMA_KEEPER_WEB__LISTEN=listen)
        (world.home / "live.txt").write_text(live.out)
        (world.home / "address.txt").write_text(listen)
        keeper.signal(signal.SIGKILL)
        keeper.ended()
        yield world, str(path)


def test_explain_of_a_living_keeper_leads_with_the_answer(file: tuple[World, str]) -> None:
    world, _ = file
    lines = (world.home / "live.txt").read_text().splitlines()
    assert f"{QWEN} on" in lines[0]
    assert " is yielding (another model is in use) since " in lines[0]
    assert lines[1].endswith(f"another model displaced it ({LLAVA}).")
    assert lines[2].startswith("Next: ")


def test_what_goes_on_counts_in_thirty_days_as_in_one(file: tuple[World, str]) -> None:
    world, _ = file
    lines = (world.home / "live.txt").read_text().splitlines()
    (warm,) = (line for line in lines if line.startswith("Warm "))
    assert lines[-1].split()[4] in warm, f"{lines[-1]} is not what {warm} says"


def test_explain_of_a_killed_keeper_says_so_and_tells_what_was(file: tuple[World, str]) -> None:
    world, path = file
    listen = (world.home / "address.txt").read_text()
    done = world.do("explain", QWEN, "-c", path, OLLAMA_KEEPER_WEB__LISTEN=listen)
    assert done.code == 0
    assert "No ollama-keeper answers; the last sign of one is from " in done.out
    assert f"it was lost: displaced by {LLAVA}" in done.out
    assert "Losses: 1 displaced." in done.out


def test_explain_as_json_has_spans_without_gaps(file: tuple[World, str]) -> None:
    world, path = file
    (story,) = json.loads(world.do("explain", QWEN, "-c", path, "--json").out)
    assert story["daemon"] is False
    assert story["losses"] == {"displaced": 1}
    spans = story["spans"]
    assert all(one["end"] == other["begin"] for one, other in pairwise(spans))
    assert {event["event"] for event in story["events"]} >= {"keeper.started", "server.up", "model.lost"}


def test_events_as_json_are_the_lines_of_the_log(file: tuple[World, str]) -> None:
    world, path = file
    found = [json.loads(line) for line in world.do("events", "-c", path, "--json", "--model", QWEN).out.splitlines()]
    assert [one["event"] for one in found][:3] == ["warm.started", "model.ready", "model.lost"]
    assert list(found[2])[:3] == ["ts", "level", "event"]
    assert (found[2]["cause"], found[2]["displaced_by"]) == ("displaced", LLAVA)


def test_usage_says_since_when_there_are_records(file: tuple[World, str]) -> None:
    world, path = file
    done = world.do("usage", "-c", path)
    assert done.code == 0
    assert f"{QWEN}  pin " in done.out
    assert "Records begin " in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("command", [("explain",), ("usage",), ("events", "--model")], ids=lambda command: command[0])
def test_a_name_that_means_nothing_is_told_with_what_was_meant(
    file: tuple[World, str], command: tuple[str, ...]
) -> None:
    world, path = file
    done = world.do(*command, "qwen3:80b", "-c", path)
    assert (done.code, done.out) == (64, "")
    assert "'qwen3:80b' is not kept here, and nothing is recorded of it" in done.err
    assert f"did you mean {QWEN}?" in done.err
    far = world.do(*command, "z" * 10_000, "-c", path)
    assert (far.code, far.out) == (64, "")
    assert f"there are {QWEN}" in far.err
    assert len(far.err) < 400


def test_a_server_that_means_nothing_is_told_and_silence_is_too(file: tuple[World, str]) -> None:
    world, path = file
    done = world.do("events", "--server", "gpu-box", "-c", path)
    assert (done.code, done.out) == (64, "")
    assert "--server: no server is named 'gpu-box'" in done.err
    quiet = world.do("events", "--model", QWEN, "--since", "0s", "-c", path)
    assert (quiet.code, quiet.out) == (0, "")
    assert f"nothing of {QWEN} in the last 0s" in quiet.err


@pytest.mark.parametrize("command", [("explain", "mistral:7b"), ("usage", "mistral:7b")])
def test_a_kept_model_of_which_nothing_is_recorded_is_told(file: tuple[World, str], command: tuple[str, ...]) -> None:
    world, path = file
    newer = world.home / "newer.yaml"
    newer.write_text(Path(path).read_text().replace(f"[{QWEN}]", f"[{QWEN}, {command[1]}]"))
    done = world.do(*command, "-c", str(newer))
    assert done.code == 1
    assert f"nothing is recorded of {command[1]} yet" in done.err
    assert "Try: " in done.err


@pytest.mark.parametrize("command", [("events",), ("explain", QWEN), ("usage",)])
def test_without_a_history_it_says_where_it_looked(tmp_path: Path, command: tuple[str, ...]) -> None:
    with World(tmp_path, forks=True) as world:
        done = world.do(*command, OLLAMA_KEEPER_STATE_DIR=str(tmp_path / "nowhere"))
        assert done.code == 1
        assert str(tmp_path / "nowhere") in done.err
        assert "Try: " in done.err


@pytest.mark.parametrize("command", [("events",), ("explain", QWEN), ("usage",)])
def test_a_history_of_a_newer_version_is_told_with_what_to_do(tmp_path: Path, command: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    with World(tmp_path, forks=True) as world:
        done = world.do(*command, OLLAMA_KEEPER_STATE_DIR=str(tmp_path))
        assert done.code == 1
        assert f"a newer ollama-keeper wrote it (schema {SCHEMA + 1}, this one knows {SCHEMA})" in done.err
        assert "Try: update ollama-keeper" in done.err
