"""What a failed warm does to the next one: back-off, breaker, and the answers that end all trying."""

from ollama_keeper.core.changes import BreakerOpened
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Breaker, Key, ModelMemory
from ollama_keeper.core.numbers import BREAKER_FAILURES, BREAKER_FIRST_S, BREAKER_MOST_S, HOUR_S
from ollama_keeper.core.reasons import Failure, Reason
from ollama_keeper.core.record import replace
from ollama_keeper.core.spread import spread


def warm_failed(
    model: ModelMemory, reason: Failure, *, now: Instant, retry_after_s: float | None = None
) -> ModelMemory:
    """The model after one more failed warm."""
    return replace(
        model,
        failures=model.failures + 1,
        failed=now,
        failure=reason,
        retry_after_s=retry_after_s,
        rejected=model.rejected or reason is Failure.BAD_REQUEST,
        missing=model.missing or reason is Failure.NOT_FOUND,
    )


def breaker_due(model: ModelMemory, *, collateral: bool) -> bool:
    """Whether a failed warm opens the breaker: the third in a row, the first that cost others, a failed trial."""
    tried = model.breaker is not None and not model.breaker.closed
    return collateral or tried or model.failures >= BREAKER_FAILURES


def open_breaker(
    model: ModelMemory, server: str, *, now: Instant, failures: int, guest: Key | None = None
) -> ModelMemory:
    """The model with its breaker opened: 5 min, doubled each time in a row up to 6 h, 10 % either way.

    Args:
        guest: what will not give way; while it is in use, the breaker stays open.
    """
    old = model.breaker
    trips = old.trips + 1 if old is not None and now.since(old.opened) < 3 * old.open_s else 0
    open_s = min(BREAKER_FIRST_S * 2 ** min(trips, 16), BREAKER_MOST_S) * spread(server, model.model, trips, "breaker")
    return replace(model, breaker=Breaker(opened=now, open_s=open_s, trips=trips, failures=failures, guest=guest))


def breaker_opened(model: ModelMemory, server: str) -> BreakerOpened:
    """The event of a breaker that has just opened."""
    breaker = model.breaker
    again = f"ollama-keeper tries once more when it closes; see why with: ollama-keeper status {model.model}"
    return BreakerOpened(
        server=server,
        model=model.model,
        reason=model.failure or Reason.GUEST_ACTIVE,
        open_s=max(breaker.open_s, HOUR_S if breaker.guest else 0.0) if breaker else 0.0,
        failures=breaker.failures if breaker else 0,
        hint=_outbid(breaker.guest, model) if breaker and breaker.guest else again,
    )


def _outbid(guest: Key, model: ModelMemory) -> str:
    name, _ = guest
    return (
        f"{name} comes back within minutes of each load of {model.model}: a client in constant use, or a second "
        f"keeper with other wishes; ollama-keeper stands back until {name} is gone or unused for an hour"
    )
