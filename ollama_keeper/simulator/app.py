"""The ASGI side: routes, the Host check, faults, and a client that hangs up in the middle."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from ipaddress import ip_address
from typing import Any

from ollama_keeper.simulator import endpoints, library, openai, pulling
from ollama_keeper.simulator.answers import CHUNKED_FROM, Answer, Cut, Problem, problem
from ollama_keeper.simulator.call import Call
from ollama_keeper.simulator.state import SECOND
from ollama_keeper.simulator.wire import PLAIN

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[[Call], Awaitable[Answer]]

CLIENT_GONE = 499
_LOCAL_ENDINGS = (".localhost", ".local", ".internal")

ROUTES: dict[str, dict[str, Handler]] = {
    "/": {"GET": library.root, "HEAD": library.root},
    "/api/version": {"GET": library.version, "HEAD": library.version},
    "/api/tags": {"GET": library.list_stored, "HEAD": library.list_stored},
    "/api/ps": {"GET": library.list_running},
    "/api/show": {"POST": library.show_model},
    "/api/delete": {"DELETE": library.delete},
    "/api/copy": {"POST": library.copy},
    "/api/pull": {"POST": pulling.pull},
    "/api/generate": {"POST": endpoints.generate},
    "/api/chat": {"POST": endpoints.chat},
    "/api/embed": {"POST": endpoints.embed},
    "/api/embeddings": {"POST": endpoints.embeddings},
    "/v1/chat/completions": {"POST": openai.guarded(openai.chat_completions)},
    "/v1/completions": {"POST": openai.guarded(openai.completions)},
    "/v1/embeddings": {"POST": openai.guarded(openai.embeddings)},
}


async def route(call: Call) -> Answer:
    """The answer of Ollama itself."""
    if call.shell.state.settings.host_check and not allowed_host(call.headers.get("host", "")):
        return Answer(403, b"", None)
    methods = ROUTES.get(call.path)
    if methods is None:
        return Answer(404, b"404 page not found", PLAIN)
    handler = methods.get(call.method)
    if handler is None:
        return _wrong_method(call, methods)
    try:
        return await handler(call)
    except Problem as bad:
        return problem(bad.status, bad.text)


def allowed_host(header: str) -> bool:
    """Whether a server bound to loopback takes a Host header (routes:1776-1838)."""
    host = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() and not header.endswith("]") else header
    host = host.strip("[]").lower()
    if host in {"", "localhost"} or host.endswith(_LOCAL_ENDINGS):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_private or address.is_unspecified


async def body_of(receive: Receive) -> bytes | None:
    """The request's body; None where the client hung up before its end."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def serve(work: Awaitable[int], receive: Receive, ended: asyncio.Future[None]) -> int:
    """Do the work of a request unless its client hangs up, or the server ends; the status, 499 for the first.

    Raises:
        Cut: the server ended.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        waiting: set[asyncio.Future[Any]] = {task, gone, ended}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if ended.done():
            raise Cut
        return CLIENT_GONE
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def send_answer(answer: Answer, call: Call, send: Send) -> None:
    """Put an answer on the wire; HEAD gets none of the body."""
    body = answer.body
    headers = [*_headers(answer), ("date", formatdate(call.shell.wall() / SECOND, usegmt=True))]
    if isinstance(body, bytes) and len(body) < CHUNKED_FROM:
        headers.append(("content-length", str(len(body))))
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else body})
        return
    async for part in body:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _headers(answer: Answer) -> list[tuple[str, str]]:
    given = list(answer.headers)
    return [("content-type", answer.content_type), *given] if answer.content_type else given


def _wrong_method(call: Call, methods: dict[str, Handler]) -> Answer:
    if not call.shell.state.version.method_not_allowed:
        return Answer(404, b"404 page not found", PLAIN)
    return Answer(405, b"405 method not allowed", PLAIN, (("allow", ", ".join(methods)),))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
