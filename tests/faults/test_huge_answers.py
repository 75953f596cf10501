"""FAULTS B9: answers without an end, or packed so that they grow; from a real server to a real keeper."""

import contextlib
import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.faults.scenes import QWEN
from tests.kit.proc import Child, World, wait_for

pytestmark = pytest.mark.process

CAP = 4 * 2**20
HUGE = 200 * 2**20
PART = b" " * 2**16


@cache
def bomb() -> bytes:
    """Much in little."""
    return gzip.compress(b" " * HUGE, 9)


class Huge(BaseHTTPRequestHandler):
    """Answers `/api/version` as Ollama does, and `/api/ps` with far too much."""

    protocol_version = "HTTP/1.1"
    manner: ClassVar[str] = ""
    looks: ClassVar[list[str]] = []
    posts: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):  # the keeper has hung up
            if self.path == "/api/version":
                self._head(("Content-Length", "20"))
                self.wfile.write(b'{"version":"0.33.0"}')
            else:
                self.looks.append(self.path)
                getattr(self, self.manner)()

    def do_POST(self) -> None:
        self.posts.append(self.path)

    def small(self) -> None:
        self._head(("Content-Length", "2"))
        self.wfile.write(b"{}")

    def plain(self) -> None:
        self._head(("Content-Length", str(HUGE)))
        for _ in range(HUGE // len(PART)):
            self.wfile.write(PART)

    def packed(self) -> None:
        self._head(("Content-Length", str(len(bomb()))), ("Content-Encoding", "gzip"))
        self.wfile.write(bomb())

    def endless(self) -> None:
        self._head(("Transfer-Encoding", "chunked"))
        while True:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(PART), PART))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base names it
        pass

    def _head(self, *fields: tuple[str, str]) -> None:
        self.send_response(200)
        for name, value in fields:
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def answering() -> Iterator[tuple[str, type[Huge]]]:
    """A server whose manner can be changed; and what came."""
    handler = type("Answering", (Huge,), {"manner": "small", "looks": [], "posts": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", handler
        finally:
            server.shutdown()
            thread.join()


def peak(child: Child) -> int:
    """The most bytes of memory that a process has had."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("manner", ["plain", "packed", "endless"])
def test_fault_B9_more_than_anybody_can_read(world: World, manner: str) -> None:
    with answering() as (url, server):
        keeper = world.run(QWEN, "--ollama", url, "--interval", "1s")
        assert keeper.until("server.waiting")["reason"] == "bad_shape"
        before, seen = peak(keeper), len(server.looks)
        server.manner = manner
        wait_for(lambda: len(server.looks) >= seen + 2)
        assert peak(keeper) - before < 4 * CAP
        assert server.posts == []
        keeper.close()
