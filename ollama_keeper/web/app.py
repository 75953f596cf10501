"""The routes: `/livez`, `/readyz`, `/readyz/MODEL` and `/status`, answered from memory."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.readiness import Unready, unready, unready_of
from ollama_keeper.core.states import States, states_of
from ollama_keeper.core.view import Warm, WarmShares, never_counted
from ollama_keeper.report.metrics.voice import Sink, Voice
from ollama_keeper.web.answers import Json, Written, no, problem
from ollama_keeper.web.control import BadCommand, refused
from ollama_keeper.web.gate import Gate
from ollama_keeper.web.guard import Guard
from ollama_keeper.web.hosts import Hosts
from ollama_keeper.web.status import StatusText

Memories = Callable[[], Iterable[ServerMemory]]
Now = Callable[[], Instant]


class Shares(Protocol):
    """How much of its wanted time a model was warm, 0.0 to 1.0; None where it was not wanted."""

    @property
    def day(self) -> float | None:
        """Of the last 24 hours."""
        ...

    @property
    def month(self) -> float | None:
        """Of the last 30 days."""
        ...


SharesOf = Callable[[str, str, datetime], Shares]


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What others have reckoned already.

    Attributes:
        shares: how much of its wanted time a model was warm; None where nobody counts.
        states: of all models of a server.
        voice: who tells alerts; None where nobody does.
    """

    shares: SharesOf | None = None
    states: States = states_of
    voice: Voice | None = None


NOTHING_RECKONED = Reckoned()


class Routes:
    """Each route, a pure reading of what is known at the moment.

    Args:
        memories: what the daemon knows of its servers.
    """

    def __init__(self, memories: Memories, now: Now, reckoned: Reckoned = NOTHING_RECKONED) -> None:
        self._memories = memories
        self._now = now
        self._reckoned = reckoned
        self._text = StatusText()

    async def livez(self, _: Request) -> Response:
        """That this is answered at all: the loop turns. Says nothing of Ollama."""
        return PlainTextResponse("live\n")

    async def readyz(self, _: Request) -> Response:
        """Whether every required model can serve; beside it the sinks of alerts that take none."""
        voice = self._reckoned.voice
        failing = [] if voice is None else [_failing(sink) for sink in voice.sinks if sink.failing is not None]
        return _readiness(unready(self._memories(), self._now()), failing_sinks=failing)

    async def readyz_of(self, request: Request) -> Response:
        """Whether one model can serve, on every server that is to keep it."""
        found = unready_of(request.path_params["model"], self._memories(), self._now())
        return problem(404, "no such model is kept here") if found is None else _readiness(found)

    async def status(self, _: Request) -> Response:
        """All servers and models, as they are at this moment; `docs/status.schema.json` describes it."""
        memories, now = tuple(self._memories()), self._now()
        return Written(await self._text.of(memories, now, states=self._reckoned.states, warm=self._warm_by(now)))

    def _warm_by(self, now: Instant) -> Warm:
        """How much of its wanted time a model was warm, as of now."""
        shares_of = self._reckoned.shares
        if shares_of is None:
            return never_counted

        def warm(server: str, model: str) -> WarmShares:
            shares = shares_of(server, model, now.wall)
            return _rounded(shares.day), _rounded(shares.month)

        return warm


def web_app(
    memories: Memories,
    now: Now,
    hosts: Hosts,
    *,
    more: Sequence[Route] = (),
    gate: Gate | None = None,
    reckoned: Reckoned = NOTHING_RECKONED,
) -> ASGIApp:
    """The ASGI app.

    Args:
        more: routes beside those of `Routes`.
        gate: lets commands through to those of `more` that take them.
    """
    routes = Routes(memories, now, reckoned)
    inner = Starlette(
        routes=[
            Route("/livez", routes.livez),
            Route("/readyz", routes.readyz),
            Route("/readyz/{model:path}", routes.readyz_of),
            Route("/status", routes.status),
            *more,
        ],
        exception_handlers={HTTPException: _refused, BadCommand: refused, Exception: _broken},
    )
    inner.router.redirect_slashes = False  # a redirect would repeat the Host of a stranger
    return Guard(inner, hosts, gate)


def status_route(memories: Memories, now: Now, reckoned: Reckoned = NOTHING_RECKONED) -> Route:
    """`/status` alone, for another app."""
    return Route("/status", Routes(memories, now, reckoned).status)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 5)


def _readiness(models: tuple[Unready, ...], **more: object) -> Json:
    status = HTTPStatus.SERVICE_UNAVAILABLE if models else HTTPStatus.OK
    return Json({"ready": not models, "unready": [asdict(model) for model in models], **more}, status_code=status)


def _failing(sink: Sink) -> dict[str, object]:
    return {"sink": sink.settings.name, "reason": sink.failing}


async def _refused(_: Request, error: Exception) -> Response:
    return no(error.status_code if isinstance(error, HTTPException) else 500)


async def _broken(_: Request, _error: Exception) -> Response:
    return no(500)
