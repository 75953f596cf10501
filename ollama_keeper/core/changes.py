"""What changed: one frozen record an event (CONTRACT 5), made by `fold` and `announce` or by the shell.

Consumers (log, metrics, history, alerts) get nothing else. A record's class names the event and its level; its fields
are the line's fields, None meaning "does not apply". Spans are seconds (`_s`), sizes bytes (`_bytes`), instants aware
UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import ClassVar, Literal

from ollama_keeper.core.reasons import Alert, By, Cause, Failure, Reason, Reloaded, State, Undelivered

Level = Literal["debug", "info", "warning", "error"]
FIRST = ("server", "model", "state", "reason", "cause", "hint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event. Subclasses add the fields of its row."""

    event: ClassVar[str]
    severity: ClassVar[Level] = "info"

    server: str | None = None
    model: str | None = None
    state: State | None = None
    reason: Reason | Cause | Failure | Reloaded | Undelivered | None = None
    cause: Cause | None = None
    hint: str | None = None

    @property
    def level(self) -> Level:
        """The level of this line; most events have one level only."""
        return self.severity

    def told(self) -> dict[str, object]:
        """The fields that apply, those common to all events first."""
        names = [field.name for field in fields(self)]
        ordered = [*FIRST, *(name for name in names if name not in FIRST)]
        return {name.rstrip("_"): value for name in ordered if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperStarted(Change):
    event: ClassVar[str] = "keeper.started"
    version: str
    run_id: str
    servers: int
    models: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperStopping(Change):
    event: ClassVar[str] = "keeper.stopping"
    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperStopped(Change):
    event: ClassVar[str] = "keeper.stopped"
    uptime_s: float
    loads_abandoned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperSummary(Change):
    event: ClassVar[str] = "keeper.summary"
    states: Mapping[str, int]
    checks: int
    looks: int
    pings: int
    warms: int
    losses: int
    cold_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigLoaded(Change):
    event: ClassVar[str] = "config.loaded"
    path: str | None = None
    added: int = 0
    removed: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRejected(Change):
    event: ClassVar[str] = "config.rejected"
    severity: ClassVar[Level] = "error"
    path: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFailed(Change):
    event: ClassVar[str] = "web.failed"
    severity: ClassVar[Level] = "warning"
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerWaiting(Change):
    event: ClassVar[str] = "server.waiting"
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUp(Change):
    event: ClassVar[str] = "server.up"
    version: str
    down_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBusy(Change):
    event: ClassVar[str] = "server.busy"
    severity: ClassVar[Level] = "warning"
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDown(Change):
    event: ClassVar[str] = "server.down"
    severity: ClassVar[Level] = "warning"
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRestarted(Change):
    event: ClassVar[str] = "server.restarted"
    severity: ClassVar[Level] = "warning"
    version_before: str | None = None
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSchedulerHung(Change):
    event: ClassVar[str] = "server.scheduler_hung"
    severity: ClassVar[Level] = "error"
    open_s: float
    longest_load_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInquiryFailed(Change):
    event: ClassVar[str] = "server.inquiry_failed"
    severity: ClassVar[Level] = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecovered(Change):
    event: ClassVar[str] = "server.recovered"
    open_s: float
    longest_load_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLost(Change):
    event: ClassVar[str] = "model.lost"
    severity: ClassVar[Level] = "warning"
    displaced_by: str | None = None
    expires_at: datetime | None = None
    last_seen_s: float | None = None
    grace_s: float | None = None

    @property
    def level(self) -> Level:
        """A loss that was wished for is no warning."""
        return "info" if self.reason is Reason.RELEASED else self.severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReady(Change):
    event: ClassVar[str] = "model.ready"
    by: By
    outage_s: float | None = None
    load_s: float | None = None
    cold_start: bool | None = None
    size_bytes: int | None = None
    vram_bytes: int | None = None
    context_length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRenewed(Change):
    event: ClassVar[str] = "model.renewed"
    severity: ClassVar[Level] = "debug"
    remaining_s: float | None = None
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRepinned(Change):
    event: ClassVar[str] = "model.repinned"
    remaining_s: float
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReloaded(Change):
    event: ClassVar[str] = "model.reloaded"
    severity: ClassVar[Level] = "warning"
    by: By
    context_length: int | None = None
    context_length_before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDegraded(Change):
    event: ClassVar[str] = "model.degraded"
    severity: ClassVar[Level] = "warning"
    gpu_fraction: float | None = None
    context_length: int | None = None
    wanted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStuck(Change):
    event: ClassVar[str] = "model.stuck"
    severity: ClassVar[Level] = "warning"
    took_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelContended(Change):
    event: ClassVar[str] = "model.contended"
    severity: ClassVar[Level] = "warning"
    with_: str | None = None
    size_bytes: int | None = None
    with_size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelYielding(Change):
    event: ClassVar[str] = "model.yielding"
    to: str | None = None
    since_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMissing(Change):
    event: ClassVar[str] = "model.missing"
    severity: ClassVar[Level] = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRefused(Change):
    event: ClassVar[str] = "model.refused"
    severity: ClassVar[Level] = "warning"
    with_: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverBudget(Change):
    event: ClassVar[str] = "model.over_budget"
    severity: ClassVar[Level] = "warning"
    size_bytes: int | None = None
    left_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPaused(Change):
    event: ClassVar[str] = "model.paused"
    by: str
    until: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResumed(Change):
    event: ClassVar[str] = "model.resumed"
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOffHours(Change):
    event: ClassVar[str] = "model.off_hours"
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReleased(Change):
    event: ClassVar[str] = "model.released"
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSlow(Change):
    event: ClassVar[str] = "model.slow"
    severity: ClassVar[Level] = "warning"
    took_s: float
    first_token_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptionsDisagree(Change):
    event: ClassVar[str] = "model.options_disagree"
    severity: ClassVar[Level] = "warning"
    reloads: int
    context_length: int | None = None
    context_length_before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGpuMissing(Change):
    event: ClassVar[str] = "server.gpu_missing"
    severity: ClassVar[Level] = "warning"
    models: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFailed(Change):
    event: ClassVar[str] = "probe.failed"
    severity: ClassVar[Level] = "warning"
    took_s: float
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStarted(Change):
    event: ClassVar[str] = "warm.started"
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmFailed(Change):
    event: ClassVar[str] = "warm.failed"
    severity: ClassVar[Level] = "error"
    attempt: int
    took_s: float
    status: int | None = None
    collateral: tuple[str, ...] | None = None
    retry_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PingFailed(Change):
    event: ClassVar[str] = "ping.failed"
    severity: ClassVar[Level] = "warning"
    took_s: float
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFailed(Change):
    event: ClassVar[str] = "check.failed"
    severity: ClassVar[Level] = "error"
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOpened(Change):
    event: ClassVar[str] = "breaker.opened"
    severity: ClassVar[Level] = "warning"
    open_s: float
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerClosed(Change):
    event: ClassVar[str] = "breaker.closed"
    open_s: float
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumped(Change):
    event: ClassVar[str] = "clock.jumped"
    severity: ClassVar[Level] = "warning"
    delta_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStalled(Change):
    event: ClassVar[str] = "loop.stalled"
    severity: ClassVar[Level] = "warning"
    stall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDropped(Change):
    event: ClassVar[str] = "log.dropped"
    severity: ClassVar[Level] = "warning"
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateFailed(Change):
    event: ClassVar[str] = "state.failed"
    severity: ClassVar[Level] = "warning"
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFiring(Change):
    event: ClassVar[str] = "alert.firing"
    alert: Alert
    fingerprint: str
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(Change):
    event: ClassVar[str] = "alert.resolved"
    alert: Alert
    fingerprint: str
    since_s: float
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSent(Change):
    event: ClassVar[str] = "notification.sent"
    sink: str
    attempts: int
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationDelayed(Change):
    event: ClassVar[str] = "notification.delayed"
    severity: ClassVar[Level] = "warning"
    sink: str
    attempts: int
    retry_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFailed(Change):
    event: ClassVar[str] = "notification.failed"
    severity: ClassVar[Level] = "error"
    sink: str
    attempts: int
    took_s: float
