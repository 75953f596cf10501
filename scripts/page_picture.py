"""Makes docs/page-light.png and docs/page-dark.png: the page of a real keeper on a simulated server.

python scripts/page_picture.py [FOLDER]

The present is real: processes of ours on loopback, a guest that a client loads, one model that is not pulled. The day
before is written into the state file, for nobody wants to wait for it. Needs what `make e2e` installs, and Chromium.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from ollama_keeper.core.timeline import Span
from ollama_keeper.store import Entry, open_store

SIZE = {"width": 1280, "height": 640}
SERVER, GUEST = "gpu", "llava:13b"
CONFIG = """\
servers:
  - name: gpu
    url: http://127.0.0.1:{server}
    budget: {{memory: 44GiB}}
models: [qwen3:8b, llama3.2:3b, nomic-embed-text, phi4:14b]
interval: 2s
web: {{listen: "127.0.0.1:{page}", socket: "off"}}
"""
DAY = {
    "qwen3:8b": "0 ready, 9.1 yielding, 9.6 loading, 9.61 ready, 18.2 cold, 18.22 loading, 18.23 ready",
    "llama3.2:3b": "0 ready, 9.1 cold, 9.62 loading, 9.63 ready, 14 paused, 16.5 loading, 16.51 ready",
    "nomic-embed-text": "0 ready, 18.2 cold, 18.23 ready",
}
LOST = (
    (9.1, "qwen3:8b", "displaced", GUEST),
    (9.1, "llama3.2:3b", "displaced", GUEST),
    (18.2, "qwen3:8b", "server_restarted", None),
    (18.2, "nomic-embed-text", "server_restarted", None),
)
READY_S = 20.0

_open = build_opener(ProxyHandler({})).open


def main() -> None:
    """Takes both pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs"), metavar="FOLDER")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as home, keeper(Path(home)) as url:
        take(url, folder)


@contextmanager
def keeper(home: Path) -> Iterator[str]:
    """A keeper at work; the address of its page."""
    server, page = free_port(), free_port()
    write_day(home)
    (home / "config.yaml").write_text(CONFIG.format(server=server, page=page))
    variables = {"STATE_DIRECTORY": str(home), "HOME": str(home)}
    simulated = started(
        "simulate", "--listen", f"127.0.0.1:{server}", "--memory", "48GiB", "--load-time", "1s", "--max-loaded", "6"
    )
    try:
        wait_for(f"http://127.0.0.1:{server}/api/version")
        kept = started("run", "--config", str(home / "config.yaml"), **variables)
        try:
            wait_for(f"http://127.0.0.1:{page}/readyz/nomic-embed-text")
            client(f"http://127.0.0.1:{server}")
            yield f"http://127.0.0.1:{page}/"
        finally:
            kept.terminate()
            kept.wait()
    finally:
        simulated.terminate()
        simulated.wait()


def take(url: str, folder: Path) -> None:
    """Both pictures of the page as it stands after some seconds."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport=SIZE, color_scheme=scheme, device_scale_factor=2, locale="en-GB")
            page.goto(url)
            page.locator(".loss").first.wait_for()
            page.wait_for_timeout(3_000)
            page.screenshot(path=folder / f"page-{scheme}.png")
        browser.close()


def write_day(home: Path) -> None:
    """The day before, as a keeper would have written it."""
    end = datetime.now(UTC)
    begin = end - timedelta(hours=23.9)
    store = open_store(home, report=lambda change: print(change, file=sys.stderr))
    for model, states in DAY.items():
        words = [part.split() for part in states.split(", ")]
        edges = [(begin + timedelta(hours=float(hours)), state) for hours, state in words]
        for (at, state), (until, _) in zip(edges, [*edges[1:], (end, "")], strict=True):
            store.append(Span(state, None, state == "ready", at, until, SERVER, model))
    for hours, model, cause, rival in LOST:
        fields = {"cause": cause, "displaced_by": rival} if rival else {"cause": cause}
        said = f"{model} on {SERVER} was lost: {f'displaced by {rival}' if rival else 'the server was restarted'}"
        store.append(Entry(begin + timedelta(hours=hours), "model.lost", "warning", SERVER, model, fields, said))
    store.close(READY_S)


def client(server: str) -> None:
    """Somebody loads a guest."""
    body = json.dumps({"model": GUEST, "keep_alive": "10m"}).encode()
    with _open(Request(f"{server}/api/generate", body), timeout=READY_S) as answer:  # noqa: S310 - ours
        answer.read()


def started(*arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    """A process of ours, its output unheard."""
    command = [sys.executable, "-m", "ollama_keeper", *arguments]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=os.environ | variables, **silent)  # noqa: S603 - ours


def wait_for(url: str) -> None:
    """Asks until the answer is 200."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            with _open(url, timeout=READY_S):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
