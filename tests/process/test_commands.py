"""Every command as a process: its exit code, what it prints, and where."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.kit.proc import Simulated, World, free_port, ours, wait_for

pytestmark = pytest.mark.process

QWEN, LLAMA, LLAVA, EMBED = "qwen3:8b", "llama3.2:3b", "llava:13b", "nomic-embed-text"
QUICK = ("--load-time", "100ms")
HEAVY = (
    "httpx",
    "pydantic",
    "pydantic_settings",
    "rich",
    "structlog",
    "apscheduler",
    "starlette",
    "uvicorn",
    "asyncio",
)
BAD_FILE = f"models:\n  - name: {QWEN}\n    keep_alive: forever\n"


def nobody() -> str:
    """An address where nothing listens."""
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    """A server for all tests here: QWEN is resident, LLAMA is not and stays so, LLAVA takes an hour to load."""
    with World(tmp_path_factory.mktemp("server"), forks=True) as world:
        server = world.simulate(*QUICK)
        server.befalls("client", model=QWEN, keep_alive=-1)
        server.befalls("load_time", model=LLAVA, seconds=3_600)
        wait_for(lambda: QWEN in server.resident())
        yield server


# --- help and mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [(), ("run",)], ids=["all", "run"])
def test_help_imports_nothing_heavy(world: World, command: tuple[str, ...]) -> None:
    listing = [sys.executable, "-X", "importtime", *ours(*command, "--help")[1:]]
    done = subprocess.run(listing, capture_output=True, text=True, env=world.environ(), check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint(HEAVY)
    assert "Examples:" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("keep", QWEN), id="no such command"),
        pytest.param(("run", QWEN, "--forever"), id="no such option"),
        pytest.param(("wait", QWEN, "--timeout", "soon"), id="not a duration"),
        pytest.param(("run", "--config"), id="an option without its value"),
        pytest.param(("demo", "--for", "0s"), id="no time at all"),
        pytest.param(("usage", "--days", "many"), id="not a number"),
    ],
)
def test_a_wrong_command_line_ends_with_64(world: World, arguments: tuple[str, ...]) -> None:
    done = world.do(*arguments)
    assert done.code == 64
    assert done.out == ""
    assert "Error: " in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(("run", QWEN, "--interval", "15"), "--interval: '15' has no unit; write 15s", id="no unit"),
        pytest.param(("run", QWEN, "--keep-alive", "forever"), "--keep-alive: 'forever' is not a", id="keep_alive"),
        pytest.param(("warm", QWEN, "--keep-alive", "1s"), "--keep-alive: 1s is less than two", id="too short a lease"),
        pytest.param(("run", QWEN, "--log-level", "loud"), "write debug, info, warning or error", id="no such level"),
        pytest.param(("plan", QWEN, "--context-length", "many"), "--context-length: 'many'", id="no context"),
        pytest.param(("check", QWEN, "--ollama", "not-a-url"), "write http://not-a-url", id="no URL"),
        pytest.param(("config", "init", "--ollama", "x"), "--ollama: 'x' is not the URL", id="no URL for config init"),
        pytest.param(("doctor",), "Did you mean 'ollama-keeper check'?", id="a word of other tools"),
        pytest.param(("load", QWEN), "Did you mean 'ollama-keeper warm'?", id="a word that is like the wrong command"),
        pytest.param(("wait", ""), "MODEL: '' is not a model name", id="an empty name"),
        pytest.param(("wait",), "MODEL: is missing", id="no name, and no file"),
        pytest.param(("pause",), "MODEL is missing", id="pause whom"),
        pytest.param(("release",), "MODEL is missing", id="release whom"),
        pytest.param(("healthcheck", "--url", "foo"), "--url: 'foo' is not HOST:PORT", id="no address"),
        pytest.param(("simulate", "--memory", "lots"), "--memory: 'lots' is not a size; write", id="no size"),
        pytest.param(("simulate", "--listen", "foo"), "--listen: 'foo' is not HOST:PORT", id="nowhere to listen"),
        pytest.param(("simulate", "--version", "new"), "--version: 'new' is not a version; write", id="no version"),
    ],
)
def test_what_is_wrong_in_a_flag_or_argument_ends_with_64_and_names_it(
    world: World, arguments: tuple[str, ...], told: str
) -> None:
    done = world.do(*arguments)
    assert done.code == 64
    assert done.out == ""
    assert told in done.err
    assert "Traceback" not in done.err


def test_what_is_wrong_in_a_variable_ends_with_78_also_beside_a_wrong_flag(world: World) -> None:
    done = world.do("run", QWEN, "--interval", "15", OLLAMA_KEEPER_PING_EVERY="soon")
    assert done.code == 78
    assert "--interval: '15'" in done.err
    assert "OLLAMA_KEEPER_PING_EVERY: 'soon'" in done.err


@pytest.mark.parametrize("command", ["run", "warm", "wait"])
def test_a_bad_configuration_ends_with_78_and_its_place(world: World, command: str) -> None:
    file = world.home / "bad.yaml"
    file.write_text(BAD_FILE)
    done = world.do(command, "--config", str(file))
    assert done.code == 78
    assert done.out == ""
    assert f"{file}:3:17: models[0].keep_alive: 'forever'" in done.err
    assert "Traceback" not in done.err


def test_a_named_file_that_is_not_there_ends_with_78(world: World) -> None:
    done = world.do("run", QWEN, "--config", "absent.yaml")
    assert done.code == 78
    assert "Traceback" not in done.err


# --- warm -------------------------------------------------------------------------------------------------------------


def test_warm_loads_once_and_ends(world: World) -> None:
    server = world.simulate(*QUICK)
    done = world.do("warm", QWEN, LLAMA, "--ollama", server.url)
    assert done.code == 0
    assert [line.split(": ")[1:3] for line in done.out.splitlines()] == [[QWEN, "ready"], [LLAMA, "ready"]]
    assert [load["model"] for load in server.loads()] == [QWEN, LLAMA]
    assert set(server.resident()) == {QWEN, LLAMA}


def test_warm_ends_with_1_when_a_model_is_not_pulled(world: World, server: Simulated) -> None:
    done = world.do("warm", QWEN, "absent:1b", "--ollama", server.url)
    assert done.code == 1
    assert "ollama pull absent:1b" in done.out + done.err


def test_warm_ends_with_2_when_nobody_answers(world: World) -> None:
    done = world.do("warm", QWEN, "--ollama", nobody(), "--wait-server", "2s", "--timeout", "3s")
    assert done.code == 2
    assert "connect_refused" in done.out + done.err


# --- wait -------------------------------------------------------------------------------------------------------------


def test_wait_ends_with_0_when_the_model_is_resident(world: World, server: Simulated) -> None:
    done = world.do("wait", QWEN, "--ollama", server.url)
    assert done.code == 0
    assert f"{QWEN}: ready" in done.out


def test_wait_ends_with_1_when_it_is_not_in_time(world: World, server: Simulated) -> None:
    done = world.do("wait", QWEN, LLAMA, "--ollama", server.url, "--timeout", "500ms")
    assert done.code == 1
    assert f"{LLAMA}: not resident in time" in done.out


def test_wait_ends_with_2_when_nobody_answers(world: World) -> None:
    assert world.do("wait", QWEN, "--ollama", nobody(), "--timeout", "200ms").code == 2


def test_wait_ends_when_somebody_else_has_loaded_the_model(world: World, server: Simulated) -> None:
    seen = len(server.requests("/api/ps"))
    waiting = world.start(ours("wait", EMBED, "--ollama", server.url))
    wait_for(lambda: len(server.requests("/api/ps")) > seen)
    server.befalls("client", model=EMBED, path="/api/embed")
    assert f"{EMBED}: ready" in (waiting.line() or "")
    assert waiting.ended() == 0
    assert all(load["model"] != EMBED for load in server.loads())


def test_the_first_interrupt_ends_wait(world: World, server: Simulated) -> None:
    seen = len(server.requests("/api/ps"))
    waiting = world.start(ours("wait", LLAMA, "--ollama", server.url))
    wait_for(lambda: len(server.requests("/api/ps")) > seen)
    waiting.signal(signal.SIGINT)
    assert waiting.ended() == 130
    assert "Traceback" not in waiting.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_first_signal_ends_warm(world: World, server: Simulated, number: signal.Signals) -> None:
    def under_way() -> list[str]:
        return [load["model"] for load in server.loads() if not load["outcome"]]

    warming = world.start(ours("warm", LLAVA, "--ollama", server.url))
    wait_for(under_way)
    warming.signal(number)
    assert warming.ended() == 128 + number
    assert "Traceback" not in warming.errors
    wait_for(lambda: not under_way())


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_is_one_json_document(world: World, server: Simulated) -> None:
    done = world.do("status", QWEN, "--ollama", server.url, "--json")
    assert done.code == 0
    document = json.loads(done.out)
    (asked,), (model, *_) = document["servers"], document["models"]
    assert (asked["state"], asked["version"]) == ("up", "0.33.0")
    assert (model["model"], model["state"], model["until"], model["resident"]) == (QWEN, "ready", "forever", True)


def test_status_ends_with_1_when_a_required_model_is_cold(world: World, server: Simulated) -> None:
    done = world.do("status", QWEN, LLAMA, "--ollama", server.url)
    assert done.code == 1
    head, *rows = (line.split()[:2] for line in done.out.splitlines())
    assert head == ["MODEL", "STATE"]
    assert rows[:2] == [[QWEN, "ready"], [LLAMA, "cold"]]


def test_status_ends_with_2_when_nobody_answers(world: World) -> None:
    done = world.do("status", QWEN, "--ollama", nobody(), "--json")
    assert done.code == 2
    assert json.loads(done.out)["servers"][0]["reason"] == "connect_refused"


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_dry_run_says_what_it_would_send_and_does_not_send_it(world: World, server: Simulated) -> None:
    before = len(server.history()["requests"])
    done = world.do("run", LLAMA, "--dry-run", "--ollama", server.url)
    assert done.code == 0
    assert '"keep_alive": -1' in done.out
    asked = {request["path"] for request in server.history()["requests"][before:]}
    assert asked <= {"/api/ps", "/api/version", "/api/tags", "/api/show"}


def test_dry_run_says_which_server_does_not_answer_and_ends(world: World, server: Simulated) -> None:
    done = world.do("run", LLAMA, "--dry-run", "--ollama", "http://127.0.0.1:9")
    assert (done.code, done.out) == (2, "")
    assert "127.0.0.1:9: waiting for the server: connect_refused" in done.err
    file = world.home / "two.yaml"
    file.write_text(f"models: [{LLAMA}]\nservers: [{{url: {server.url}}}, {{url: 'http://127.0.0.1:9'}}]\n")
    done = world.do("run", "--config", str(file), "--dry-run")
    assert done.code == 1
    assert f"{LLAMA}: " in done.out


def test_the_simulator_says_when_its_address_is_taken(world: World, server: Simulated) -> None:
    taken = server.url.removeprefix("http://")
    done = world.do("simulate", "--listen", taken)
    assert done.code == 1
    assert taken in done.err


def test_config_init_writes_a_file_that_run_accepts(world: World, server: Simulated) -> None:
    file = world.home / "config.yaml"
    begun = world.do("config", "init", "--ollama", server.url, "-o", str(file))
    assert begun.code == 0
    assert begun.out.endswith(f"then: ollama-keeper run --config {file}\n")
    done = world.do("run", "--config", str(file), "--dry-run")
    assert done.code == 0
    assert QWEN in done.out


NOWHERE = "/tmp/" + 300 * "x"
"""A place that cannot be looked at, by root either: a file system takes no such name."""


def test_places_that_cannot_be_looked_at_stop_no_command(world: World, server: Simulated) -> None:
    settings = {"OLLAMA_KEEPER_STATE_DIR": NOWHERE, "OLLAMA_KEEPER_WEB__SOCKET": f"{NOWHERE}/c.sock"}
    for command in (["status", QWEN], ["plan", QWEN], ["warm", QWEN], ["wait", QWEN]):
        done = world.do(*command, "--ollama", server.url, **settings)
        assert (command, done.code) == (command, 0)
        assert "Traceback" not in done.err
    assert world.do("pause", QWEN, **settings).code == 2
    events = world.do("events", **settings)
    assert events.code == 1
    assert "cannot be read: file name too long" in events.err


def test_config_init_says_why_a_place_cannot_be_written(world: World, server: Simulated) -> None:
    for place, why in ((NOWHERE, "File name too long"), (".", "is a folder")):
        done = world.do("config", "init", "--ollama", server.url, "-o", place)
        assert (done.code, done.out) == (1, "")
        assert why in done.err
        assert "Traceback" not in done.err


def test_the_daemon_keeps_where_its_places_cannot_be_looked_at(world: World, server: Simulated) -> None:
    settings = {"OLLAMA_KEEPER_STATE_DIR": NOWHERE, "OLLAMA_KEEPER_WEB__SOCKET": f"{NOWHERE}/c.sock"}
    keeper = world.run(QWEN, "--ollama", server.url, **settings)
    keeper.until("model.ready", model=QWEN)
    assert {"state.failed", "web.failed"} <= set(keeper.told)
