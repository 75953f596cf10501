"""POST /api/pull: layers one after another, a line each 60 ms, what has come is kept (OLLAMA.md 6; server/download.go).

Tried on 0.33.0-rc2 against a registry on loopback: every failure of the registry is a line inside a 200; a pull that is
cut goes on where it was; a layer that is there has one line, one that is done within 60 ms none; a stalled one repeats
its line. Read, not run: two pulls of one model share one download.
"""

from collections.abc import AsyncIterator

from ollama_keeper.core.names import BadName, parse_name
from ollama_keeper.simulator.answers import Answer, Problem, lines
from ollama_keeper.simulator.call import INVALID_NAME, Call
from ollama_keeper.simulator.library import add
from ollama_keeper.simulator.state import SECOND, StoredModel
from ollama_keeper.simulator.wire import dumps, error

HASHED = 2 * 10**9  # bytes a second, when the server verifies what has come
UNKNOWN = "pull model manifest: file does not exist"


async def pull(call: Call) -> Answer:
    """POST /api/pull: 400 for what is no name; everything else is told by lines."""
    body = call.document("PullRequest")
    try:
        name = parse_name(str(body.get("model") or body.get("name") or ""))
    except BadName as bad:
        raise Problem(400, INVALID_NAME) from bad
    model = call.shell.pullable(name) or call.shell.stored(name)
    if body.get("stream") is False:
        return await _whole(call, model)
    return lines(_lines(call, model))


async def _whole(call: Call, model: StoredModel | None) -> Answer:
    last = b""
    async for line in _lines(call, model):
        last = line.rstrip(b"\n")
    return Answer(500 if b'"error"' in last else 200, last, "application/json")


async def _lines(call: Call, model: StoredModel | None) -> AsyncIterator[bytes]:
    yield _told("pulling manifest")
    failure = call.shell.downloads.error
    if failure is not None or model is None:
        yield dumps(error(failure or UNKNOWN)) + b"\n"
        return
    try:
        for digest, total in _layers(model):
            async for line in _layer(call, digest, total):
                yield line
    except OSError as full:
        yield dumps(error(str(full))) + b"\n"
        return
    yield _told("verifying sha256 digest")
    await call.pause(model.size * SECOND // HASHED)
    yield _told("writing manifest")
    add(call, model)
    for digest, _ in _layers(model):
        call.shell.downloads.come.pop(digest, None)
    yield _told("success")


async def _layer(call: Call, digest: str, total: int) -> AsyncIterator[bytes]:
    downloads = call.shell.downloads
    if any(digest in stored.blob or digest == stored.digest for stored in call.shell.state.models):
        yield _progress(digest, total, total)
        return
    completed = downloads.come.get(digest, 0)
    while completed < total:
        await call.pause(downloads.tick)
        completed = downloads.take(digest, total)
        if completed < total:
            yield _progress(digest, completed, total)


def _layers(model: StoredModel) -> tuple[tuple[str, int], ...]:
    """Digest and size: the weights first, then all that is small."""
    weights = model.blob.rpartition("sha256-")[2] or model.digest
    return (weights, model.weights), (model.digest, model.size - model.weights)


def _progress(digest: str, completed: int, total: int) -> bytes:
    return _told(f"pulling {digest[:12]}", digest=f"sha256:{digest}", total=total, completed=completed)


def _told(status: str, **more: object) -> bytes:
    return dumps({"status": status, **more}) + b"\n"
