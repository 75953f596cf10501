"""The page of all metrics, in the format that the asker takes: the only importer of prometheus_client."""

import asyncio
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics import exposition as openmetrics_format

from ollama_keeper.core.instant import Instant
from ollama_keeper.report.metrics.families import FAMILIES
from ollama_keeper.report.metrics.gathering import (
    Apart,
    Desk,
    Known,
    Together,
    of_keeper,
    of_models,
    of_server,
    of_voice,
)
from ollama_keeper.report.metrics.samples import Samples
from ollama_keeper.report.metrics.sources import Sources

_PLAIN = (generate_latest, CONTENT_TYPE_PLAIN_0_0_4)
_OPENMETRICS = (openmetrics_format.generate_latest, openmetrics_format.CONTENT_TYPE_LATEST)
AT_ONCE = 100  # models, about 2 ms


class Exposition:
    """Makes the page, whenever it is asked for."""

    def __init__(self, desk: Desk, sources: Sources, now: Callable[[], Instant]) -> None:
        self._desk = desk
        self._sources = sources
        self._now = now
        self._known = Known()
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    async def page(self, accept: str) -> tuple[bytes, str]:
        """The page, and its content type.

        Args:
            accept: what the asker takes, as in its header.
        """
        openmetrics = takes_openmetrics(accept)
        encode, content_type = _OPENMETRICS if openmetrics else _PLAIN
        samples = await self._gathered()
        text = "".join(family.head(openmetrics=openmetrics) + samples.text(family.name) for family in FAMILIES)
        return text.encode() + encode(self._process), content_type

    async def _gathered(self) -> Samples:
        """What is known and was counted; others have their turn after some models each: no look may be late for it."""
        samples, servers, now = Samples(), tuple(self._desk.servers), self._now()
        counted, voice = self._sources.counted, self._sources.voice
        self._known.keep([server.memory for server in servers])
        of_keeper(samples, counted, self._desk.timing, dropped=self._sources.dropped())
        if voice is not None:
            of_voice(samples, voice)
        place, models = (Apart if self._sources.by_model else Together)(samples, self._known), 0
        for server in servers:
            of_server(samples, server, counted, self._known.server(server.memory.server), now)
            of_models(server.memory, counted, now, place)
            models += len(server.memory.models) + 1
            if models >= AT_ONCE:
                models = 0
                await asyncio.sleep(0)
        return samples


def takes_openmetrics(accept: str) -> bool:
    """Whether the asker prefers OpenMetrics; not where its header makes no sense."""
    try:
        _, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        return False
    return content_type.startswith("application/openmetrics-text")
