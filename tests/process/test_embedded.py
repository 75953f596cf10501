"""The keeper inside another program: a FastAPI application with two workers, `keep_warm` and `warm` in scripts."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.kit.proc import Child, Simulated, World, free_port, wait_for

pytestmark = pytest.mark.process

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_app.py"
MODEL = "qwen3:8b"
NOBODY = "http://127.0.0.1:9"


def get(url: str, *, method: str = "GET") -> tuple[int, dict[str, Any], dict[str, str]]:
    try:
        with urlopen(Request(url, method=method), timeout=20) as answer:
            return answer.status, json.load(answer), dict(answer.headers)
    except HTTPError as error:
        return error.code, json.load(error), dict(error.headers)


def served(url: str) -> bool:
    try:
        return get(url)[0] == 200
    except OSError:
        return False


class App:
    """The example, on a port of its own."""

    def __init__(self, world: World, server: str, *, workers: int) -> None:
        shutil.copy(EXAMPLE, world.home / "fastapi_app.py")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--workers", str(workers)]
        self.child: Child = world.start(command, stdout=subprocess.DEVNULL, OLLAMA_URL=server)
        wait_for(lambda: served(self.url), limit_s=30)


@pytest.fixture
def server(world: World) -> Simulated:
    return world.simulate("--load-time", "3s")


def test_two_workers_answer_at_once_and_only_one_of_them_keeps(world: World, server: Simulated) -> None:
    app = App(world, server.url, workers=2)
    status, body, headers = get(f"{app.url}/ask?question=why", method="POST")
    assert status == 503
    assert body["detail"]["error"] == f"{MODEL} is not ready"
    assert 1 <= int(headers["retry-after"]) <= 30
    assert get(f"{app.url}/readyz")[1]["unready"][0]["model"] == MODEL
    wait_for(lambda: all(get(f"{app.url}/readyz/{MODEL}")[0] == 200 for _ in range(8)))  # whichever worker is asked
    assert get(f"{app.url}/ask?question=why", method="POST")[0] == 200
    assert get(f"{app.url}/readyz/other")[0] == 404
    assert len(server.loads()) == 1
    app.child.signal(signal.SIGTERM)
    began = time.monotonic()
    app.child.ended()
    assert time.monotonic() - began < 20  # how quick it is, `make bench` tells
    assert server.resident()


def test_a_dead_ollama_never_stops_the_application(world: World) -> None:
    app = App(world, NOBODY, workers=1)
    assert get(app.url)[0] == 200
    status, body, _ = get(f"{app.url}/readyz")
    assert (status, body["unready"][0]["state"]) == (503, "unknown")
    app.child.signal(signal.SIGTERM)
    assert app.child.ended() in {0, 128 + signal.SIGTERM}


SCRIPT = """
import asyncio, logging, sys
from ollama_keeper import NotWarm, keep_warm, warm
logging.basicConfig(level="INFO", stream=sys.stderr, format="%(name)s %(message)s")
{body}
"""


def script(world: World, body: str) -> Child:
    return world.start([sys.executable, "-c", SCRIPT.format(body=body)])


def test_a_script_warms_and_reads_what_is_resident(world: World, server: Simulated) -> None:
    ran = script(
        world, f"print(warm('{MODEL}', ollama='{server.url}', timeout='60s')['models'][0]['state'], flush=True)"
    )
    assert ran.line() == "ready"
    assert ran.ended() == 0
    assert {line.split()[0] for line in ran.errors.splitlines()} == {"ollama_keeper"}


def test_what_is_not_warm_in_time_is_named_with_its_reason(world: World) -> None:
    ran = script(
        world,
        f"""
try:
    warm('{MODEL}', ollama='{NOBODY}', timeout=1.5)
except NotWarm as error:
    print(error, flush=True)
""",
    )
    assert ran.line() == f"not ready within 1.5 s: {MODEL} is unknown (first_look)"


def test_what_is_not_pulled_is_told_at_once_and_not_waited_for(world: World, server: Simulated) -> None:
    ran = script(
        world,
        f"""
try:
    warm('nosuch:1b', ollama='{server.url}', timeout='10m')
except NotWarm as error:
    print(error, flush=True)
""",
    )
    assert ran.line() == "will not be ready: nosuch:1b is missing (not_pulled)"


def test_a_mistake_is_told_with_its_place_before_anything_begins(world: World) -> None:
    ran = script(
        world,
        """
try:
    warm('qwen3:8b', keep_alive='forever')
except Exception as error:
    print(type(error).__name__, error, flush=True)
""",
    )
    assert (ran.line() or "").startswith("ConfigError")


def test_a_worker_that_looked_on_keeps_when_the_one_that_kept_has_ended(world: World, server: Simulated) -> None:
    body = f"""
async def main():
    async with keep_warm('{MODEL}', ollama='{server.url}', interval='1s', unload_grace='1s') as kept:
        print('leads' if kept.leads else 'looks on', flush=True)
        while True:
            await asyncio.sleep(0.5)
            if kept.leads: print('leads', flush=True)
asyncio.run(main())
"""
    first = script(world, body)
    assert first.line() == "leads"
    second = script(world, body)
    assert second.line() == "looks on"
    first.signal(signal.SIGKILL)
    assert second.line() == "leads"
    wait_for(server.resident)  # the first may have ended within its load, and what loads cannot be unloaded
    before = len(server.loads())
    server.befalls("unload", model=MODEL)
    wait_for(lambda: len(server.loads()) > before, limit_s=40)
