"""The native endpoints that want a runner: generate, chat, embed, embeddings (OLLAMA.md 2; routes.go)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ollama_keeper.core.names import parse_name
from ollama_keeper.simulator.answers import Answer, Problem, lines, problem, whole
from ollama_keeper.simulator.call import CLOUD_DISABLED, Call, spelled
from ollama_keeper.simulator.embedding import embed_text
from ollama_keeper.simulator.generation import Generation, count_tokens
from ollama_keeper.simulator.keepalive import means_unload
from ollama_keeper.simulator.shell import RunnerDied
from ollama_keeper.simulator.state import Kind, StoredModel
from ollama_keeper.simulator.wire import dumps, error, rfc3339


@dataclass(frozen=True, slots=True)
class Told:
    """A request that was answered without computing: `load` or `unload`."""

    shown_name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors in the order of the texts, nanoseconds until the runner was there, tokens of the texts."""

    shown_name: str
    vectors: list[list[float]]
    load_duration: int
    tokens: int


async def generate(call: Call) -> Answer:
    """POST /api/generate."""
    return await _native(call, await run_generate(call, call.document("GenerateRequest")), "response")


async def chat(call: Call) -> Answer:
    """POST /api/chat."""
    return await _native(call, await run_chat(call, call.document("ChatRequest")), "message")


async def run_generate(call: Call, body: Mapping[str, object]) -> Told | Generation:
    """Everything up to the answer, in Ollama's order: name, remote, unload, image, raw, thinking, capability, runner.

    Raises:
        Problem: the error answer.
    """
    keep_alive, sent = call.keep_alive(body), str(body.get("model") or "")
    await call.pause(call.shell.state.settings.delays.load_only)
    unknown = Problem(404, f"model '{sent}' not found")
    model = call.model(sent, empty=unknown, unknown=unknown)
    if model.remote_model:
        call.refuse_cloud(CLOUD_DISABLED)
    prompt = str(body.get("prompt") or "")
    if not prompt and means_unload(keep_alive, call.shell.state.version):
        return await _unload(call, model, sent)
    _refuse_image(call, model)
    if body.get("raw") and (body.get("template") or body.get("system") or body.get("context")):
        raise Problem(400, "raw mode does not support template, system, or context")
    _check_thinking(model, body, sent)
    _check_completion(model, sent, "generate")
    if body.get("suffix"):
        _check_capability(model, "insert")
    await call.shell.acquire(call.wanted(model, _without_image_options(model, body), keep_alive))
    return Generation.of(call, model, body, prompt) if prompt else Told(sent, "load")


async def run_chat(call: Call, body: Mapping[str, object]) -> Told | Generation:
    """The same for a chat.

    Raises:
        Problem: the error answer.
    """
    keep_alive, sent = call.keep_alive(body), str(body.get("model") or "")
    await call.pause(call.shell.state.settings.delays.load_only)
    unknown = Problem(404, f"model '{sent}' not found")
    model = call.model(sent, empty=Problem(400, "model is required"), unknown=unknown)
    messages = _messages(body)
    if not messages and means_unload(keep_alive, call.shell.state.version, chat=True):
        return await _unload(call, model, sent)
    if model.remote_model:
        call.refuse_cloud(CLOUD_DISABLED)
    _check_thinking(model, body, sent)
    _check_completion(model, sent, "chat")
    if body.get("tools"):
        _check_capability(model, "tools")
    await call.shell.acquire(call.wanted(model, body, keep_alive))
    return Generation.of(call, model, body, "\n".join(messages)) if messages else Told(sent, "load")


async def embed(call: Call) -> Answer:
    """POST /api/embed."""
    done = await run_embed(call, call.document("EmbedRequest"))
    body: dict[str, object] = {"model": done.shown_name, "embeddings": done.vectors}
    if done.vectors:
        body |= {"total_duration": max(call.elapsed(), 1), "load_duration": done.load_duration}
        body |= {"prompt_eval_count": done.tokens}
    return whole(body)


async def run_embed(call: Call, body: Mapping[str, object]) -> Embedded:
    """The vectors of an embed request; an empty input only loads, and keep_alive 0 is no shortcut here.

    Raises:
        Problem: the error answer.
    """
    keep_alive, sent = call.keep_alive(body), str(body.get("model") or "")
    await call.pause(call.shell.state.settings.delays.load_only)
    empty = Problem(404, f"model '{sent}' not found")
    texts = _inputs(body.get("input")) if sent.strip() else []
    model = call.model(sent, empty=empty, unknown=_try_pulling(sent))
    await call.shell.acquire(call.wanted(model, body, keep_alive))
    load_duration = max(call.elapsed(), 1)
    vectors = await _vectors(call, model, texts) if texts else []
    return Embedded(sent, vectors, load_duration, sum(count_tokens(text) + 1 for text in texts))


async def embeddings(call: Call) -> Answer:
    """POST /api/embeddings, the old one; the name must be spelled as stored (OLLAMA.md 5)."""
    body = call.document("EmbeddingRequest")
    keep_alive, sent = call.keep_alive(body), str(body.get("model") or "")
    await call.pause(call.shell.state.settings.delays.load_only)
    model = call.model(sent, empty=Problem(400, "model is required"), unknown=_try_pulling(sent))
    if spelled(sent) != model.name:
        raise _try_pulling(sent)
    await call.shell.acquire(call.wanted(model, body, keep_alive))
    prompt = str(body.get("prompt") or "")
    vectors = await _vectors(call, model, [prompt]) if prompt else [[]]
    return whole({"embedding": vectors[0]})


async def _vectors(call: Call, model: StoredModel, texts: list[str]) -> list[list[float]]:
    shell = call.shell
    try:
        await shell.slot(call.id)
        await shell.work(call.id, shell.state.settings.delays.embedding * len(texts))
    except RunnerDied as died:
        raise Problem(400 if call.path.endswith("embed") else 500, str(died)) from died
    return [embed_text(text, model.embedding_length or 32) for text in texts]


async def _unload(call: Call, model: StoredModel, sent: str) -> Told:
    await call.shell.ask_unload(call.id, model.key, call.who)
    return Told(sent, "unload")


async def _native(call: Call, result: Told | Generation, place: str) -> Answer:
    if isinstance(result, Told):
        head = _head(call, result.shown_name, place, "")
        return whole({**head, "done": True, "done_reason": result.reason})
    if result.stream:
        return await _streamed(call, result, place)
    try:
        await result.whole()
    except RunnerDied as died:
        return problem(500, str(died))
    return whole({**_head(call, result.shown_name, place, result.text), **_tail(result, place)})


async def _streamed(call: Call, result: Generation, place: str) -> Answer:
    """A stream; an error before its first token has a status of its own, from 0.12.6."""
    pieces = result.pieces()
    try:
        first = await anext(pieces)
    except RunnerDied as died:
        if call.shell.state.version.streams_error_status:
            return whole(error(str(died)), 500, "application/json")
        return lines(_one(error(str(died))))
    return lines(_lines(call, result, place, first, pieces))


async def _lines(
    call: Call, result: Generation, place: str, first: str, pieces: AsyncIterator[str]
) -> AsyncIterator[bytes]:
    name = result.shown_name
    yield _line({**_head(call, name, place, first), "done": False})
    try:
        async for piece in pieces:
            yield _line({**_head(call, name, place, piece), "done": False})
    except RunnerDied as died:
        yield _line(error(str(died)))
        return
    yield _line({**_head(call, name, place, ""), **_tail(result, place)})


async def _one(body: Mapping[str, object]) -> AsyncIterator[bytes]:
    yield _line(body)


def _line(body: Mapping[str, object]) -> bytes:
    return dumps(body) + b"\n"


def _head(call: Call, name: str, place: str, text: str) -> dict[str, object]:
    said: object = text if place == "response" else {"role": "assistant", "content": text}
    return {"model": name, "created_at": rfc3339(call.shell.wall()), place: said}


def _tail(result: Generation, place: str) -> dict[str, object]:
    metrics = result.metrics() if place == "response" else result.timings()
    return {"done": True, "done_reason": result.done_reason, **metrics}


def _messages(body: Mapping[str, object]) -> list[str]:
    messages = body.get("messages")
    found = messages if isinstance(messages, list) else []
    return [str(message.get("content") or "") if isinstance(message, dict) else "" for message in found]


def _inputs(value: object) -> list[str]:
    match value:
        case None | "":
            return []
        case str():
            return [value]
        case list() if all(isinstance(one, str) for one in value):
            return [str(one) for one in value]
    raise Problem(400, "invalid input type")


def _try_pulling(sent: str) -> Problem:
    return Problem(404, f'model "{sent}" not found, try pulling it first')


def _refuse_image(call: Call, model: StoredModel) -> None:
    if model.kind is Kind.IMAGE and call.shell.state.version.refuses_images:
        raise Problem(400, "image generation models are not currently supported")


def _without_image_options(model: StoredModel, body: Mapping[str, object]) -> Mapping[str, object]:
    return {**body, "options": None} if model.kind is Kind.IMAGE else body


def _check_thinking(model: StoredModel, body: Mapping[str, object], sent: str) -> None:
    if body.get("think") and "thinking" not in model.capabilities:
        raise Problem(400, f'"{sent}" does not support thinking')


def _check_completion(model: StoredModel, sent: str, what: str) -> None:
    if not model.completes and model.kind is not Kind.IMAGE:
        raise Problem(400, f'"{sent}" does not support {what}')


def _check_capability(model: StoredModel, capability: str) -> None:
    if capability not in model.capabilities:
        raise Problem(400, f"{parse_name(model.name).full} does not support {capability}")
