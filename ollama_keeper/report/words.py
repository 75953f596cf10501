"""An event in one human sentence: what happened to whom, and why. What can be done is the `hint`, told after it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ollama_keeper.core import changes as of
from ollama_keeper.core.changes import Change
from ollama_keeper.core.reasons import By, Cause, Reason
from ollama_keeper.core.units import show_size
from ollama_keeper.report.phrases import listed, memory, number, on_gpu, span, why

PINNED_YEAR = (
    2080  # an expiry beyond is a pin: Ollama's for ever is the year 2318, our lowest pin about 100 years ahead
)


def sentence(change: Change) -> str:
    """What a change says, without its hint and without a full stop."""
    return SENTENCES[type(change)](change)


def _who(change: Change) -> str:
    return (
        f"{change.model} on {change.server}" if change.model and change.server else str(change.model or change.server)
    )


def _with(begin: str, *parts: str | None) -> str:
    """The beginning, and after a colon what is known beside it."""
    rest = listed(*parts)
    return f"{begin}: {rest}" if rest else begin


# --- the keeper -------------------------------------------------------------------------------------------------------


def _started(change: of.KeeperStarted) -> str:
    models, servers = number(change.models, "model"), number(change.servers, "server")
    return f"ollama-keeper {change.version} keeps {models} on {servers} (run {change.run_id})"


def _stopping(change: of.KeeperStopping) -> str:
    return _with("stopping", change.signal)


def _stopped(change: of.KeeperStopped) -> str:
    left = f"{number(change.loads_abandoned, 'load')} abandoned" if change.loads_abandoned else None
    return listed(f"stopped after {span(change.uptime_s)}", left)


def _summary(change: of.KeeperSummary) -> str:
    states = listed(*(f"{amount} {state}" for state, amount in change.states.items()))
    did = (("check", change.checks), ("look", change.looks), ("ping", change.pings), ("warm", change.warms))
    counts = listed(*(number(amount, thing) for thing, amount in did), f"{number(change.losses, 'loss')}")
    return f"{states or 'no models'}; since the last summary {counts}, {span(change.cold_s)} cold"


def _config(change: of.ConfigLoaded) -> str:
    where = f"from {change.path}" if change.path else "without a file"
    if not change.removed and not change.changed:
        added = f"{number(change.added, 'model')} added" if change.added else "the models stay as they are"
        return f"configuration {where}: {added}"
    return f"configuration {where}: {change.added} added, {change.removed} removed, {change.changed} changed"


def _web(change: of.WebFailed) -> str:
    return f"nothing is answered on {change.address}"


def _control(change: of.ControlRefused) -> str:
    return _with(f"a command from {change.address} had no good token", f"{number(change.failures, 'failure')} so far")


def _rejected(change: of.ConfigRejected) -> str:
    place = ":".join(str(part) for part in (change.path, change.line, change.column) if part is not None)
    return _with("the new configuration is not used", place, change.key)


def _clock(change: of.ClockJumped) -> str:
    return f"the clock was set {'forward' if change.delta_s > 0 else 'back'} by {span(abs(change.delta_s))}"


def _stalled(change: of.LoopStalled) -> str:
    return f"nothing could run for {span(change.stall_s)}: the machine was busy or asleep"


def _dropped(change: of.LogDropped) -> str:
    return f"{number(change.records, 'line')} of this log could not be written"


def _state_file(change: of.StateFailed) -> str:
    return f"the state file {change.path} cannot be used"


# --- servers ----------------------------------------------------------------------------------------------------------


def _waiting(change: of.ServerWaiting) -> str:
    since = f"since {span(change.since_s)}" if change.since_s >= 1 else None
    return _with(f"waiting for {change.server}", why(change.reason), since)


def _up(change: of.ServerUp) -> str:
    down = None if change.down_s is None else f"after {span(change.down_s)}"
    return _with(f"{change.server} is up", f"Ollama {change.version}", down)


def _in_a_row(failures: int) -> str | None:
    return f"{number(failures, 'failure')} in a row" if failures else None


def _busy(change: of.ServerBusy) -> str:
    return _with(f"{change.server} is busy", why(change.reason), _in_a_row(change.failures))


def _down(change: of.ServerDown) -> str:
    return _with(f"{change.server} is down", why(change.reason), _in_a_row(change.failures))


def _restarted(change: of.ServerRestarted) -> str:
    before = change.version_before if change.version_before != change.version else None
    return _with(f"{change.server} was restarted", f"Ollama {change.version}", before and f"{before} before")


def _inquiry(change: of.ServerInquiryFailed) -> str:
    return _with(f"{change.server} does not tell what it has pulled", why(change.reason))


def _longest(longest_s: float | None) -> str | None:
    return None if longest_s is None else f"the longest known took {span(longest_s)}"


def _hung(change: of.ServerSchedulerHung) -> str:
    load = f"the load of {change.model}" if change.model else "a load"
    opened = f"{load} has been open for {span(change.open_s)}"
    return _with(f"{change.server} hangs", opened, _longest(change.longest_load_s))


def _recovered(change: of.ServerRecovered) -> str:
    ended = f"the load ended after {span(change.open_s)}"
    return _with(f"{change.server} has recovered", ended, _longest(change.longest_load_s))


# --- models -----------------------------------------------------------------------------------------------------------


def _lost(change: of.ModelLost) -> str:
    if change.reason is Reason.RELEASED:
        return _after_loss(f"{_who(change)} was given back", change)
    cause = f"displaced by {change.displaced_by}" if change.displaced_by else why(change.cause)
    return _after_loss(_with(f"{_who(change)} was lost", cause), change)


def _after_loss(begin: str, change: of.ModelLost) -> str:
    seen = None if change.last_seen_s is None else f"last seen {span(change.last_seen_s)} ago"
    wait = None if change.grace_s is None else f"not loaded again for {span(change.grace_s)}"
    state = None if change.state is None else f"now {_spoken(change.state)}"
    rest = listed(seen, _until(change.expires_at), state, wait)
    return f"{begin}; {rest}" if rest else begin


def _until(expires_at: datetime | None) -> str | None:
    if expires_at is None:
        return None
    if expires_at.year > PINNED_YEAR:
        return "it was pinned"
    return f"it had time until {expires_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ready(change: of.ModelReady) -> str:
    how = listed(_brought(change), "a cold start" if change.cold_start else None, _absence(change))
    context = None if change.context_length is None else f"context {change.context_length}"
    what = listed(memory(change.size_bytes, change.vram_bytes), context)
    return f"{_who(change)} is ready: {how}" + (f" ({what})" if what else "")


def _brought(change: of.ModelReady) -> str:
    took = "" if change.load_s is None else f" in {span(change.load_s)}"
    return {By.KEEPER: "loaded", By.CLIENT: "a client loaded it", By.FOUND: "found resident"}[change.by] + took


def _absence(change: of.ModelReady) -> str | None:
    absent = None if change.outage_s is None else f"absent for {span(change.outage_s)}"
    cause = None if change.cause is None else f"because {why(change.cause)}"
    return " ".join(part for part in (absent, cause) if part)


def _renewed(change: of.ModelRenewed) -> str:
    left = None if change.remaining_s is None else f"with {span(change.remaining_s)} left"
    return listed(f"{_who(change)} answered a ping in {span(change.took_s)}", left)


def _paused(change: of.ModelPaused) -> str:
    until = f"until {change.until:%Y-%m-%d %H:%M} UTC" if change.until else "until it is resumed"
    return _with(f"{_who(change)} is left alone {until}", f"asked by {change.by}", change.note)


def _resumed(change: of.ModelResumed) -> str:
    return f"{_who(change)} is kept again: {'its pause is over' if change.by == 'time' else f'asked by {change.by}'}"


def _off_hours(change: of.ModelOffHours) -> str:
    until = f" until {change.until:%Y-%m-%d %H:%M} UTC" if change.until else ""
    return f"{_who(change)} is not kept{until}: it is outside its hours"


def _over_budget(change: of.ModelOverBudget) -> str:
    left = f"{show_size(change.left_bytes)} are left" if change.left_bytes is not None else None
    needs = f"it takes {show_size(change.size_bytes)}" if change.size_bytes else None
    return _with(f"{_who(change)} is not kept, for the budget goes to others", needs, left)


def _slow(change: of.ModelSlow) -> str:
    first = f"{span(change.first_token_s)} by the server's clock" if change.first_token_s is not None else None
    return _with(f"{_who(change)} is slow, one token took {span(change.took_s)}", first)


def _disagree(change: of.ModelOptionsDisagree) -> str:
    before = f"last from context {change.context_length_before}" if change.context_length_before else None
    after = f"to {change.context_length}" if change.context_length else None
    return _with(f"clients have reloaded {_who(change)} {change.reloads} times within an hour", before, after)


def _gpu(change: of.ServerGpuMissing) -> str:
    return f"{change.server} has lost its GPU since it started: {number(change.models, 'model')} on the CPU"


def _probe_failed(change: of.ProbeFailed) -> str:
    status = f"HTTP {change.status}" if change.status else None
    reason = why(change.reason) if change.reason else None
    return _with(f"a probe of {_who(change)} failed after {span(change.took_s)}", reason, status)


def _released(change: of.ModelReleased) -> str:
    if change.how == "repair":
        return f"{_who(change)} was unloaded, to be loaded anew"
    how = "unloaded" if change.how == "unload" else "it may expire now, as Ollama sees fit"
    return f"{_who(change)} is not kept any more: {how}"


def _repinned(change: of.ModelRepinned) -> str:
    left = f"it had {span(change.remaining_s)} left"
    return f"{_who(change)} got its keep_alive again in {span(change.took_s)}: {left}"


def _reloaded(change: of.ModelReloaded) -> str:
    by = "a ping of ours" if change.by is By.KEEPER else "a client"
    return _with(f"{_who(change)} was loaded anew by {by}", why(change.reason), _contexts(change))


def _contexts(change: of.ModelReloaded) -> str | None:
    before, now = change.context_length_before, change.context_length
    if now is None or before is None or now == before:
        return f"context {now or before}" if now or before else None
    return f"context {now}, before {before}"


def _degraded(change: of.ModelDegraded) -> str:
    share = None if change.gpu_fraction is None else on_gpu(change.gpu_fraction)
    context = None if change.context_length is None else f"context {change.context_length}"
    wanted = None if change.wanted is None else f"wanted: {change.wanted}"
    return _with(f"{_who(change)} is not as wanted", why(change.reason), share, context, wanted)


def _stuck(change: of.ModelStuck) -> str:
    took = None if change.took_s is None else f"a request of ours has been open for {span(change.took_s)}"
    return _with(f"{_who(change)} is stuck", why(change.reason), took)


def _contended(change: of.ModelContended) -> str:
    own, other = _sized(change.model, change.size_bytes), _sized(change.with_, change.with_size_bytes)
    beside = f" beside {other}" if other else ""
    return _with(f"{own} cannot be kept{beside} on {change.server}", why(change.reason))


def _sized(name: str | None, size: int | None) -> str:
    return f"{name or 'a model'} ({show_size(size)})" if size is not None else name or ""


def _yielding(change: of.ModelYielding) -> str:
    came = f", which came {span(change.since_s)} ago," if change.since_s and change.since_s >= 1 else ""
    return f"{_who(change)} waits for {change.to or 'another model'}{came} to be idle or gone"


def _missing(change: of.ModelMissing) -> str:
    return f"{_who(change)} cannot be loaded: {why(change.reason, otherwise='not pulled')}"


def _refused(change: of.ModelRefused) -> str:
    other = None if change.with_ is None else f"as {change.with_}"
    return _with(f"{_who(change)} is not kept", " ".join(part for part in (why(change.reason), other) if part))


# --- requests ---------------------------------------------------------------------------------------------------------


def _warming(change: of.WarmStarted) -> str:
    cause = why(change.cause if isinstance(change.cause, Cause) else None)
    return _with(f"loading {_who(change)}", cause, f"attempt {change.attempt}" if change.attempt > 1 else None)


def _status(status: int | None) -> str | None:
    return None if status is None else f"HTTP {status}"


def _warm_failed(change: of.WarmFailed) -> str:
    begin = f"loading {_who(change)} failed after {span(change.took_s)}"
    attempt = f"attempt {change.attempt}" if change.attempt > 1 else None
    cost = f"it cost {listed(*change.collateral)}" if change.collateral else None
    again = None if change.retry_s is None else f"again in {span(change.retry_s)}"
    return _with(begin, why(change.reason), _status(change.status), attempt, cost, again)


def _ping_failed(change: of.PingFailed) -> str:
    begin = f"{_who(change)} did not take a ping after {span(change.took_s)}"
    return _with(begin, why(change.reason), _status(change.status))


def _check_failed(change: of.CheckFailed) -> str:
    return f"a check of {_who(change)} failed: {change.error}"


def _breaker_opened(change: of.BreakerOpened) -> str:
    begin = f"{_who(change)} is not loaded for {span(change.open_s)}"
    if change.reason is Reason.GUEST_ACTIVE:
        return _with(begin, f"its place was taken {number(change.failures, 'time')}, each time soon after a load")
    return _with(begin, _in_a_row(change.failures), change.reason and why(change.reason))


def _breaker_closed(change: of.BreakerClosed) -> str:
    failures = f"{number(change.failures, 'failure')} before" if change.failures else None
    return _with(f"{_who(change)} loads again", f"after {span(change.open_s)}", failures)


# --- alerts -----------------------------------------------------------------------------------------------------------


def _alert(change: of.AlertFiring) -> str:
    return _with(_named(change), change.reason and why(change.reason), f"since {span(change.since_s)}")


def _over(change: of.AlertResolved) -> str:
    how = None if change.how == "recovered" else _spoken(change.how)
    return _with(f"{_named(change)} is over", how, f"after {span(change.since_s)}")


def _named(change: of.AlertFiring | of.AlertResolved) -> str:
    whom = f" of {_who(change)}" if change.server else ""
    return f"alert {_spoken(change.alert)}{whom} ({change.fingerprint})"


def _sent(change: of.NotificationSent) -> str:
    took = f"{span(change.took_s)} after it was due"
    return _with(f"{change.sink} took a message", number(change.attempts, "attempt"), took)


def _delayed(change: of.NotificationDelayed) -> str:
    again = f"again in {span(change.retry_s)}"
    tries = number(change.attempts, "attempt")
    return _with(f"{change.sink} did not take a message", change.reason and why(change.reason), tries, again)


def _given_up(change: of.NotificationFailed) -> str:
    tries = f"given up after {number(change.attempts, 'attempt')} in {span(change.took_s)}"
    return _with(f"{change.sink} did not take a message", change.reason and why(change.reason), tries)


def _pull_started(change: of.PullStarted) -> str:
    return _with(f"pulling {_who(change)}", _come(change) and f"{_come(change)} are there")


def _pull_progress(change: of.PullProgress) -> str:
    return f"pulling {_who(change)}: {_come(change)}"


def _pull_finished(change: of.PullFinished) -> str:
    return _with(f"{_who(change)} is pulled", _come(change))


def _pull_failed(change: of.PullFailed) -> str:
    again = None if change.retry_s is None else f"again in {span(change.retry_s)}"
    return _with(f"{_who(change)} could not be pulled", why(change.reason), _come(change), again)


def _come(change: of.PullStarted | of.PullProgress | of.PullFinished | of.PullFailed) -> str | None:
    """`43 % of 4.9 GiB`; None where nothing is known yet."""
    if change.completed_bytes is None or not change.total_bytes:
        return None
    return f"{100 * change.completed_bytes // change.total_bytes} % of {show_size(change.total_bytes)}"


def _spoken(state: str) -> str:
    return state.replace("_", " ")


SENTENCES: dict[type[Change], Callable[[Any], str]] = {
    of.KeeperStarted: _started,
    of.KeeperStopping: _stopping,
    of.KeeperStopped: _stopped,
    of.KeeperSummary: _summary,
    of.ConfigLoaded: _config,
    of.ConfigRejected: _rejected,
    of.WebFailed: _web,
    of.ControlRefused: _control,
    of.ServerWaiting: _waiting,
    of.ServerUp: _up,
    of.ServerBusy: _busy,
    of.ServerDown: _down,
    of.ServerRestarted: _restarted,
    of.ServerSchedulerHung: _hung,
    of.ServerInquiryFailed: _inquiry,
    of.ServerRecovered: _recovered,
    of.ModelLost: _lost,
    of.ModelReady: _ready,
    of.ModelRenewed: _renewed,
    of.ModelRepinned: _repinned,
    of.ModelReleased: _released,
    of.ModelSlow: _slow,
    of.ModelOptionsDisagree: _disagree,
    of.ServerGpuMissing: _gpu,
    of.ProbeFailed: _probe_failed,
    of.ModelPaused: _paused,
    of.ModelResumed: _resumed,
    of.ModelOffHours: _off_hours,
    of.ModelOverBudget: _over_budget,
    of.ModelReloaded: _reloaded,
    of.ModelDegraded: _degraded,
    of.ModelStuck: _stuck,
    of.ModelContended: _contended,
    of.ModelYielding: _yielding,
    of.ModelMissing: _missing,
    of.ModelRefused: _refused,
    of.WarmStarted: _warming,
    of.WarmFailed: _warm_failed,
    of.PingFailed: _ping_failed,
    of.CheckFailed: _check_failed,
    of.BreakerOpened: _breaker_opened,
    of.BreakerClosed: _breaker_closed,
    of.PullStarted: _pull_started,
    of.PullProgress: _pull_progress,
    of.PullFinished: _pull_finished,
    of.PullFailed: _pull_failed,
    of.AlertFiring: _alert,
    of.AlertResolved: _over,
    of.NotificationSent: _sent,
    of.NotificationDelayed: _delayed,
    of.NotificationFailed: _given_up,
    of.ClockJumped: _clock,
    of.LoopStalled: _stalled,
    of.LogDropped: _dropped,
    of.StateFailed: _state_file,
}
"""How each event is said; a test holds it to be complete."""
