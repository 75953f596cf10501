"""What became of the models on one simulated server, counted from the server's own record and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ollama_keeper.simulator import History

USER = "user"
"""Who the questions come from, in the record."""

STEP_S, STEPS = 2.5, 24
"""A minute, as finely as a terminal has room for."""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Death:
    """A runner's process that died; the server lists it as before, so its record does not tell."""

    at: float
    key: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the models since a moment.

    Attributes:
        watched_s: models times seconds.
        losses, healed: how often one left, and how often one came back.
        cold_s: seconds without the model, all models added up.
        asked, waited: questions, and those of them that met a cold model.
        resident: by model, whether it is there now.
    """

    watched_s: float = 0.0
    losses: int = 0
    healed: int = 0
    cold_s: float = 0.0
    asked: int = 0
    waited: int = 0
    resident: tuple[bool, ...] = ()

    @property
    def cold_share(self) -> float:
        """Share of the time, 0 to 1."""
        return self.cold_s / self.watched_s if self.watched_s else 0.0


def tally(
    history: History, keys: Mapping[str, str], *, since: float, now: float, deaths: Iterable[Death] = ()
) -> Tally:
    """Counts what happened between two instants of the record.

    Args:
        history: the record; `keys` the models to count by name, with their keys in it.
        since: counted from here; `now` up to here.
        deaths: what the record does not tell.
    """
    died = tuple(deaths)
    warm = {model: warm_spans(history, key, died) for model, key in keys.items()}
    spans = [span for of_model in warm.values() for span in of_model]
    watched_s = (now - since) * len(keys)
    asked = [request for request in history.requests(who=USER) if request.at >= since and request.model in warm]
    return Tally(
        watched_s=watched_s,
        losses=sum(since < end <= now for _, end in spans),
        healed=sum(since < start <= now for start, _ in spans),
        cold_s=watched_s - sum(max(min(end, now) - max(start, since), 0.0) for start, end in spans),
        asked=len(asked),
        waited=sum(not _covered(warm[str(request.model)], request.at) for request in asked),
        resident=tuple(_covered(of_model, now) for of_model in warm.values()),
    )


def warm_spans(history: History, key: str, deaths: Iterable[Death] = ()) -> list[Span]:
    """When a model was loaded, ready and alive; the last span has no end while it still is."""
    ends = [unload.at for unload in history.unloads() if unload.key == key]
    ends += [death.at for death in deaths if death.key == key]
    loads = (load for load in history.loads() if load.key == key and load.outcome == "loaded")
    starts = [load.end for load in loads if load.end is not None]
    return [(start, min((end for end in ends if end >= start), default=float("inf"))) for start in starts]


def warmth(
    history: History, keys: Mapping[str, str], *, since: float, now: float, deaths: Iterable[Death] = ()
) -> tuple[int, ...]:
    """How many models were resident, each `STEP_S` seconds since an instant; the last minute of it at most."""
    died = tuple(deaths)
    spans = [warm_spans(history, key, died) for key in keys.values()]
    steps = int((now - since) / STEP_S)
    instants = [since + STEP_S * step for step in range(max(steps - STEPS + 1, 0), steps + 1)]
    return tuple(sum(_covered(of_model, at) for of_model in spans) for at in instants)


def _covered(spans: Iterable[Span], at: float) -> bool:
    return any(start <= at < end for start, end in spans)
