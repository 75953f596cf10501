"""The `/v1` endpoints: the native ones behind other field lists, without keep_alive and num_ctx (OLLAMA.md 1)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from ollama_keeper.simulator.answers import Answer, Problem
from ollama_keeper.simulator.call import Call
from ollama_keeper.simulator.endpoints import Told, run_chat, run_embed, run_generate
from ollama_keeper.simulator.generation import Generation
from ollama_keeper.simulator.shell import RunnerDied
from ollama_keeper.simulator.state import SECOND
from ollama_keeper.simulator.wire import dumps

JSON = "application/json"
EVENTS = "text/event-stream"
_TYPES = {400: "invalid_request_error", 404: "not_found_error"}
_OPTIONS = {"max_tokens": "num_predict", "seed": "seed", "temperature": "temperature", "top_p": "top_p"}


def guarded(handler: Callable[[Call], Awaitable[Answer]]) -> Callable[[Call], Awaitable[Answer]]:
    """A handler whose problems are told in OpenAI's form."""

    async def answer(call: Call) -> Answer:
        try:
            return await handler(call)
        except Problem as bad:
            return _problem(bad.status, bad.text)

    return answer


async def chat_completions(call: Call) -> Answer:
    """POST /v1/chat/completions."""
    body = call.document("ChatCompletionRequest")
    if not body.get("messages"):
        raise Problem(400, "[] is too short - 'messages'")
    result = await run_chat(call, _native(body, "messages", "tools"))
    if isinstance(result, Generation) and body.get("stream"):
        return Answer(200, _events(call, result, _chat_chunk), EVENTS)
    return await _whole(call, result, "chatcmpl", "chat.completion", _message)


async def completions(call: Call) -> Answer:
    """POST /v1/completions; without a prompt it loads."""
    body = call.document("CompletionRequest")
    result = await run_generate(call, _native(body, "prompt", "suffix"))
    if isinstance(result, Generation) and body.get("stream"):
        return Answer(200, _events(call, result, _text_chunk), EVENTS)
    return await _whole(call, result, "cmpl", "text_completion", lambda text: {"text": text, "index": 0})


async def embeddings(call: Call) -> Answer:
    """POST /v1/embeddings; an empty input is computed or refused."""
    body = call.document("EmbedRequest")
    given = [""] if body.get("input") == "" else body.get("input")
    if given is None or given == []:
        raise Problem(400, "invalid input")
    done = await run_embed(call, {"model": body.get("model"), "input": given})
    data = [{"object": "embedding", "embedding": vector, "index": index} for index, vector in enumerate(done.vectors)]
    usage = {"prompt_tokens": done.tokens, "total_tokens": done.tokens}
    return _json({"object": "list", "data": data, "model": body.get("model"), "usage": usage})


def _native(body: Mapping[str, object], *kept: str) -> dict[str, object]:
    asked = {name: body[theirs] for theirs, name in _OPTIONS.items() if body.get(theirs) is not None}
    options = {"temperature": 1.0, "top_p": 1.0, **asked}
    fields = {name: body[name] for name in ("model", *kept) if name in body}
    return {**fields, "stream": bool(body.get("stream")), "options": options}


async def _whole(
    call: Call, result: Told | Generation, prefix: str, kind: str, choice: Callable[[str], dict[str, object]]
) -> Answer:
    if isinstance(result, Generation):
        try:
            await result.whole()
        except RunnerDied as died:
            raise Problem(500, str(died)) from died
        text, reason, used = result.text, result.done_reason, (result.prompt_tokens, result.done_tokens)
    else:
        text, reason, used = "", result.reason, (0, 0)
    choices = [{**choice(text), "finish_reason": reason}]
    usage = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
    return _json({**_head(call, result.shown_name, prefix, kind), "choices": choices, "usage": usage})


async def _events(
    call: Call,
    result: Generation,
    chunk: Callable[[Call, Generation, str | None, Mapping[str, str]], dict[str, object]],
) -> AsyncIterator[bytes]:
    """Server-sent events: a chunk a token, one that says why it ends, and the closing mark."""
    role = {"role": "assistant"}
    try:
        async for piece in result.pieces():
            yield _event(chunk(call, result, piece, role))
            role = {}
    except RunnerDied as died:
        yield dumps(_error(500, str(died))) + b"\n"
        return
    yield _event(chunk(call, result, None, {}))
    yield b"data: [DONE]\n\n"


def _chat_chunk(call: Call, result: Generation, piece: str | None, role: Mapping[str, str]) -> dict[str, object]:
    delta: dict[str, object] = {} if piece is None else {**role, "content": piece}
    reason = result.done_reason if piece is None else None
    head = _head(call, result.shown_name, "chatcmpl", "chat.completion.chunk")
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


def _text_chunk(call: Call, result: Generation, piece: str | None, _role: Mapping[str, str]) -> dict[str, object]:
    reason = result.done_reason if piece is None else None
    head = _head(call, result.shown_name, "cmpl", "text_completion")
    choices = [{"text": piece or "", "index": 0, "finish_reason": reason}]
    return {**{name: head[name] for name in ("id", "object", "created")}, "choices": choices, "model": head["model"]}


def _message(text: str) -> dict[str, object]:
    return {"index": 0, "message": {"role": "assistant", "content": text}}


def _head(call: Call, name: str, prefix: str, kind: str) -> dict[str, object]:
    created = call.shell.wall() // SECOND
    identity = f"{prefix}-{call.id % 999}"
    return {"id": identity, "object": kind, "created": created, "model": name, "system_fingerprint": "fp_ollama"}


def _event(body: Mapping[str, object]) -> bytes:
    return b"data: " + dumps(body) + b"\n\n"


def _json(body: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(status, dumps(body) + b"\n", JSON)


def _problem(status: int, text: str) -> Answer:
    return _json(_error(status, text), status)


def _error(status: int, text: str) -> dict[str, object]:
    kind = _TYPES.get(status, "api_error")
    return {"error": {"message": text, "type": kind, "param": None, "code": None}}
