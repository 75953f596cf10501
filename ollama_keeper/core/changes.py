"""What changed: one frozen record an event (CONTRACT 5), made by `fold` and `announce` or by the shell.

Consumers (log, metrics, history, alerts) get nothing else. A record's class names the event and its level; its fields
are the line's fields, None meaning "does not apply". Spans are seconds (`_s`), sizes bytes (`_bytes`), instants aware
UTC.
"""

from collections.abc import Mapping
from dataclasses import Field, fields
from datetime import datetime
from typing import Any, ClassVar, Literal

from ollama_keeper.core.reasons import Alert, By, Cause, Failure, Reason, Reloaded, State, Undelivered, Unpulled
from ollama_keeper.core.record import keyword_record as record

Level = Literal["debug", "info", "warning", "error"]
FIRST = ("server", "model", "state", "reason", "cause", "hint")


@record
class Change:
    """One event. Subclasses add the fields of its row."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    event: ClassVar[str]
    severity: ClassVar[Level] = "info"

    server: str | None = None
    model: str | None = None
    state: State | None = None
    reason: Reason | Cause | Failure | Reloaded | Undelivered | Unpulled | None = None
    cause: Cause | None = None
    hint: str | None = None

    @property
    def level(self) -> Level:
        """The level of this line; most events have one level only."""
        return self.severity

    def told(self) -> dict[str, object]:
        """The fields that apply, those common to all events first."""
        values = {name: getattr(self, name) for name in (*FIRST, *(field.name for field in fields(self)))}
        return {name.rstrip("_"): value for name, value in values.items() if value is not None}


@record
class KeeperStarted(Change):
    event: ClassVar[str] = "keeper.started"
    version: str
    run_id: str
    servers: int
    models: int


@record
class KeeperStopping(Change):
    event: ClassVar[str] = "keeper.stopping"
    signal: str | None = None


@record
class KeeperStopped(Change):
    event: ClassVar[str] = "keeper.stopped"
    uptime_s: float
    loads_abandoned: int


@record
class KeeperSummary(Change):
    event: ClassVar[str] = "keeper.summary"
    states: Mapping[str, int]
    checks: int
    looks: int
    pings: int
    warms: int
    losses: int
    cold_s: float


@record
class ConfigLoaded(Change):
    event: ClassVar[str] = "config.loaded"
    path: str | None = None
    added: int = 0
    removed: int = 0
    changed: int = 0


@record
class ConfigRejected(Change):
    event: ClassVar[str] = "config.rejected"
    severity: ClassVar[Level] = "error"
    path: str | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None


@record
class WebFailed(Change):
    event: ClassVar[str] = "web.failed"
    severity: ClassVar[Level] = "warning"
    address: str


@record
class ControlRefused(Change):
    event: ClassVar[str] = "control.refused"
    severity: ClassVar[Level] = "warning"
    address: str
    failures: int


@record
class ServerWaiting(Change):
    event: ClassVar[str] = "server.waiting"
    since_s: float


@record
class ServerUp(Change):
    event: ClassVar[str] = "server.up"
    version: str
    down_s: float | None = None


@record
class ServerBusy(Change):
    event: ClassVar[str] = "server.busy"
    severity: ClassVar[Level] = "warning"
    failures: int


@record
class ServerDown(Change):
    event: ClassVar[str] = "server.down"
    severity: ClassVar[Level] = "warning"
    failures: int


@record
class ServerRestarted(Change):
    event: ClassVar[str] = "server.restarted"
    severity: ClassVar[Level] = "warning"
    version_before: str | None = None
    version: str


@record
class ServerSchedulerHung(Change):
    event: ClassVar[str] = "server.scheduler_hung"
    severity: ClassVar[Level] = "error"
    open_s: float
    longest_load_s: float | None = None


@record
class ServerInquiryFailed(Change):
    event: ClassVar[str] = "server.inquiry_failed"
    severity: ClassVar[Level] = "warning"


@record
class ServerRecovered(Change):
    event: ClassVar[str] = "server.recovered"
    open_s: float
    longest_load_s: float | None = None


@record
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


@record
class ModelReady(Change):
    event: ClassVar[str] = "model.ready"
    by: By
    outage_s: float | None = None
    load_s: float | None = None
    cold_start: bool | None = None
    size_bytes: int | None = None
    vram_bytes: int | None = None
    context_length: int | None = None


@record
class ModelRenewed(Change):
    event: ClassVar[str] = "model.renewed"
    severity: ClassVar[Level] = "debug"
    remaining_s: float | None = None
    took_s: float


@record
class ModelRepinned(Change):
    event: ClassVar[str] = "model.repinned"
    remaining_s: float
    took_s: float


@record
class ModelReloaded(Change):
    event: ClassVar[str] = "model.reloaded"
    severity: ClassVar[Level] = "warning"
    by: By
    context_length: int | None = None
    context_length_before: int | None = None


@record
class ModelDegraded(Change):
    event: ClassVar[str] = "model.degraded"
    severity: ClassVar[Level] = "warning"
    gpu_fraction: float | None = None
    context_length: int | None = None
    wanted: str | None = None


@record
class ModelStuck(Change):
    event: ClassVar[str] = "model.stuck"
    severity: ClassVar[Level] = "warning"
    took_s: float | None = None


@record
class ModelContended(Change):
    event: ClassVar[str] = "model.contended"
    severity: ClassVar[Level] = "warning"
    with_: str | None = None
    size_bytes: int | None = None
    with_size_bytes: int | None = None


@record
class ModelYielding(Change):
    event: ClassVar[str] = "model.yielding"
    to: str | None = None
    since_s: float | None = None


@record
class ModelMissing(Change):
    event: ClassVar[str] = "model.missing"
    severity: ClassVar[Level] = "warning"


@record
class ModelRefused(Change):
    event: ClassVar[str] = "model.refused"
    severity: ClassVar[Level] = "warning"
    with_: str | None = None


@record
class ModelOverBudget(Change):
    event: ClassVar[str] = "model.over_budget"
    severity: ClassVar[Level] = "warning"
    size_bytes: int | None = None
    left_bytes: int | None = None


@record
class ModelPaused(Change):
    event: ClassVar[str] = "model.paused"
    by: str
    until: datetime | None = None
    note: str | None = None


@record
class ModelResumed(Change):
    event: ClassVar[str] = "model.resumed"
    by: str


@record
class ModelOffHours(Change):
    event: ClassVar[str] = "model.off_hours"
    until: datetime | None = None


@record
class ModelReleased(Change):
    event: ClassVar[str] = "model.released"
    how: str


@record
class ModelSlow(Change):
    event: ClassVar[str] = "model.slow"
    severity: ClassVar[Level] = "warning"
    took_s: float
    first_token_s: float | None = None


@record
class ModelOptionsDisagree(Change):
    event: ClassVar[str] = "model.options_disagree"
    severity: ClassVar[Level] = "warning"
    reloads: int
    context_length: int | None = None
    context_length_before: int | None = None


@record
class ServerGpuMissing(Change):
    event: ClassVar[str] = "server.gpu_missing"
    severity: ClassVar[Level] = "warning"
    models: int


@record
class ProbeFailed(Change):
    event: ClassVar[str] = "probe.failed"
    severity: ClassVar[Level] = "warning"
    took_s: float
    status: int | None = None


@record
class WarmStarted(Change):
    event: ClassVar[str] = "warm.started"
    attempt: int


@record
class WarmFailed(Change):
    event: ClassVar[str] = "warm.failed"
    severity: ClassVar[Level] = "error"
    attempt: int
    took_s: float
    status: int | None = None
    collateral: tuple[str, ...] | None = None
    retry_s: float | None = None


@record
class PingFailed(Change):
    event: ClassVar[str] = "ping.failed"
    severity: ClassVar[Level] = "warning"
    took_s: float
    status: int | None = None


@record
class CheckFailed(Change):
    event: ClassVar[str] = "check.failed"
    severity: ClassVar[Level] = "error"
    error: str


@record
class BreakerOpened(Change):
    event: ClassVar[str] = "breaker.opened"
    severity: ClassVar[Level] = "warning"
    open_s: float
    failures: int


@record
class BreakerClosed(Change):
    event: ClassVar[str] = "breaker.closed"
    open_s: float
    failures: int


@record
class PullStarted(Change):
    event: ClassVar[str] = "pull.started"
    completed_bytes: int | None = None
    total_bytes: int | None = None


@record
class PullProgress(Change):
    event: ClassVar[str] = "pull.progress"
    completed_bytes: int
    total_bytes: int


@record
class PullFinished(Change):
    event: ClassVar[str] = "pull.finished"
    completed_bytes: int | None = None
    total_bytes: int | None = None


@record
class PullFailed(Change):
    event: ClassVar[str] = "pull.failed"
    severity: ClassVar[Level] = "error"
    completed_bytes: int | None = None
    total_bytes: int | None = None
    retry_s: float | None = None


@record
class ClockJumped(Change):
    event: ClassVar[str] = "clock.jumped"
    severity: ClassVar[Level] = "warning"
    delta_s: float


@record
class LoopStalled(Change):
    event: ClassVar[str] = "loop.stalled"
    severity: ClassVar[Level] = "warning"
    stall_s: float


@record
class LogDropped(Change):
    event: ClassVar[str] = "log.dropped"
    severity: ClassVar[Level] = "warning"
    records: int


@record
class StateFailed(Change):
    event: ClassVar[str] = "state.failed"
    severity: ClassVar[Level] = "warning"
    path: str


@record
class AlertFiring(Change):
    event: ClassVar[str] = "alert.firing"
    alert: Alert
    fingerprint: str
    since_s: float


@record
class AlertResolved(Change):
    event: ClassVar[str] = "alert.resolved"
    alert: Alert
    fingerprint: str
    since_s: float
    how: str


@record
class NotificationSent(Change):
    event: ClassVar[str] = "notification.sent"
    sink: str
    attempts: int
    took_s: float


@record
class NotificationDelayed(Change):
    event: ClassVar[str] = "notification.delayed"
    severity: ClassVar[Level] = "warning"
    sink: str
    attempts: int
    retry_s: float


@record
class NotificationFailed(Change):
    event: ClassVar[str] = "notification.failed"
    severity: ClassVar[Level] = "error"
    sink: str
    attempts: int
    took_s: float
