"""FAULTS 8: the process, its files and its log; real processes, but where virtual time can be exact."""

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from ollama_keeper.core.changes import Change
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import make_model
from ollama_keeper.store import FILE, SCHEMA, open_store
from tests.faults.scenes import EMBED, INTERVAL_S, LLAMA, QWEN, looks, now
from tests.kit.checks import CANARY, gaps
from tests.kit.keeper import HOST, until
from tests.kit.living import page, survived
from tests.kit.ordeal import facing
from tests.kit.proc import Child, Simulated, World, free_port, ours, wait_for
from tests.kit.transport import SimTransport
from tests.process.test_keeping import FAILING_CLOCK
from tests.process.test_stdout import full_pipe

QUICK = ("--load-time", "100ms")
DAY_S = 86_400.0
REPEAT_S = 4 * 3_600.0


@pytest.fixture
def server(world: World) -> Simulated:
    return world.simulate(*QUICK)


def watching(world: World, server: Simulated, *flags: str, **more: object) -> Child:
    """A keeper that looks each second."""
    return world.run(QWEN, "--ollama", server.url, "--interval", "1s", *flags, **more)  # type: ignore[arg-type]


# --- E1, E2, E3: where the log goes -----------------------------------------------------------------------------------


@pytest.mark.process
def test_fault_E1_stdout_pipe_full(world: World, server: Simulated) -> None:
    with full_pipe() as (reader, writer):
        keeper = watching(world, server, "--log-level", "debug", stdout=writer)
        server.looked(3)
        assert server.resident()[QWEN]["pinned"]
        told = b""
        while b"model.ready" not in told:
            told += os.read(reader, 65_536)
        assert b"log.dropped" not in told
        keeper.signal(signal.SIGTERM)
        assert keeper.ended() == 0
    survived(server, keeper, told=told.decode())


@pytest.mark.process
def test_fault_E2_stdout_closed(world: World, server: Simulated) -> None:
    keeper = watching(world, server)
    keeper.until("keeper.started")
    keeper.stop_reading()
    server.looked(2)
    server.befalls("restart")
    wait_for(lambda: QWEN in server.resident())
    assert keeper.alive
    survived(server, keeper)


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_fault_E3_stdout_on_a_full_disk(world: World, server: Simulated) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        keeper = watching(world, server, stdout=full)
        server.looked(2)
        wait_for(lambda: QWEN in server.resident())
        assert keeper.alive
        survived(server, keeper)
    finally:
        os.close(full)


@contextmanager
def own_mounts(*commands: str) -> Iterator[list[str]]:
    """The beginning of a command line that runs in a mount namespace of its own; skips where that is not allowed."""
    script = " && ".join(["mount --make-rprivate /", *commands])
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "sh", "-c", script], check=False).returncode:
        pytest.skip("mount namespaces are not allowed here")
    yield ["unshare", "-m", "sh", "-c", f'{script} && exec "$@"', "sh"]


@pytest.mark.process
@pytest.mark.slow
def test_fault_E3_state_on_a_full_disk(world: World, server: Simulated, tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    with own_mounts(f"mount -t tmpfs -o size=64k tmpfs {place}") as alone:
        command = ours("run", QWEN, "--ollama", server.url, "--interval", "1s")
        keeper = world.start(
            [*alone, "sh", "-c", f'head -c 60k /dev/zero > {place}/ballast; exec "$@"', "sh", *command],
            OLLAMA_KEEPER_STATE_DIR=str(place),
        )
        keeper.until("state.failed")
        server.looked(2)
        inside = Path(f"/proc/{keeper.pid}/root{place}")
        (inside / "ballast").unlink()
        server.befalls("restart")
        keeper.until("model.lost")
        keeper.until("model.ready")
        keeper.signal(signal.SIGTERM)
        assert keeper.ended() == 0
        assert keeper.told.count("state.failed") == 1
    survived(server, keeper)


@pytest.mark.process
def test_fault_E4_read_only_root_and_no_home(world: World, server: Simulated) -> None:
    with own_mounts("mount -o remount,bind,ro /") as alone:
        without = ["env", "-u", "HOME", "-u", "XDG_STATE_HOME", "PYTHONDONTWRITEBYTECODE=1"]
        keeper = world.start([*alone, *without, *ours("run", QWEN, "--ollama", server.url, "--interval", "1s")])
        keeper.until("model.ready")
        server.looked(2)
        keeper.signal(signal.SIGTERM)
        assert keeper.ended() == 0
    survived(server, keeper)


# --- E5: the state file -----------------------------------------------------------------------------------------------


def state_of_another(place: Path, how: str) -> bytes:
    """Makes a state file that cannot be used; its bytes."""
    if how == "newer":
        with closing(sqlite3.connect(place / FILE)) as database:
            database.execute("CREATE TABLE later (things TEXT)")
            database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
            database.commit()
    else:
        (place / FILE).write_bytes({"garbage": os.urandom(4_096), "empty": b"", "text": b"{}"}[how])
    return (place / FILE).read_bytes()


@pytest.mark.parametrize("how", ["garbage", "text", "empty", "newer"])
async def test_fault_E5_state_file(sim: Simulator, tmp_path: Path, how: str) -> None:
    await sim.client(QWEN, keep_alive=-1)
    before, told = state_of_another(tmp_path, how), list[Change]()
    store = open_store(tmp_path, report=told.append)
    async with facing(sim, QWEN, settled=False, store=store) as keeper:
        await until(lambda: keeper.state(QWEN) == "ready")
    store.close(5)
    assert [change.event for change in told] == ([] if how == "empty" else ["state.failed"])
    if how == "newer":
        assert (tmp_path / FILE).read_bytes() == before
    elif how != "empty":
        assert (tmp_path / f"{FILE}.bad").read_bytes() == before
    assert len(sim.history.loads()) == 1


# --- E6, E8: what a start finds ---------------------------------------------------------------------------------------


@pytest.mark.process
def test_fault_E6_the_default_port_is_in_use(world: World, server: Simulated) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 11_480))
            taken.listen()
        except OSError:
            pass  # somebody else has it: it is in use all the same
        default = ["env", "-u", "OLLAMA_KEEPER_WEB__LISTEN"]
        keeper = world.start([*default, *ours("run", QWEN, "--ollama", server.url, "--interval", "1s")])
        assert keeper.until("web.failed")["address"] == "127.0.0.1:11480"
        keeper.until("model.ready")
        server.looked(2)
        assert keeper.told.count("web.failed") == 1
    survived(server, keeper)


@pytest.mark.process
def test_fault_E6_a_chosen_port_is_in_use(world: World, server: Simulated) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = world.do("run", QWEN, "--ollama", server.url, OLLAMA_KEEPER_WEB__LISTEN=address)
    assert done.code == 1
    assert address in done.err
    assert "Traceback" not in done.err
    assert server.history()["requests"] == []


@pytest.mark.process
def test_fault_E8_a_named_file_is_missing_at_start(world: World) -> None:
    done = world.do("run", "--config", str(world.home / "absent.yaml"))
    assert done.code == 78
    assert "absent.yaml" in done.err
    assert "Traceback" not in done.err


# --- E7, E8: the configuration while it runs --------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(written(QWEN), encoding="utf-8")
    return path


def written(*models: str, more: str = "") -> str:
    """A configuration with a secret in a header."""
    server = f"servers:\n  - url: http://{HOST}\n    headers: {{Authorization: Bearer {CANARY}}}\n"
    return f"{server}state_dir: off\nmodels: [{', '.join(models)}]\n{more}"


async def test_fault_E7_a_bad_configuration_changes_nothing(sim: Simulator, file: Path) -> None:
    async with facing(sim, QWEN, file=file) as keeper:
        began = now()
        file.write_text(written(QWEN, EMBED, more=f"keep_alive: {CANARY}\n"), encoding="utf-8")
        await asyncio.sleep(60)
        assert len(keeper.all("config.rejected")) == 1
        rejected = keeper.last("config.rejected")
        assert (rejected.line, rejected.key) == (6, "keep_alive")
        assert max(gaps(looks(sim, began))) <= INTERVAL_S + 0.1
        assert len(sim.history.loads()) == 1
        file.write_text(written(QWEN), encoding="utf-8")
        await until(lambda: len(keeper.all("config.loaded")) == 2, limit_s=5)


async def test_fault_E7_a_file_that_is_written_slowly(sim: Simulator, file: Path) -> None:
    async with facing(sim, QWEN, file=file) as keeper:
        whole = written(QWEN) + "# " + "x" * 400
        for end in range(40, len(whole), 40):
            file.write_text(whole[:end], encoding="utf-8")
            await asyncio.sleep(1)
        file.write_text(whole, encoding="utf-8")
        await asyncio.sleep(5)
        assert not keeper.all("config.rejected")


async def test_fault_E7_a_config_map_is_swapped(sim: Simulator, file: Path, tmp_path: Path) -> None:
    """Kubernetes swaps a link to a folder."""
    for number, models in enumerate([(QWEN,), (QWEN, EMBED)]):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "config.yaml").write_text(written(*models), encoding="utf-8")
    data = tmp_path / "..data"
    data.symlink_to("..0")
    async with facing(sim, QWEN, file=data / "config.yaml") as keeper:
        swap = tmp_path / "..tmp"
        swap.symlink_to("..1")
        swap.replace(data)
        assert await until(lambda: len(keeper.all("config.loaded")) == 2) <= 5
        await until(lambda: keeper.state(EMBED) == "ready")
        swap.symlink_to("..0")
        swap.replace(data)
        await until(lambda: len(keeper.all("config.loaded")) == 3, limit_s=5)
        await until(lambda: not keeper.daemon.servers[0].memory.leaving, limit_s=120)


async def test_fault_E8_the_file_is_removed_while_it_runs(sim: Simulator, file: Path) -> None:
    async with facing(sim, QWEN, file=file) as keeper:
        began = now()
        file.unlink()
        await asyncio.sleep(300)
        assert len(keeper.all("config.rejected")) == 1
        assert max(gaps(looks(sim, began))) <= INTERVAL_S + 0.1
        file.write_text(written(QWEN), encoding="utf-8")
        await asyncio.sleep(5)
    assert len(sim.history.loads()) == 1


# --- E9, E10: what breaks inside --------------------------------------------------------------------------------------


@pytest.mark.process
def test_fault_E9_a_background_task_dies(world: World, server: Simulated) -> None:
    flag = world.home / "clock-is-gone"
    command = [sys.executable, "-c", FAILING_CLOCK, str(flag), "run", QWEN, "--ollama", server.url, "--interval", "1s"]
    keeper = world.start(command)
    keeper.until("model.ready")
    flag.touch()
    assert keeper.ended() == 70
    assert keeper.events[-1]["event"] == "keeper.broken"
    assert "the clock is gone" in keeper.events[-1]["error"]
    assert len(server.loads()) == 1


class Raising(SimTransport):
    """Fails as only a fault of ours could, whenever one model is named in a load."""

    model: str | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.model and "/api/generate" in str(request.url) and self.model.encode() in await request.aread():
            raise ZeroDivisionError
        return await super().handle_async_request(request)


async def test_fault_E10_an_exception_in_one_models_job(sim: Simulator) -> None:
    network = Raising(sim)
    async with facing(sim, QWEN, LLAMA, transport=network, ours_broken=True, heal_s=400) as keeper:
        network.model = LLAMA
        sim.unload(QWEN)
        await asyncio.sleep(700)
        assert keeper.all("check.failed")
        assert all(LLAMA in str(change.told()) for change in keeper.all("check.failed"))
        assert keeper.state(QWEN) == "ready"
        network.model = None
    assert len(sim.history.loads(LLAMA)) == 1


# --- E12: floods ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("models", "seconds"), [(10, DAY_S), (1_000, 900)], ids=["a-day", "a-thousand-models"])
async def test_fault_E12_log_flood_of_a_server_that_is_down(models: int, seconds: float) -> None:
    sim = Simulator([make_model(f"m{number}", load_s=0.1, size=10**6) for number in range(models)])
    names = [f"m{number}" for number in range(models)]
    sim.stop()
    async with facing(sim, *names, settled=False, ends=dict.fromkeys(names, "unknown")) as keeper:
        await asyncio.sleep(60)
        begun = len(keeper.recorder.changes)
        await asyncio.sleep(seconds)
        told = keeper.recorder.changes[begun:]
    minutes = Counter(at.replace(second=0, microsecond=0) for at, change in told if change.event == "server.waiting")
    assert max(minutes.values()) <= 1
    others = Counter(change.event for _, change in told) - Counter({"server.waiting": sum(minutes.values())})
    assert others.pop("alert.firing") == 1
    assert others.pop("notification.sent") <= 1 + seconds // REPEAT_S
    assert others.pop("keeper.summary", 0) <= 1 + seconds // 3_600
    assert not others, "a change is told once, in the first minute"


# --- F10: secrets -----------------------------------------------------------------------------------------------------


@pytest.mark.process
def test_fault_F10_secrets_in_every_place(world: World, server: Simulated) -> None:
    token, address = world.home / "token", f"127.0.0.1:{free_port()}"
    token.write_text(CANARY)
    dead = f"http://127.0.0.1:{free_port()}"
    config = world.home / "config.yaml"
    config.write_text(
        f"servers:\n"
        f"  - {{name: good, url: {server.url}, headers: {{X-Key: {CANARY}}}}}\n"
        f"  - {{name: dead, url: {dead}, token_file: {token}}}\n"
        f"  - {{name: far, url: {server.url.replace('127.0.0.1', 'localhost')}, proxy: 'http://me:{CANARY}@{dead.partition('//')[2]}'}}\n"
        f"models: [{QWEN}]\ninterval: 1s\nlog: {{level: debug}}\n"
    )
    keeper = world.start(ours("run", "--config", str(config)), OLLAMA_KEEPER_WEB__LISTEN=address)
    keeper.until("server.waiting", server="dead")
    keeper.until("model.ready", server="good")
    good = config.read_text()
    config.write_text(f"{good}keep_alive: {CANARY}\n")
    keeper.until("config.rejected")
    config.write_text(good)
    pages = [page(address, path)[1] for path in ("/status", "/readyz", f"/readyz/{QWEN}", "/none")]
    argv = Path(f"/proc/{keeper.pid}/cmdline").read_text()
    shown = world.do("config", "show", "--config", str(config))
    keeper.signal(signal.SIGTERM)
    assert keeper.ended() == 0
    # It looks by itself, which beside the looks of the keeper would be two at once.
    status = world.do("status", "--config", str(config))
    told = "\n".join([*pages, argv, shown.out, shown.err, status.out, status.err])
    assert all(request["user_agent"].startswith("ollama-keeper") for request in server.requests("/api/ps"))
    survived(server, keeper, told=told)
