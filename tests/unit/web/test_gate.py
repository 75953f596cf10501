"""Commands over TCP: who may give them, and what a stranger, his page or a guesser is told (OPERATIONS 7)."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from ollama_keeper.core.changes import ControlRefused
from ollama_keeper.web.app import web_app
from ollama_keeper.web.control import LARGEST_BODY, command_routes
from ollama_keeper.web.gate import DELAY_S, TOLD_EVERY_S, WAITING, Gate
from ollama_keeper.web.hosts import Hosts
from tests.kit.story import Story, listed, wanted
from tests.kit.virtual import LoopClock
from tests.unit.web.test_control import Daemon

TOKEN = "4f1c0a86e2b97d355c8e0f6a1b3d7942"
BASE = "http://127.0.0.1:11480"
GOOD = {"authorization": f"Bearer {TOKEN}", "x-ollama-keeper": "1", "content-type": "application/json"}


@dataclass
class Surface:
    """A surface that takes commands, and what came of them."""

    daemon: Daemon = field(default_factory=Daemon)
    told: list[ControlRefused] = field(default_factory=list)

    def asking(self) -> httpx.AsyncClient:
        memory = Story((wanted("a"),)).begins(listed("a")).memory
        clock = LoopClock()
        gate = Gate(TOKEN.encode(), now=clock.now, tell=self.told.append)
        more = command_routes(self.daemon, below="/control")
        app: Any = web_app(lambda: [memory], clock.now, Hosts("127.0.0.1"), more=more, gate=gate)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, timeout=None)


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in GOOD.items() if key != name}


async def test_who_has_the_token_may_command() -> None:
    surface = Surface()
    async with surface.asking() as web:
        for command in ("pause", "resume", "warm"):
            answer = await web.post(f"/control/{command}", headers=GOOD, json={"models": ["a"], "by": "home"})
            assert answer.status_code == 200
            assert (answer.json()["models"], answer.json()["unknown"]) == (["a"], [])
        assert (await web.post("/control/reload", headers=GOOD, json={})).json() == {"asked": True}
    assert [told[0] for told in surface.daemon.told] == ["pause", "resume", "warm", "reload"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(without("x-ollama-keeper"), 403, id="without-our-own-header"),
        pytest.param(GOOD | {"x-ollama-keeper": "true"}, 403, id="with-another-value-of-it"),
        pytest.param(GOOD | {"origin": "http://evil.example"}, 403, id="from-a-foreign-origin"),
        pytest.param(GOOD | {"origin": "http://127.0.0.1:8080"}, 403, id="from-another-port-of-this-machine"),
        pytest.param(GOOD | {"origin": "null"}, 403, id="from-a-page-in-a-sandbox"),
        pytest.param(GOOD | {"sec-fetch-site": "cross-site"}, 403, id="across-sites"),
        pytest.param(GOOD | {"sec-fetch-site": "same-site"}, 403, id="from-a-sister-of-our-site"),
        pytest.param(GOOD | {"host": "evil.example"}, 403, id="by-a-name-rebound-to-us"),
        pytest.param(without("content-type"), 415, id="without-a-type"),
        pytest.param(GOOD | {"content-type": "text/plain"}, 415, id="as-a-form-could-send-it"),
        pytest.param(GOOD | {"content-length": "10000000"}, 413, id="with-10-megabytes"),
        pytest.param(GOOD | {"content-length": "-1"}, 413, id="with-a-length-that-is-none"),
        pytest.param(without("authorization"), 401, id="without-a-token"),
        pytest.param(GOOD | {"authorization": f"Basic {TOKEN}"}, 401, id="by-another-scheme"),
        pytest.param(GOOD | {"authorization": f"Bearer {TOKEN[:-1]}"}, 401, id="with-most-of-the-token"),
        pytest.param(GOOD | {"authorization": f"Bearer {TOKEN}é".encode()}, 401, id="with-more-than-the-token"),
        pytest.param(GOOD | {"authorization": "Bearer"}, 401, id="with-an-empty-token"),
        pytest.param(without("authorization") | {"cookie": f"token={TOKEN}"}, 401, id="with-a-cookie"),
    ],
)
async def test_nobody_else_may(headers: dict[str, Any], status: int) -> None:
    surface = Surface()
    async with surface.asking() as web:
        answer = await web.post("/control/pause", headers=headers, content=b"{}")
    assert answer.status_code == status
    assert surface.daemon.told == []
    assert not [name for name in answer.headers if name.startswith(("access-control-", "set-cookie"))]
    assert TOKEN not in answer.text


async def test_two_tokens_are_none() -> None:
    async with Surface().asking() as web:
        headers = [
            *without("authorization").items(),
            ("authorization", "Bearer x"),
            ("authorization", GOOD["authorization"]),
        ]
        assert (await web.post("/control/reload", headers=headers)).status_code == 401


async def test_our_own_page_may() -> None:
    async with Surface().asking() as web:
        headers = GOOD | {"origin": BASE, "sec-fetch-site": "same-origin"}
        assert (await web.post("/control/reload", headers=headers, json={})).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_nothing_but_a_post_is_a_command(method: str) -> None:
    surface = Surface()
    async with surface.asking() as web:
        answer = await web.request(method, "/control/reload", headers=GOOD)
    assert answer.status_code == 405
    assert surface.daemon.told == []


@pytest.mark.parametrize(
    "path", ["/control/stop", "/control/", "/control/../status", "/control/pause/", "/control//pause"]
)
async def test_there_are_no_other_commands(path: str) -> None:
    surface = Surface()
    async with surface.asking() as web:
        assert (await web.post(path, headers=GOOD, json={})).status_code in {404, 405}
    assert surface.daemon.told == []


async def test_without_a_token_file_nothing_can_be_commanded() -> None:
    memory = Story((wanted("a"),)).begins(listed("a")).memory
    app: Any = web_app(lambda: [memory], LoopClock().now, Hosts("127.0.0.1"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as web:
        assert (await web.post("/control/pause", headers=GOOD, json={})).status_code == 405


async def test_a_body_that_comes_in_chunks_is_measured_as_it_comes() -> None:
    surface = Surface()

    async def chunks() -> Any:
        for _ in range(200):
            yield b"x" * (LARGEST_BODY // 16)

    async with surface.asking() as web:
        answer = await web.post("/control/pause", headers=GOOD, content=chunks())
    assert (answer.status_code, answer.json()) == (400, {"error": "too large"})
    assert surface.daemon.told == []


async def test_guesses_are_taken_one_a_second_and_the_right_token_waits_for_none_of_them() -> None:
    surface = Surface()
    wrong = GOOD | {"authorization": "Bearer guess"}
    loop = asyncio.get_running_loop()
    async with surface.asking() as web:
        guesses = [asyncio.create_task(web.post("/control/reload", headers=wrong)) for _ in range(WAITING + 5)]
        await asyncio.sleep(DELAY_S / 2)
        assert (await web.post("/control/reload", headers=GOOD, json={})).status_code == 200
        assert loop.time() < DELAY_S
        answers = [(await guess).status_code for guess in guesses]
    assert (answers.count(401), answers.count(429)) == (WAITING, 5)
    assert loop.time() == pytest.approx(WAITING * DELAY_S, abs=0.1)


async def test_wrong_tokens_are_counted_and_told_once_a_minute() -> None:
    surface = Surface()
    async with surface.asking() as web:
        for _ in range(2 * int(TOLD_EVERY_S / DELAY_S)):
            await web.post("/control/reload", headers=without("authorization"))
    assert [change.failures for change in surface.told] == [1, 61]
    assert surface.told[0].address == "127.0.0.1"
