"""Commands to a running daemon: pause, resume, warm, reload; over its own socket, or over TCP behind the gate.

Each is a `POST` of a JSON object with `models` (all where empty) and, of a pause or resume, `by`; a pause also takes
`for_s`, `note` and `unload`. The answer names the models that were meant, and the names that mean none; that to a warm
names under `held` those that stay absent all the same, and why.
"""

import json
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ollama_keeper.core.view import ModelRow
from ollama_keeper.report.held import held_text
from ollama_keeper.web.answers import Json, problem
from ollama_keeper.web.commanded import Commanded, Meant
from ollama_keeper.web.gate import LARGEST_BODY, Gate, Gated

LONGEST_S = 366 * 86_400.0
LONGEST_NOTE = 200
HELD_KEYS = (
    "server",
    "model",
    "state",
    "reason",
    "since",
    "paused_by",
    "paused_until",
    "paused_note",
    "next",
    "next_s",
)


class BadCommand(ValueError):
    """A body that is no command; the text says why."""


class Desk:
    """Takes commands for one daemon."""

    def __init__(self, daemon: Commanded) -> None:
        self._daemon = daemon

    async def pause(self, request: Request) -> Response:
        """Leaves models alone for a while."""
        body = await _body(request)
        meant = self._daemon.pause(
            _models(body),
            by=_text(body, "by") or "somebody",
            for_s=_seconds(body),
            note=_text(body, "note"),
            unload=body.get("unload") is True,
        )
        return _told(meant)

    async def resume(self, request: Request) -> Response:
        """Keeps models again."""
        body = await _body(request)
        return _told(self._daemon.resume(_models(body), by=_text(body, "by") or "somebody"))

    async def warm(self, request: Request) -> Response:
        """Warms absent models now; says why of those that are not."""
        meant = self._daemon.warm(_models(await _body(request)))
        held = self._daemon.held(meant.models)
        at = datetime.fromisoformat(held.at)
        return _told(meant, held=[_held(row, at) for row in held.models])

    async def reload(self, _: Request) -> Response:
        """Reads the configuration anew; what came of it is in the log."""
        self._daemon.ask_to_reload()
        return Json({"asked": True})


def control_app(daemon: Commanded, gate: Gate | None = None, *, more: Sequence[Route] = ()) -> ASGIApp:
    """The ASGI app of the socket; where others can reach it, behind a gate.

    Args:
        more: what it tells beside taking commands.
    """
    app = Starlette(routes=[*command_routes(daemon), *more], exception_handlers={BadCommand: refused})
    return app if gate is None else Gated(app, gate)


def command_routes(daemon: Commanded, *, below: str = "") -> list[Route]:
    """A route a command, each below a path; `BadCommand` is theirs to be answered by `refused`."""
    desk = Desk(daemon)
    commands = {"pause": desk.pause, "resume": desk.resume, "warm": desk.warm, "reload": desk.reload}
    return [Route(f"{below}/{name}", command, methods=["POST"]) for name, command in commands.items()]


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    async with aclosing(request.stream()) as parts:
        async for part in parts:
            data += part
            if len(data) > LARGEST_BODY:
                msg = "too large"
                raise BadCommand(msg)
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        msg = "not a JSON object"
        raise BadCommand(msg)
    return body


def _models(body: dict[str, Any]) -> list[str]:
    models = body.get("models", [])
    if not isinstance(models, list) or not all(isinstance(name, str) for name in models):
        msg = "models is not a list of names"
        raise BadCommand(msg)
    return models


def _text(body: dict[str, Any], key: str) -> str | None:
    text = body.get(key)
    return (
        "".join(sign for sign in text if sign.isprintable())[:LONGEST_NOTE] or None if isinstance(text, str) else None
    )


def _seconds(body: dict[str, Any]) -> float | None:
    seconds = body.get("for_s")
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_S:
        msg = "for_s is not a number of seconds up to a year"
        raise BadCommand(msg)
    return float(seconds)


async def refused(_: Request, error: Exception) -> Response:
    """The answer to a `BadCommand`."""
    return problem(400, str(error))


def _told(meant: Meant, **more: object) -> Json:
    return Json({"models": list(meant.models), "unknown": list(meant.unknown), **more})


def _held(row: ModelRow, at: datetime) -> dict[str, object]:
    """What of a row says why it is held, and the same in words."""
    return {key: getattr(row, key) for key in HELD_KEYS} | {"text": held_text(row, at)}
