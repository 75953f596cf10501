"""The page in a real browser: headless Chromium by Playwright, against a real keeper and a simulated server.

`make e2e` runs it; without Chromium or Playwright each test is skipped, and says which of them is missing.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.kit.proc import Child, Simulated, World, free_port

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LIMIT_MS = 15_000
LIMIT_S = 180  # of one test: axe-core takes 30 s of CPU for three looks at the page, and longer beside other work
TOKEN = "4f1c0a86e2b97d355c8e0f6a1b3d7942"
DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this needs a browser, and time that `make test` has not."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(LIMIT_S))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is missing: make e2e installs it")
    if CHROMIUM is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    playwright.expect.set_options(timeout=LIMIT_MS)  # without live events the page asks each 5 s
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Window:
    """One page of the browser, and all that it complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(LIMIT_MS)
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on("request", self._watch)

    def _listen(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _watch(self, request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:")):
            self.complaints.append(f"asked {request.url}")


Opened = Callable[..., Window]


@pytest.fixture
def opened(browser: Any) -> Iterator[Opened]:
    """Opens the page at an address; at the end nothing may have been complained of but what a test expects."""
    windows: list[tuple[Window, tuple[str, ...]]] = []

    def open_at(
        url: str,
        *,
        size: dict[str, int] = DESK,
        scheme: str = "light",
        answers: dict[str, Any] | None = None,
        expected: tuple[str, ...] = (),
    ) -> Window:
        context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=size is PHONE)
        window = Window(context.new_page())
        for path, answer in (answers or {}).items():
            window.page.route(f"**/{path}", answer if callable(answer) else _answering(answer))
        windows.append((window, expected))
        window.page.goto(url)
        return window

    yield open_at
    for window, expected in windows:
        window.page.context.close()
        left = [text for text in window.complaints if not any(part in text for part in expected)]
        assert left == []


def _answering(document: Any) -> Callable[[Any], None]:
    return lambda route: route.fulfill(json=document)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


@dataclass
class Kept:
    """A keeper at work on a simulated server."""

    server: Simulated
    keeper: Child
    url: str


@pytest.fixture
def kept(world: World, tmp_path: Path) -> Kept:
    """Two models of which both fit, looked at each second, and a token with which they can be commanded."""
    server = world.simulate("--load-time", "0.3s", "--memory", "24GiB").listens()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    address = f"127.0.0.1:{free_port()}"
    variables = {
        "OLLAMA_KEEPER_WEB__LISTEN": address,
        "OLLAMA_KEEPER_WEB__TOKEN_FILE": str(token),
        "OLLAMA_KEEPER_INTERVAL": "1s",
        "OLLAMA_KEEPER_BUDGET__MEMORY": "22GiB",
        "OLLAMA_KEEPER_UNLOAD_GRACE": "20s",
    }
    keeper = world.run("qwen3:8b", "nomic-embed-text", "--ollama", server.url, **variables)
    keeper.until("model.ready", model="qwen3:8b")
    keeper.until("model.ready", model="nomic-embed-text")
    return Kept(server, keeper, f"http://{address}/")
