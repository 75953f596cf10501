"""The route of the metrics. What makes them is imported when they are first asked for: most keepers are never asked."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ollama_keeper.core.instant import Instant
from ollama_keeper.report.metrics.gathering import Desk
from ollama_keeper.report.metrics.sources import Sources

if TYPE_CHECKING:
    from ollama_keeper.report.metrics.exposition import Exposition


class Metrics:
    """Answers `/metrics`, from memory."""

    def __init__(self, desk: Desk, sources: Sources, now: Callable[[], Instant]) -> None:
        self._of = (desk, sources, now)
        self._exposition: Exposition | None = None

    async def answer(self, request: Request) -> Response:
        """The page, in the format that the asker takes."""
        if self._exposition is None:
            self._exposition = await asyncio.to_thread(self._made)  # its imports take 100 ms: no look waits for them
        body, content_type = await self._exposition.page(", ".join(request.headers.getlist("accept")))
        return Response(body, headers={"content-type": content_type})

    def _made(self) -> "Exposition":
        from ollama_keeper.report.metrics.exposition import Exposition

        return Exposition(*self._of)


def metrics_route(desk: Desk, sources: Sources, now: Callable[[], Instant]) -> Route:
    """The route."""
    return Route("/metrics", Metrics(desk, sources, now).answer)
