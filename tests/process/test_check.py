"""`check` as a user sees it: what is wrong, why, what to do, and an exit code for scripts."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ollama_keeper.store import FILE, SCHEMA, Use, entry, open_store
from tests.kit.proc import World, free_port, wait_for

pytestmark = pytest.mark.process


def test_a_clean_configuration_a_missing_model_and_a_dead_server(world: World) -> None:
    server = world.simulate()
    clean = world.do("check", "qwen3:8b", "--ollama", server.url)
    assert (clean.code, clean.out) == (0, "1 model on 1 server: no findings\n")
    missing = world.do("check", "qwen3:8b", "nope", "--ollama", server.url, "--json")
    (finding,) = json.loads(missing.out)["findings"]
    assert missing.code == 2
    assert (finding["code"], finding["model"]) == ("missing", "nope")
    assert {request["path"] for request in server.history()["requests"]} <= {
        "/api/ps",
        "/api/version",
        "/api/tags",
        "/api/show",
    }
    dead = world.do("check", "qwen3:8b", "--ollama", "http://127.0.0.1:9")
    assert dead.code == 2
    assert "✗ 127.0.0.1:9: the server does not answer (connect_refused)" in dead.out
    assert "do:  nothing listens there; is Ollama running? (ollama serve)" in dead.out


def test_without_a_model_and_a_file_the_server_alone_is_checked(world: World) -> None:
    server = world.simulate()
    (finding,) = json.loads(world.do("check", "--ollama", server.url, "--json").out)["findings"]
    assert (finding["code"], finding["severity"]) == ("no_models", "note")
    done = world.do("check", "--ollama", "http://127.0.0.1:9")
    assert done.code == 2
    assert "the server does not answer (connect_refused)" in done.out
    config = world.home / "keeper.yaml"
    config.write_text("models: []\n")
    refused = world.do("check", "-c", str(config))
    assert refused.code == 78
    assert "names no model" in refused.err


def test_a_misspelt_name_is_told_with_the_one_that_is_near(world: World) -> None:
    server = world.simulate()
    done = world.do("check", "qwen3", "--ollama", server.url)
    assert done.code == 2
    assert "do:  did you mean qwen3:8b? else ollama pull qwen3; or set pull: if_missing" in done.out


def test_a_token_that_run_would_refuse_is_refused(world: World) -> None:
    config, token = world.home / "keeper.yaml", world.home / "token"
    token.write_text("short\n")
    token.chmod(0o600)
    config.write_text(f"models: [qwen3:8b]\nweb: {{token_file: {token}}}\n")
    done = world.do("check", "-c", str(config))
    assert done.code == 78
    assert "can be guessed" in done.err


def test_what_a_keeper_without_a_file_keeps_is_checked_and_planned(world: World) -> None:
    server, listen = world.simulate("--load-time", "100ms"), f"127.0.0.1:{free_port()}"
    settings = {"OLLAMA_HOST": server.url, "OLLAMA_KEEPER_WEB__LISTEN": listen}
    world.run("qwen3:8b", **settings).until("model.ready")
    wait_for(lambda: world.do("check", **settings).out == "1 model on 1 server: no findings\n")
    planned = world.do("plan", **settings)
    assert planned.code == 0
    assert "1  qwen3:8b" in planned.out


def test_a_secret_that_others_can_read_is_a_warning(world: World) -> None:
    server = world.simulate()
    token = world.home / "token"
    token.write_text("a-token-that-nobody-guesses-0123456789\n")
    token.chmod(0o644)
    config = world.home / "keeper.yaml"
    named_twice = f"servers: [{{url: '{server.url}', token_file: {token}}}]\nweb: {{token_file: {token}}}\n"
    config.write_text(f"{named_twice}models: [qwen3:8b]\n")
    done = world.do("check", "-c", str(config))
    assert done.code == 1
    assert done.out.count(f"do:  chmod 600 {token}") == 1
    assert "nobody-guesses" not in done.out + done.err


@pytest.fixture
def config(world: World) -> Path:
    """A configuration of a server called gpu, whose state directory is `state`."""
    server = world.simulate()
    path = world.home / "keeper.yaml"
    path.write_text(f"servers: [{{name: gpu, url: '{server.url}'}}]\nmodels: [qwen3:8b]\nstate_dir: {state(world)}\n")
    return path


def state(world: World) -> Path:
    return world.home / "state"


def codes(world: World, config: Path) -> dict[str, str]:
    """The findings by code, with what is said of each."""
    done = world.do("check", "-c", str(config), "--json")
    return {finding["code"]: finding["what"] for finding in json.loads(done.out)["findings"]}


def test_a_cron_script_is_found_by_its_effects(world: World, config: Path) -> None:
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    store = open_store(state(world), report=pytest.fail)
    store.append(*(Use("gpu", "qwen3:8b", hour - timedelta(hours=back), "pin", 12) for back in range(30)))
    store.append(*(Use("other", "qwen3:8b", hour - timedelta(hours=back), "pin", 12) for back in range(30)))
    came = {"server": "gpu", "model": "qwen3:8b", "by": "client"}
    ours = came | {"by": "keeper"}
    for back in range(6):
        store.append(entry(now - timedelta(days=back, minutes=20), "model.ready", "info", came, "loaded"))
        store.append(entry(now - timedelta(days=back, minutes=5), "model.ready", "info", ours, "warmed"))
    store.close(5.0)
    found = codes(world, config)
    assert found.keys() == {"regular_use", "regular_loads"}
    assert found["regular_use"] == "it was used in 12 minutes of each of the last 24 hours, and not by us"
    assert found["regular_loads"].startswith("it was loaded by a client at ")
    assert found["regular_loads"].endswith(" on 6 of the last 8 days")


def test_a_state_file_of_another_version_is_told_and_left_alone(world: World, config: Path) -> None:
    state(world).mkdir()
    path = state(world) / FILE
    shutil.copy(Path(__file__).parents[1] / "data" / "stores" / "schema-1.db", path)
    before = path.read_bytes()
    assert f"an older ollama-keeper wrote it (schema 1, this one's is {SCHEMA})" in codes(world, config)["state_older"]
    assert path.read_bytes() == before
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    assert f"(schema {SCHEMA + 1}, this one knows {SCHEMA})" in codes(world, config)["state_newer"]
