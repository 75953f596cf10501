"""The endpoints that look at what is stored or listed, and those that change it (OLLAMA.md 5, 6)."""

from dataclasses import replace

from ollama_keeper.core.names import BadName, ModelName, parse_name
from ollama_keeper.simulator.answers import Answer, Problem, whole
from ollama_keeper.simulator.call import CLOUD_DETAILS_DISABLED, Call, spelled
from ollama_keeper.simulator.state import StoredModel
from ollama_keeper.simulator.wire import TEXT, processes, show, tags


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


def add(call: Call, model: StoredModel) -> None:
    """Store a model under its name, in place of whatever was there."""
    name = parse_name(model.name)
    kept = (other for other in call.shell.state.models if parse_name(other.name) != name)
    call.shell.store(*kept, replace(model, modified_at=call.shell.wall()))


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
