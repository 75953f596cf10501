"""A stand-in of a service on a loopback socket, in a thread, for keepers that are processes of their own.

`python -m tests.kit.receiver` starts one of each kind, prints their addresses, and then every message as its reader
would see it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.kit.services import PATHS, Asked, Service, made


class Receiver:
    """One service at an address of its own."""

    def __init__(self, kind: str, service: Service | None = None, port: int = 0) -> None:
        self.service = service or made(kind)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self.service))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{PATHS[kind]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Listens no more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(kind: str) -> Iterator[Receiver]:
    """A receiver until the block ends."""
    receiver = Receiver(kind)
    try:
        yield receiver
    finally:
        receiver.close()


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = urlsplit(self.path).query
            asked = Asked(time.monotonic(), time.time(), self.command, query, headers, body)
            status, answered, content = service.answer(asked)
            self.send_response(status)
            for name, value in {**answered, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return Handler


def _words(document: Any) -> str:
    """What a reader would see of a message."""
    if "alerts" in document:
        notes = document["commonAnnotations"]
        return f"[{document['status']}] {notes['summary']}\n{notes['description']}"
    if "card" in document:
        card = document["card"]
        parts = [card["header"]["title"]["content"], *(one["text"]["content"] for one in card["elements"])]
        return "\n\n".join(parts)
    inner = document.get("content") or document.get("markdown") or {}
    return str(inner.get("text") or inner.get("content"))


def main() -> None:
    """One receiver of each kind, until interrupted."""
    receivers = {kind: Receiver(kind) for kind in PATHS}
    for kind, receiver in receivers.items():
        print(kind, receiver.url, flush=True)
    seen = dict.fromkeys(receivers, 0)
    while True:
        for kind, receiver in receivers.items():
            for one in receiver.service.asked[seen[kind] :]:
                seen[kind] += 1
                print(f"\n=== {kind} {'taken' if one.taken else 'REFUSED'}\n{_words(one.document)}", flush=True)
        time.sleep(0.2)


if __name__ == "__main__":
    main()
