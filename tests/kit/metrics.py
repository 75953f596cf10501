"""Reads a page of metrics as its reader would, by prometheus_client's own parsers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from ollama_keeper.core.counts import Counts, Timing
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import Alert, Undelivered
from ollama_keeper.report.metrics.counted import Counted
from ollama_keeper.report.metrics.exposition import Exposition
from ollama_keeper.report.metrics.gathering import Desk
from ollama_keeper.report.metrics.sources import Sources
from ollama_keeper.report.metrics.voice import Voice

PREFIX = "ollama_keeper_"
OPENMETRICS = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3"


@dataclass
class AtWork:
    """A server's memory, as the page is given it."""

    memory: ServerMemory
    counts: Counts = field(default_factory=Counts)


@dataclass
class Standing:
    """A daemon that stands still."""

    servers: list[AtWork]
    timing: Timing = field(default_factory=Timing)

    @classmethod
    def of(cls, *memories: ServerMemory) -> "Standing":
        return cls([AtWork(memory) for memory in memories])


@dataclass
class Named:
    name: str


@dataclass
class Sink:
    settings: Named
    sent: int = 0
    succeeded: datetime | None = None
    failures: dict[Undelivered, int] = field(default_factory=dict)
    failing: Undelivered | None = None


@dataclass
class Firing:
    alert: Alert


@dataclass
class Speaker:
    """Somebody who tells alerts: one fires, one sink took three messages, another none."""

    firing: tuple[Firing, ...] = (Firing(Alert.MODEL_LOST),)
    sinks: tuple[Sink, ...] = (
        Sink(Named("team"), 3, datetime(2026, 11, 24, tzinfo=UTC)),
        Sink(Named("other"), failures={Undelivered.AUTH: 2}),
    )

    def waiting(self, sink: Sink) -> int:
        return 0 if sink.sent else 1


def exposition(
    desk: Desk,
    counted: Counted,
    now: Callable[[], Instant],
    *,
    by_model: bool = True,
    voice: Voice | None = None,
) -> Exposition:
    """What makes pages; no line of the log is lost."""
    return Exposition(desk, Sources(counted, lambda: 0, by_model, voice), now)


class Page:
    """One page, read.

    Attributes:
        families: by the names of their series, without the prefix and what a histogram appends.
    """

    def __init__(self, text: str, *, openmetrics: bool = False) -> None:
        self.text = text
        parse = openmetrics_families if openmetrics else plain_families
        self.families = {_series_name(family): family for family in parse(text)}

    def names(self) -> set[str]:
        """Our metrics that the page tells of, by the names of the contract."""
        return {name.removeprefix(PREFIX) for name in self.families if name.startswith(PREFIX)}

    def of(self, name: str, **labels: str) -> list[float]:
        """The values of all series of a name that have these labels."""
        return [
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        ]

    def one(self, name: str, **labels: str) -> float:
        """The value of the one series."""
        (value,) = self.of(name, **labels)
        return value

    def labels(self, name: str) -> list[dict[str, str]]:
        """The labels of each series of a name."""
        samples = self.families[PREFIX + name].samples
        return [{label: value for label, value in sample.labels.items() if label != "le"} for sample in samples]


async def read(made: Exposition, *, accept: str = "") -> Page:
    """The page, made and read."""
    body, content_type = await made.page(accept)
    return Page(body.decode(), openmetrics="openmetrics" in content_type)


def _series_name(family: Metric) -> str:
    suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
    return family.name + suffix
