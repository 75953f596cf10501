"""What stands before every route (OPERATIONS 7), asked without a socket."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest

from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.web.app import web_app
from ollama_keeper.web.hosts import Hosts
from tests.kit.story import Story, instant, listed, wanted

BASE = "http://127.0.0.1:11480"
HOSTILE = "<script>&\x1b[31m\n\u2028"


def asking(*memories: ServerMemory) -> httpx.AsyncClient:
    app: Any = web_app(lambda: memories, lambda: instant(0), Hosts("127.0.0.1"))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=BASE)


@pytest.fixture
async def web() -> AsyncIterator[httpx.AsyncClient]:
    """One server on which `a` is resident."""
    async with asking(Story((wanted("a"),)).begins(listed("a")).memory) as client:
        yield client


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/readyz/a", "/readyz/b", "/status", "/", "/nothing"])
async def test_every_answer_is_kept_by_nobody_and_runs_nothing(web: httpx.AsyncClient, path: str) -> None:
    headers = (await web.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"host": "127.0.0.1", "content-length": "9"}])
async def test_an_answer_of_the_guard_itself_has_the_same_headers(
    web: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await web.get("/status", headers=headers)).headers["x-content-type-options"] == "nosniff"


async def test_a_foreign_host_is_told_how_to_be_known(web: httpx.AsyncClient) -> None:
    answer = await web.get("/livez", headers={"host": "evil.example"})
    assert answer.status_code == 403
    assert answer.json()["hint"] == "add it to web.allowed_hosts"


async def test_two_hosts_are_none(web: httpx.AsyncClient) -> None:
    answer = await web.get("/livez", headers=[("host", "127.0.0.1"), ("host", "evil.example")])
    assert answer.status_code == 403


async def test_a_foreign_origin_changes_nothing_and_may_read_nothing(web: httpx.AsyncClient) -> None:
    answer = await web.post("/status", headers={"origin": "http://evil.example"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    asked = await web.options("/status", headers={"origin": "x", "access-control-request-method": "GET"})
    assert asked.status_code == 405


@pytest.mark.parametrize("body", [{"content-length": "10000000"}, {"transfer-encoding": "chunked"}])
async def test_a_body_is_not_read_and_its_connection_is_closed(web: httpx.AsyncClient, body: dict[str, str]) -> None:
    for method, status in (("GET", 413), ("POST", 405)):
        answer = await web.request(method, "/livez", headers=body)
        assert (answer.status_code, answer.headers["connection"]) == (status, "close")


async def test_an_empty_body_is_none(web: httpx.AsyncClient) -> None:
    assert (await web.get("/livez", headers={"content-length": "0"})).status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/readyz/a", "/status"])
async def test_head_is_taken_as_get(web: httpx.AsyncClient, path: str) -> None:
    assert (await web.head(path)).status_code == 200


@pytest.mark.parametrize("path", ["/livez/", "/status/", "/livez/x", "//livez"])
async def test_a_route_is_taken_as_written_and_redirects_nowhere(web: httpx.AsyncClient, path: str) -> None:
    assert (await web.get(f"{BASE}{path}")).status_code == 404


@pytest.mark.parametrize("name", ["a", "a:latest", "A", "library/a", "registry.ollama.ai/library/a:latest"])
async def test_a_model_is_asked_by_any_form_of_its_name(web: httpx.AsyncClient, name: str) -> None:
    assert (await web.get(f"/readyz/{name}")).status_code == 200


async def test_an_encoded_slash_is_a_slash_of_a_name() -> None:
    story = Story((wanted("hf.co/org/name:q4"),)).begins()
    async with asking(story.memory) as web:
        answer = await web.get("/readyz/hf.co%2Forg%2Fname%3Aq4")
    assert answer.status_code == 503
    assert answer.json()["unready"][0]["model"] == "hf.co/org/name:q4"


async def test_a_hostile_name_is_escaped_wherever_it_comes_from() -> None:
    entry = listed("a")
    story = Story((wanted("a"),)).begins(entry)
    memory = story.looks(entry, named(HOSTILE)).memory
    async with asking(memory) as web:
        answer = await web.get("/status")
    assert answer.json()["models"][1]["model"] == HOSTILE
    assert not set("<>&\x1b\u2028") & set(answer.text)
    assert answer.text.count("\n") == 1


async def test_a_fault_of_ours_is_500_and_tells_nothing() -> None:
    def broken() -> Iterable[ServerMemory]:
        raise RuntimeError("secret")

    app: Any = web_app(broken, lambda: instant(0), Hosts("127.0.0.1"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as web:
        answer = await web.get("/status")
        assert (answer.status_code, answer.json()) == (500, {"error": "internal server error"})
        assert answer.headers["cache-control"] == "no-store"
        assert (await web.get("/livez")).status_code == 200


def named(text: str) -> Any:
    """A listed guest that a server calls by such a name."""
    from dataclasses import replace

    return replace(listed("guest"), text=text)
