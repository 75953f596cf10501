"""What the control socket takes, and what it refuses."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ollama_keeper.core.view import ModelRow, Status
from ollama_keeper.web.answers import Json
from ollama_keeper.web.control import LARGEST_BODY, control_app


@dataclass
class Meant:
    models: tuple[str, ...]
    unknown: tuple[str, ...] = ()


@dataclass
class Daemon:
    """Notes what it is told."""

    told: list[tuple[object, ...]] = field(default_factory=list)
    rows: tuple[ModelRow, ...] = ()

    def pause(self, models: Sequence[str], *, by: str, for_s: float | None, note: str | None, unload: bool) -> Meant:
        self.told.append(("pause", tuple(models), by, for_s, note, unload))
        return Meant(tuple(models))

    def resume(self, models: Sequence[str], *, by: str) -> Meant:
        self.told.append(("resume", tuple(models), by))
        return Meant(tuple(models))

    def warm(self, models: Sequence[str]) -> Meant:
        self.told.append(("warm", tuple(models)))
        return Meant(tuple(models))

    def held(self, models: Sequence[str]) -> Status:
        return Status(1, "2026-11-24T12:00:00+00:00", (), tuple(row for row in self.rows if row.model in models))

    def ask_to_reload(self) -> None:
        self.told.append(("reload",))


def client(daemon: Daemon) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(control_app(daemon)), base_url="http://localhost")


async def test_a_pause_is_passed_on_with_its_texts_made_printable() -> None:
    daemon = Daemon()
    async with client(daemon) as http:
        body = {"models": ["a"], "by": "me\x1b[2J", "for_s": 60, "note": "x" * 500 + "\n", "unload": True}
        answer = await http.post("/pause", json=body)
    assert answer.json() == {"models": ["a"], "unknown": []}
    assert daemon.told == [("pause", ("a",), "me[2J", 60.0, "x" * 200, True)]


async def test_a_warm_of_a_model_that_stays_absent_says_why_and_what_ends_it() -> None:
    paused = ModelRow("gpu", "a", "paused", "by_command", resident=False, required=True, paused_by="anna")
    daemon = Daemon(rows=(replace(paused, since="2026-11-24T11:50:00+00:00"), replace(paused, model="b")))
    async with client(daemon) as http:
        answer = await http.post("/warm", json={"models": ["a"]})
    assert answer.json()["models"] == ["a"]
    (held,) = answer.json()["held"]
    assert (held["server"], held["model"], held["state"], held["paused_by"]) == ("gpu", "a", "paused", "anna")
    assert held["text"] == "paused by anna 10m ago; to end it: ollama-keeper resume a"


async def test_the_socket_tells_what_it_is_given_to_tell_beside() -> None:
    async def status(_: Request) -> Response:
        return Json({"models": []})

    transport = httpx.ASGITransport(control_app(Daemon(), more=[Route("/status", status)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        assert (await http.get("/status")).json() == {"models": []}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"[" * 50_000, id="a-deep-one"),
        pytest.param(b'{"models": "a"}', id="models-as-text"),
        pytest.param(b'{"for_s": -1}', id="a-negative-time"),
        pytest.param(b'{"for_s": 1e300}', id="a-time-without-end"),
        pytest.param(b'{"for_s": NaN}', id="no-number"),
        pytest.param(b'{"note": "' + b"x" * LARGEST_BODY + b'"}', id="a-large-one"),
    ],
)
async def test_what_is_no_command_is_refused_and_changes_nothing(body: bytes) -> None:
    daemon = Daemon()
    async with client(daemon) as http:
        answer = await http.post("/pause", content=body)
    assert answer.status_code == 400
    assert daemon.told == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_a_post_is_a_command(method: str) -> None:
    daemon = Daemon()
    async with client(daemon) as http:
        assert (await http.request(method, "/reload")).status_code == 405
    assert daemon.told == []
