"""Alerts: troubles that last, from the first moment until they are over, each told once (CONTRACT 5).

`step` looks at what is known and gives the next book and the edges, so that a restarted keeper comes to the same. An
incident is pending until its `for` is over, then fires, then ends:

1. What cannot be told now changes nothing, and its time does not count. Nor does time in which nobody looked.
2. A model that is wanted no more, or not now, ends its incidents at once.
3. What is well again ends only when it stays so: that a model comes and goes is one alert, not one a time.
4. Alerts of models wait while their server is in trouble itself, or has just come back; and while the model is on its
   way back as usual.

What only happens, and does not last, has a rule for its end: a cold start ends after 15 minutes; options disagree as
long as the last hour had three reloads by clients; a configuration is rejected until one is taken; the keeper is
unhealthy for 15 minutes after the last fault of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from ollama_keeper.core.alert_rules import Rules
from ollama_keeper.core.changes import (
    AlertFiring,
    AlertResolved,
    Change,
    CheckFailed,
    ConfigLoaded,
    ConfigRejected,
    LogDropped,
    LoopStalled,
    ModelOptionsDisagree,
    NotificationFailed,
    ServerRestarted,
    StateFailed,
    WebFailed,
)
from ollama_keeper.core.conditions import Aspect, Details, Finding, Seen, Subject, observed
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.reasons import Alert, StateReason
from ollama_keeper.core.states import States, states_of

HEAL_S = 90.0  # after a server has come back, its models are given so long before they are told of
HOLD_S = 60.0  # well again for so long is over
FLAPPING = 3
HOLD_FLAPPING_S = 300.0
GAP_S = 30.0  # a longer time without a look at it all, such as sleep, proves nothing
SERVERS_COME_S = 120.0  # a server behind a name is known again only some time after a start
FAULTS_FOR_S = 900.0
STALLS = 3  # a machine that slept is no fault: it must come again and again

MUTING = frozenset({Aspect.DOWN, Aspect.BUSY, Aspect.HUNG})
SHORT_FAULTS = (LoopStalled, LogDropped)
FAULTS = (*SHORT_FAULTS, CheckFailed, NotificationFailed, StateFailed, WebFailed)
RECOVERED, NOT_WANTED = "recovered", "not_wanted"


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble from its beginning to its end.

    Attributes:
        since: when it began.
        held: the moment from which `for` counts; moved on by time that proves nothing.
        well: since when it is well again; None while it lasts.
        times: how often it began again meanwhile.
        fired, round: when it was told, and its number among all; a later one of the same subject has a larger one.
        ended, how: when it was over, and why.
    """

    subject: Subject
    alert: Alert
    since: datetime
    held: Instant
    reason: StateReason = None
    details: Details = ()
    well: Instant | None = None
    times: int = 1
    fired: datetime | None = None
    round: int = 0
    ended: datetime | None = None
    how: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for every keeper that sees the same trouble."""
        return fingerprint(self.alert, self.subject.server, self.subject.model)

    @property
    def flapping(self) -> bool:
        """Whether it comes and goes."""
        return self.times >= FLAPPING


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the keeper itself: which event told of it, how often of late, and what it was about."""

    event: str
    about: str
    at: Instant
    times: int = 1
    lasting: bool = True


@dataclass(frozen=True, slots=True)
class Book:
    """All incidents.

    Attributes:
        began: when this keeper started; `seen` when it last looked at it all.
        open: those that last.
        over: those that have ended, the newest of each fingerprint.
        rounds: number of the last one that fired.
        restarted: servers, and when each was last seen to have restarted.
        rejected: the configuration that was not taken, and when.
        contexts: by server and model, the two contexts that clients disagree about.
    """

    began: Instant
    seen: Instant
    open: tuple[Incident, ...] = ()
    over: tuple[Incident, ...] = ()
    rounds: int = 0
    restarted: tuple[tuple[str, Instant], ...] = ()
    rejected: tuple[ConfigRejected, Instant] | None = None
    faults: tuple[Fault, ...] = ()
    contexts: tuple[tuple[tuple[str, str], Details], ...] = ()

    @property
    def firing(self) -> tuple[Incident, ...]:
        """The incidents that were told and last."""
        return tuple(incident for incident in self.open if incident.fired is not None)


def opened(now: Instant) -> Book:
    """The book of a keeper that starts."""
    return Book(began=now, seen=now)


def fingerprint(alert: Alert, server: str, model: str) -> str:
    """16 hexadecimal digits for an alert of a model on a server."""
    return sha256("\0".join((alert.value, server, model)).encode()).hexdigest()[:16]


# --- what only happens ------------------------------------------------------------------------------------------------


def noted(book: Book, change: Change, now: Instant) -> Book:
    """The book after a change that no state shows later."""
    match change:
        case ConfigRejected():
            return replace(book, rejected=(change, book.rejected[1] if book.rejected else now))
        case ConfigLoaded():
            return replace(book, rejected=None)
        case ServerRestarted():
            others = tuple(one for one in book.restarted if one[0] != change.server)
            return replace(book, restarted=(*others, (change.server or "", now)))
        case ModelOptionsDisagree():
            return replace(book, contexts=_with_contexts(book, change))
        case _ if isinstance(change, FAULTS):
            return replace(book, faults=_with_fault(book.faults, change, now))
    return book


def _with_contexts(book: Book, change: ModelOptionsDisagree) -> tuple[tuple[tuple[str, str], Details], ...]:
    key = change.server or "", change.model or ""
    told = (("context_length", change.context_length), ("context_length_before", change.context_length_before))
    contexts = tuple((name, value) for name, value in told if value is not None)
    return (*(one for one in book.contexts if one[0] != key), (key, contexts))


def _with_fault(faults: tuple[Fault, ...], change: Change, now: Instant) -> tuple[Fault, ...]:
    fresh = [fault for fault in faults if now.since(fault.at) < FAULTS_FOR_S]
    about = str(change.told().get("sink") or change.told().get("path") or change.told().get("address") or "")
    same = next((fault for fault in fresh if (fault.event, fault.about) == (change.event, about)), None)
    others = [fault for fault in fresh if fault is not same]
    lasting = not isinstance(change, SHORT_FAULTS)
    return (*others, Fault(change.event, about, now, (same.times if same else 0) + 1, lasting))


def _of_keeper(book: Book, now: Instant) -> Iterable[Finding]:
    if book.rejected is not None:
        change, since = book.rejected
        told = change.told()
        details = tuple((name, str(told[name])) for name in ("path", "line", "column", "key", "hint") if name in told)
        yield Finding(Subject("", "", Aspect.CONFIG), Alert.CONFIG_REJECTED, since, None, details)
    counts = [fault for fault in book.faults if now.since(fault.at) < FAULTS_FOR_S]
    counts = [fault for fault in counts if fault.lasting or fault.times >= STALLS]
    if counts:
        since = min(fault.at for fault in counts)
        faults: Details = tuple((fault.event, fault.about or fault.times) for fault in counts)
        yield Finding(Subject("", "", Aspect.KEEPER), Alert.KEEPER_UNHEALTHY, since, None, faults)


def _of_clients(book: Book, seen: Seen) -> list[Finding]:
    """Disagreements with both contexts, of which a look shows one."""
    subjects = [(Subject(*key, Aspect.OPTIONS), contexts) for key, contexts in book.contexts]
    found = [(seen.findings[subject], contexts) for subject, contexts in subjects if subject in seen.findings]
    return [replace(one, details=tuple({**dict(one.details), **dict(contexts)}.items())) for one, contexts in found]


# --- one step ---------------------------------------------------------------------------------------------------------


def step(
    book: Book, servers: Sequence[ServerMemory], rules: Rules, now: Instant, *, states: States = states_of
) -> tuple[Book, tuple[Change, ...]]:
    """What has begun, fires or is over, at one moment; call it every few seconds.

    Args:
        states: of all models of a server, where somebody has them already.
    """
    seen = observed(servers, now, states)
    for finding in [*_of_keeper(book, now), *_of_clients(book, seen)]:
        seen.findings[finding.subject] = finding
    gap_s = now.since(book.seen)
    known = {incident.subject: _moved(incident, seen, gap_s) for incident in book.open}
    lasting = [_continued(incident, seen, book, now) for incident in known.values()]
    begun = [_begun(finding, now) for subject, finding in seen.findings.items() if subject not in known]
    begun += _missed(seen, known, book, now)
    view = _View(seen, _muted(book, servers, [*lasting, *begun], now), rules, now)
    return _settled(book, [*lasting, *begun], view)


@dataclass(frozen=True, slots=True)
class _View:
    """One moment, and what is asked of it."""

    seen: Seen
    muted: set[str]
    rules: Rules
    now: Instant


def _settled(book: Book, incidents: list[Incident], view: _View) -> tuple[Book, tuple[Change, ...]]:
    """Tells what fires and what has ended, and keeps the rest."""
    rounds, changes = book.rounds, list[Change]()
    still: list[Incident] = []
    over = book.over
    for incident in incidents:
        if incident.ended is not None:
            over, told = _closed(over, incident, view.now)
            changes += told
        elif _fires(incident, view):
            rounds += 1
            still.append(replace(incident, fired=view.now.wall, round=rounds))
            changes.append(_firing(still[-1], view.now))
        else:
            still.append(incident)
    return replace(book, seen=view.now, open=tuple(still), over=over, rounds=rounds), tuple(changes)


def _closed(over: tuple[Incident, ...], incident: Incident, now: Instant) -> tuple[tuple[Incident, ...], list[Change]]:
    """What has ended, with one more; what was never told needs no end."""
    if incident.fired is None:
        return over, []
    others = (one for one in over if one.fingerprint != incident.fingerprint)
    return (*others, incident), [_resolved(incident, now)]


def _begun(finding: Finding, now: Instant) -> Incident:
    return Incident(
        finding.subject, finding.alert, finding.since.wall, now, reason=finding.reason, details=finding.details
    )


def _moved(incident: Incident, seen: Seen, gap_s: float) -> Incident:
    """(1) Time that proves nothing does not count."""
    blind = gap_s > GAP_S or _unknown(incident, seen)
    return replace(incident, held=incident.held.later(gap_s)) if blind and incident.fired is None else incident


def _continued(incident: Incident, seen: Seen, book: Book, now: Instant) -> Incident:
    """The incident after one more look."""
    finding = seen.findings.get(incident.subject)
    if _unknown(incident, seen) or _may_come(incident, seen, book, now):
        return incident
    how = _not_wanted(incident, seen)
    if how is not None:
        return replace(incident, ended=now.wall, how=how)
    if finding is not None:
        return _again(incident, finding)
    if incident.well is not None and _came(incident.subject, seen, book):
        return replace(incident, well=now, times=incident.times + 1)
    return _well(incident, now)


def _unknown(incident: Incident, seen: Seen) -> bool:
    return (incident.subject.server, incident.subject.model) in seen.unknown


def _may_come(incident: Incident, seen: Seen, book: Book, now: Instant) -> bool:
    """Whether its server is not known yet, soon after a start."""
    server = incident.subject.server
    return bool(server) and server not in seen.servers and now.since(book.began) < SERVERS_COME_S


def _not_wanted(incident: Incident, seen: Seen) -> str | None:
    """(2) Why nobody wants to know any more."""
    server, model = incident.subject.server, incident.subject.model
    if server and (server not in seen.servers or (model and (server, model) not in seen.wanted)):
        return NOT_WANTED
    state = seen.idle.get((server, model))
    return state.value if state else None


def _well(incident: Incident, now: Instant) -> Incident:
    """(3) Over once it stays well."""
    well = incident.well or now
    if now.since(well) < _hold_s(incident):
        return incident if incident.well is not None else replace(incident, well=well)
    return replace(incident, well=well, ended=well.wall, how=RECOVERED)


def _hold_s(incident: Incident) -> float:
    if incident.subject.aspect in AT_ONCE:
        return 0.0
    return HOLD_FLAPPING_S if incident.flapping else HOLD_S


def _missed(seen: Seen, known: Mapping[Subject, Incident], book: Book, now: Instant) -> list[Incident]:
    """Models that left and came back between two looks at it all."""
    subjects = [Subject(server, model, Aspect.ABSENT) for server, model in seen.appeared]
    missed = [subject for subject in subjects if subject not in known and _came(subject, seen, book)]
    return [Incident(subject, Alert.MODEL_LOST, now.wall, now, well=now) for subject in missed]


def _came(subject: Subject, seen: Seen, book: Book) -> bool:
    """Whether a model has come back since the last look at it all."""
    appeared = seen.appeared.get((subject.server, subject.model))
    return subject.aspect is Aspect.ABSENT and appeared is not None and appeared.mono > book.seen.mono > book.began.mono


def _again(incident: Incident, finding: Finding) -> Incident:
    """It lasts: told as it is now. What was told as one kind of absence stays that one."""
    alert = incident.alert if incident.fired else finding.alert
    times = incident.times + (incident.well is not None)
    return replace(incident, alert=alert, reason=finding.reason, details=finding.details, well=None, times=times)


def _muted(book: Book, servers: Sequence[ServerMemory], incidents: Iterable[Incident], now: Instant) -> set[str]:
    """(4) Servers that are in trouble themselves, or have just come back."""
    troubled = {one.subject.server for one in incidents if one.subject.aspect in MUTING and one.ended is None}
    restarted = {server for server, at in book.restarted if now.since(at) < HEAL_S}
    return troubled | restarted | {memory.server for memory in servers if now.since(memory.since) < HEAL_S}


def _fires(incident: Incident, view: _View) -> bool:
    subject, finding = incident.subject, view.seen.findings.get(incident.subject)
    after_s = view.rules.for_s.get(incident.alert)
    if incident.fired is not None or after_s is None or view.now.since(incident.held) < after_s:
        return False
    if subject.model and (subject.server in view.muted or _unknown(incident, view.seen)):
        return False
    return incident.flapping if finding is None else incident.flapping or not finding.waits


def _firing(incident: Incident, now: Instant) -> AlertFiring:
    return AlertFiring(
        server=incident.subject.server or None,
        model=incident.subject.model or None,
        reason=incident.reason,
        alert=incident.alert,
        fingerprint=incident.fingerprint,
        since_s=round(max((now.wall - incident.since).total_seconds(), 0.0), 1),
    )


def _resolved(incident: Incident, now: Instant) -> AlertResolved:
    return AlertResolved(
        server=incident.subject.server or None,
        model=incident.subject.model or None,
        alert=incident.alert,
        fingerprint=incident.fingerprint,
        since_s=round(lasted_s(incident, now.wall), 1),
        how=incident.how,
    )


def lasted_s(incident: Incident, now: datetime) -> float:
    """Seconds from its beginning to its end, or to now."""
    return max(((incident.ended or now) - incident.since).total_seconds(), 0.0)


AT_ONCE = frozenset({Aspect.COLD_START, Aspect.OPTIONS, Aspect.CONFIG, Aspect.KEEPER})
"""Aspects whose own rule says when they are over."""
