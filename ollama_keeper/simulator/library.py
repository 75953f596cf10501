"""The endpoints that look at what is stored or listed, and those that change it (OLLAMA.md 5, 6)."""

from collections.abc import AsyncIterator
from dataclasses import replace

from ollama_keeper.core.names import BadName, ModelName, parse_name
from ollama_keeper.simulator.answers import Answer, Problem, lines, whole
from ollama_keeper.simulator.call import CLOUD_DETAILS_DISABLED, INVALID_NAME, Call, spelled
from ollama_keeper.simulator.state import StoredModel
from ollama_keeper.simulator.wire import TEXT, dumps, error, processes, show, tags

PULL_STEP = 60_000_000  # nanoseconds between progress lines
PULL_STEPS = 5


async def root(_call: Call) -> Answer:
    """GET /."""
    return Answer(200, b"Ollama is running", TEXT)


async def version(call: Call) -> Answer:
    """GET /api/version: no lock, no disk."""
    await call.pause(call.shell.state.settings.delays.version)
    return whole({"version": call.shell.state.version.text})


async def list_running(call: Call) -> Answer:
    """GET /api/ps."""
    await call.pause(call.shell.state.settings.delays.listing)
    return whole(processes(await call.shell.listing()))


async def list_stored(call: Call) -> Answer:
    """GET /api/tags."""
    await call.pause(call.shell.state.settings.delays.tags)
    return whole(tags(call.shell.state.models, call.shell.state.version))


async def show_model(call: Call) -> Answer:
    """POST /api/show."""
    body = call.document("ShowRequest")
    sent = str(body.get("model") or body.get("name") or "")
    await call.pause(call.shell.state.settings.delays.show)
    required = Problem(400, "model is required")
    model = call.model(sent, empty=required, unknown=Problem(404, f"model '{spelled(sent)}' not found"))
    if model.remote_model:
        call.refuse_cloud(CLOUD_DETAILS_DISABLED)
    return whole(show(model, call.shell.state.version))


async def delete(call: Call) -> Answer:
    """DELETE /api/delete: what is loaded stays loaded."""
    body = call.document("DeleteRequest")
    sent = str(body.get("model") or body.get("name") or "")
    model = _find(call, sent, f"model '{sent}' not found")
    call.shell.store(*(other for other in call.shell.state.models if other is not model))
    return Answer(200, b"", None)


async def copy(call: Call) -> Answer:
    """POST /api/copy: the same manifest, hence the same digest and weights, under another name."""
    body = call.document("CopyRequest")
    source, destination = str(body.get("source") or ""), str(body.get("destination") or "")
    for part, sent in (("source", source), ("destination", destination)):
        _check_name(sent, Problem(400, f'{part} "{sent}" is invalid'))
    model = _find(call, source, f'model "{source}" not found')
    add(call, replace(model, name=spelled(destination)))
    return Answer(200, b"", None)


async def pull(call: Call) -> Answer:
    """POST /api/pull: a known name comes back as new; any other ends in an error line, with status 200."""
    body = call.document("PullRequest")
    sent = str(body.get("model") or body.get("name") or "")
    name = _check_name(sent, Problem(400, INVALID_NAME))
    model = call.shell.stored(name) or call.shell.pullable(name)
    if body.get("stream") is False:
        return await _pulled(call, model)
    return lines(_pull_lines(call, model))


def add(call: Call, model: StoredModel) -> None:
    """Store a model under its name, in place of whatever was there."""
    name = parse_name(model.name)
    kept = (other for other in call.shell.state.models if parse_name(other.name) != name)
    call.shell.store(*kept, replace(model, modified_at=call.shell.wall()))


async def _pulled(call: Call, model: StoredModel | None) -> Answer:
    last = b""
    async for line in _pull_lines(call, model):
        last = line.rstrip(b"\n")
    return Answer(200 if model else 500, last, "application/json")


async def _pull_lines(call: Call, model: StoredModel | None) -> AsyncIterator[bytes]:
    yield _progress("pulling manifest")
    if model is None:
        yield dumps(error("pull model manifest: file does not exist")) + b"\n"
        return
    digest = model.blob.rpartition("sha256-")[2] or model.digest
    for done in range(1, PULL_STEPS + 1):
        await call.pause(PULL_STEP)
        total = {"digest": f"sha256:{digest}", "total": model.size, "completed": model.size * done // PULL_STEPS}
        yield _progress(f"pulling {digest[:12]}", **total)
    for status in ("verifying sha256 digest", "writing manifest"):
        yield _progress(status)
    add(call, model)
    yield _progress("success")


def _progress(status: str, **more: object) -> bytes:
    return dumps({"status": status, **more}) + b"\n"


def _check_name(sent: str, problem: Problem) -> ModelName:
    try:
        return parse_name(sent)
    except BadName as bad:
        raise problem from bad


def _find(call: Call, sent: str, unknown: str) -> StoredModel:
    model = call.shell.stored(_check_name(sent, Problem(400, f'name "{sent}" is invalid')))
    if model is None:
        raise Problem(404, unknown)
    return model
