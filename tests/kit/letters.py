"""Incidents and letters to try the services on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ollama_keeper.config.effective import SinkSettings, SinkType
from ollama_keeper.core.alerting import Incident
from ollama_keeper.core.conditions import Aspect, Subject
from ollama_keeper.core.delivery import Item, Kind
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.reasons import Alert, StateReason
from tests.kit.services import PATHS, SECRET

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def incident(
    alert: Alert = Alert.MODEL_LOST,
    model: str = "qwen3:8b",
    *,
    server: str = "gpu",
    reason: StateReason = None,
    ended: bool = False,
    how: str = "recovered",
    times: int = 1,
    **details: Any,
) -> Incident:
    """One that began at noon, and ended twelve minutes later if it did."""
    return Incident(
        Subject(server, model, Aspect.ABSENT),
        alert,
        NOON,
        Instant(0.0, NOON),
        reason=reason,
        details=tuple((name.rstrip("_"), value) for name, value in details.items()),
        times=times,
        fired=NOON,
        round=1,
        ended=NOON + timedelta(minutes=12) if ended else None,
        how=how if ended else "",
    )


def item(kind: Kind = Kind.FIRING, **told: Any) -> Item:
    """The same in a message."""
    return Item(incident(ended=kind is Kind.RESOLVED, **told), kind)


def sink(kind: SinkType, folder: Path, *, signed: bool = False, template: str | None = None) -> SinkSettings:
    """A sink of a kind, with its files in a folder; its host bears the name of the kind."""
    url_file, secret_file = folder / f"{kind}-url", folder / f"{kind}-secret"
    url_file.write_text(f"https://{kind}.test{PATHS[kind]}\n")
    secret_file.write_text(f"{SECRET}\n")
    return SinkSettings(kind, kind, url_file, secret_file if signed else None, template)
