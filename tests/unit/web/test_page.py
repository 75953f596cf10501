"""The page as it is sent: small, nothing from outside, nothing inline, and kept only while it is the same."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from ollama_keeper import __version__
from ollama_keeper.core.reasons import Cause, Failure, Reason
from ollama_keeper.web.app import web_app
from ollama_keeper.web.hosts import Hosts
from ollama_keeper.web.page import FILES, FOLDER, page_routes
from tests.kit.story import Story, instant, listed, wanted

BASE = "http://127.0.0.1:11480"
MOST_BYTES = 60 * 1024
TEXTS = {name: (FOLDER / name).read_text(encoding="utf-8") for name, _ in FILES.values()}


def asking(*, control: bool = False) -> httpx.AsyncClient:
    memory = Story((wanted("a"),)).begins(listed("a")).memory
    app: Any = web_app(lambda: [memory], lambda: instant(0), Hosts("127.0.0.1"), more=page_routes(control=control))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)


@pytest.fixture
async def web() -> AsyncIterator[httpx.AsyncClient]:
    async with asking() as client:
        yield client


def test_all_of_it_is_at_most_60_kilobytes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(TEXTS)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MOST_BYTES


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")]
)
async def test_a_file_is_sent_with_a_policy_that_lets_nothing_else_in(
    web: httpx.AsyncClient, path: str, kind: str
) -> None:
    answer = await web.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
    policies = answer.headers.get_list("content-security-policy")
    assert len(policies) == 1
    assert dict(part.strip().split(" ", 1) for part in policies[0].split(";")) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_browser_that_has_it_already_gets_no_more_than_that_word(web: httpx.AsyncClient) -> None:
    first = await web.get("/page.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await web.get("/page.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = await web.get("/page.css", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


async def test_head_is_answered_without_the_file(web: httpx.AsyncClient) -> None:
    answer = await web.head("/")
    assert (answer.status_code, answer.content) == (200, b"")


class Tags(HTMLParser):
    """Every tag with its attributes, and the text of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_document_holds_no_script_or_style_and_asks_nobody_else() -> None:
    parser = Tags()
    parser.feed(TEXTS["index.html"])
    for tag, attributes in parser.tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            assert re.fullmatch(r"(data:image/svg\+xml,.*|#\w+|[a-z.]+)", attributes.get(name) or "x")


def test_the_script_makes_no_markup_of_text_and_names_no_other_place() -> None:
    script = TEXTS["page.js"]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\bcookie\b", script
    )
    assert set(re.findall(r"https?://[^\"' ]*", script)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"https?://|url\(|@import", TEXTS["page.css"])


@pytest.mark.parametrize("control", [True, False])
async def test_it_is_told_whether_commands_are_taken_and_what_reasons_are_called(control: bool) -> None:
    async with asking(control=control) as web:
        about = (await web.get("/about")).json()
    assert (about["version"], about["control"]) == (__version__, control)
    assert set(about["words"]) >= {*Reason, *Cause, *Failure}


@pytest.mark.parametrize(
    "path",
    [
        "/page.css/",
        "/static/page.js",
        "/../page.py",
        "/..%2fpage.py",
        "/%2e%2e/app.py",
        "/page.js%00",
        "//page.js",
        "/index.html",
    ],
)
async def test_no_other_file_is_reached_however_it_is_written(web: httpx.AsyncClient, path: str) -> None:
    assert (await web.get(f"{BASE}{path}")).status_code == 404
