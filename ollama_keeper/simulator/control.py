"""The control path `/-/`: what happened, and mishaps to order. It is no part of Ollama, and leaves no record.

`GET /-/history` is all that happened, `GET /-/resident` what is loaded now. `POST /-/mishap` with `{"verb": NAME, …}`
calls the method of that name on `Simulator`, with the other fields as its arguments.
"""

import asyncio
import inspect
import json
from dataclasses import asdict, is_dataclass
from typing import Any

from ollama_keeper.simulator.answers import Answer, problem, whole
from ollama_keeper.simulator.call import Call

PREFIX = "/-/"
MISHAP = "verb"


def is_control(path: str) -> bool:
    """Whether a path is none of Ollama's."""
    return path.startswith(PREFIX)


async def answer(server: Any, call: Call) -> Answer:
    """The answer of the control path; `server` is the `Simulator` itself."""
    match call.method, call.path:
        case "GET", "/-/history":
            return whole(server.history.as_json())
        case "GET", "/-/resident":
            return whole({"models": [asdict(one) for one in server.resident()]})
        case "POST", "/-/mishap":
            return await _mishap(server, call)
    return problem(404, "not found; there are GET /-/history, GET /-/resident and POST /-/mishap")


async def _mishap(server: Any, call: Call) -> Answer:
    try:
        body = json.loads(call.raw)
        name = body.pop(MISHAP)
    except (ValueError, AttributeError, KeyError):
        return problem(400, 'the body must be an object with "verb" and its arguments')
    if name not in server.VERBS:
        return problem(400, f"there is no verb {name!r}; there are {', '.join(sorted(server.VERBS))}")
    verb = getattr(server, name)
    try:
        inspect.signature(verb).bind(**body)
        done = verb(**body)
    except (TypeError, ValueError, LookupError) as bad:
        return problem(400, f"{name}: {bad}")
    return whole({"verb": name, "result": None if isinstance(done, asyncio.Future) else _plain(done)})


def _plain(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
