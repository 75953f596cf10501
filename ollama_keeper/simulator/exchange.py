"""One request to an ASGI app in the same loop, with a client that may hang up at any time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Asgi = Callable[..., Awaitable[None]]
Message = MutableMapping[str, Any]


class Exchange:
    """A request under way; `start` waits for the head of the answer, `parts` gives its body as it comes."""

    def __init__(self, app: Asgi, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Args: path: with its query, if any. headers: one `host` and one `user-agent` should be among them."""
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._body: list[bytes] = [body]
        self._gone = asyncio.Event()
        self._task = asyncio.ensure_future(self._run(app, _scope(method, path, headers)))

    async def start(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers.

        Raises:
            Cut: the server closed the connection.
        """
        message = await self._messages.get()
        if message is None:
            await self._task
            raise AssertionError("the app ended without an answer")
        return message["status"], list(message["headers"])

    async def parts(self) -> AsyncIterator[bytes]:
        """The body.

        Raises:
            Cut: the server closed the connection in the middle.
        """
        while (message := await self._messages.get()) is not None:
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body"):
                return
        await self._task

    async def close(self) -> None:
        """Hang up if it is still going on, and wait until the app has noticed."""
        self._gone.set()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, app: Asgi, scope: Message) -> None:
        try:
            await app(scope, self._receive, self._send)
        finally:
            self._messages.put_nowait(None)

    async def _receive(self) -> Message:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._messages.put_nowait(message)


async def ask(
    app: Asgi, method: str, path: str, who: str, body: Mapping[str, object] | None = None
) -> tuple[int, bytes]:
    """A whole exchange: status and body of the answer. Cancelling it hangs up.

    Raises:
        Cut: the server closed the connection.
    """
    raw = b"" if body is None else json.dumps(body).encode()
    exchange = Exchange(app, method, path, {"host": "127.0.0.1:11434", "user-agent": who}, raw)
    try:
        status, _ = await exchange.start()
        return status, b"".join([part async for part in exchange.parts()])
    finally:
        await exchange.close()


def _scope(method: str, path: str, headers: Mapping[str, str]) -> Message:
    bare, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 11434),
    }
