"""What is known of one server and of its models: frozen and hashable, changed only by `fold`.

Everything that the keeper tells, decides or shows is a function of this, of the policies in it, and of the moment.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from ollama_keeper.core.facts import Kind, Listed, LoadRequest, Send, Shown
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.names import ModelName
from ollama_keeper.core.numbers import FULL_FOR_S, FULL_UNPROVED_S, PING_IS_LOAD_S, TIME_SLACK_S
from ollama_keeper.core.policy import Budget, Options, Policy
from ollama_keeper.core.reasons import By, Cause, Failure, Reason, ServerState, State, StateReason, Unpulled
from ollama_keeper.core.record import record, replace

Key = tuple[ModelName, str]
Neighbour = tuple[Key, int]


@record
class LoadRecord:
    """How our own warm, re-pin or take-over was listed when it had ended: what "ours" is judged by (CONTRACT 1).

    Attributes:
        lease_s: the time that we gave it; None pins.
        options: of that load; later pings send the same.
        armed: end of our last request on it, by the server's clock as far as it was known then.
    """

    digest: str
    context_length: int | None
    size: int
    size_vram: int
    lease_s: float | None
    options: Options
    armed: datetime

    def same(self, listed: Listed) -> bool:
        """Whether `listed` is still that load: digest, context, size and GPU share."""
        return (self.digest, self.context_length, self.size, self.size_vram) == (
            listed.digest,
            listed.context_length,
            listed.size,
            listed.size_vram,
        )


@record
class OpenLoad:
    """A load of ours that is not answered yet.

    Attributes:
        listed: the model was listed when the request was sent.
        way_for: the better model for which this unload makes way.
        vanished: it has left the list since, so the server is loading it anew.
    """

    request: LoadRequest
    since: Instant
    cause: Cause | None = None
    listed: bool = False
    way_for: str | None = None
    vanished: bool = False

    def counts(self, now: Instant) -> bool:
        """Whether it is the server's one load: a ping only once it is not quick (CONTRACT 1); an unload never."""
        if self.request.send is Send.UNLOAD:
            return False
        return self.request.send is not Send.PING or self.vanished or now.since(self.since) >= PING_IS_LOAD_S


@record
class Pending:
    """A load of ours that was answered, and that the next look has to show.

    Attributes:
        slow: a request that should have loaded nothing took as long as a load.
        vanished: the model had left the list before the answer, so it was loaded anew.
    """

    request: LoadRequest
    at: Instant
    took_s: float
    cause: Cause | None
    slow: bool = False
    vanished: bool = False

    @property
    def reloaded(self) -> bool:
        """Whether the model was loaded anew, as far as the answer tells."""
        return self.slow or self.vanished


@record
class Departure:
    """Why the model is not resident, and since when.

    Attributes:
        at: the look that showed it; `last_seen` the look before, None if it was never listed.
        displacer: what took its place.
        grace_s: how long it is left alone.
        came: when it had come to be resident.
    """

    cause: Cause
    at: Instant
    last_seen: Instant | None = None
    displacer: Key | None = None
    displaced_by: str | None = None
    by_us: bool = False
    grace_s: float = 0.0
    released: bool = False
    came: Instant | None = None


@record
class Return:
    """How the model came to be resident."""

    by: By
    cause: Cause | None = None
    outage_s: float | None = None
    load_s: float | None = None


@record
class Breaker:
    """Warms of one model are held off.

    Attributes:
        trips: how often it opened in a row; each doubles the time.
        failures: failed warms, or displacements, that opened it.
        guest: what took the model's place within minutes of each load; while it is in use, nothing is tried.
    """

    opened: Instant
    open_s: float
    trips: int
    failures: int
    guest: Key | None = None
    closed: bool = False

    def holds(self, now: Instant) -> bool:
        """Whether it still holds warms off."""
        return not self.closed and now.since(self.opened) < self.open_s


@record
class Present:
    """A listed model, wanted or guest: since when, and when its `expires_at` last moved.

    Attributes:
        beside: bytes of GPU memory that others took at the look that first listed it.
    """

    listed: Listed
    appeared: Instant
    moved: Instant
    beside: int = 0

    @property
    def key(self) -> Key:
        """Identity of the entry: the same name may be listed twice with different digests (OLLAMA.md 5)."""
        return self.listed.name, self.listed.digest


@record
class MadeWay:
    """An unload that made way for a better model."""

    model: str
    at: Instant


@record
class Full:
    """A warm cost a model of higher rank: neither it nor a lower rank is tried again (CONTRACT 8).

    Attributes:
        rank: of the model whose warm it was.
        loser, winner: the model that was evicted, and the one whose warm did it.
        losers: all that this warm cost their places.
        room: something left since that does not come back, and its place is a gap yet.
        unproved: it was the better one's load that cost the lesser its place; then `winner` is the lesser all the same.
    """

    since: Instant
    rank: int
    winner: str
    loser: str
    winner_size: int = 0
    loser_size: int = 0
    sweep: bool = False
    losers: tuple[str, ...] = ()
    room: bool = False
    unproved: bool = False

    @property
    def until(self) -> float:
        """Monotonic instant at which it ends by itself."""
        return self.since.mono + (FULL_UNPROVED_S if self.unproved else FULL_FOR_S)


@record
class Gap:
    """A place that is free, and that a client's load may be taking, which is listed only once it has ended.

    Attributes:
        left: what left it.
        closed: somebody else's model has come since.
        back: what came back into its own gap; `believed` when such a leaving was last taken for none.
    """

    at: Instant
    left: tuple[Key, ...] = ()
    closed: bool = False
    back: Key | None = None
    believed: Instant | None = None


@record
class Pause:
    """A model is to be left alone: since when, until when, who asked, and why; wall times, so that it outlives us."""

    since: datetime
    until: datetime | None
    by: str
    note: str | None = None
    unload: bool = False


@record
class LearnedSize:
    """What a model took when it was last loaded by us: of which weights, with which options."""

    digest: str
    options: Options
    size: int


@record
class Download:
    """The pull of a missing model: how far it is, or why the last one failed.

    Attributes:
        since: when the open one began; None when none is open.
        completed, total: bytes of the layers told of so far; `began_at` those that were there when it began.
        told, told_completed: the progress that was told last.
        failures: in a row, none of which brought anything.
    """

    since: Instant | None = None
    completed: int = 0
    total: int = 0
    began_at: int | None = None
    told: Instant | None = None
    told_completed: int = 0
    failures: int = 0
    failed: Instant | None = None
    reason: Failure | Unpulled | None = None


@record
class ModelMemory:
    """What is known of one wanted model on one server.

    Attributes:
        pulled: digest in `/api/tags`; None before the first one, or when not pulled.
        asked_digest: digest that `shown` belongs to.
        remote: a stub whose model runs elsewhere.
        rejected: the server answered our load with 400: only an edit helps.
        size: as last listed, bytes; 0 where never.
        touched: when our last load of it was answered.
        learned_context: context that a client loaded it with, sent with the next warm (`context: adopt`).
        own_context, own_options: context that our last load got, and the options that it was sent with.
        displacements: monotonic instants of the last ten minutes; `outbid` of the last hour, when the guest `outbid_by`
            took its place within minutes of a load of ours.
        left_alone: two loads of ours were reloads within a day: no ping, no re-pin until the configuration changes.
        given_back: lowered or unloaded by us since we last loaded it, for it was not to be kept any more.
        disk_size: of its files, bytes; 0 where unknown. `learned_size`: what it took when it was loaded.
        stood_with: what was listed beside it, each with its size: the last such set that no later one is a part of.
        used: the look that last showed that a client had used it, since it is listed.
        repaired: when we last unloaded it to have it loaded anew; `unloading` until it has left.
        made_way: when we last unloaded it for a better one.
        client_reloads: monotonic instants of the last hour; `quarrelled` when they were told of.
        unloads: monotonic instants of the last hour at which it was gone for no reason but somebody's wish.
        told: the state that was last told of, at `told_at`.
    """

    policy: Policy
    pulled: str | None = None
    missing: bool = False
    shown: Shown | None = None
    asked_digest: str | None = None
    show_failed: Instant | None = None
    remote: bool = False
    rejected: bool = False
    present: Present | None = None
    last_seen: Instant | None = None
    size: int = 0
    record: LoadRecord | None = None
    pending: Pending | None = None
    departure: Departure | None = None
    returned: Return | None = None
    touched: Instant | None = None
    ping_failed: Instant | None = None
    idle_tested: Instant | None = None
    idle: bool = False
    reloads: tuple[float, ...] = ()
    left_alone: bool = False
    failures: int = 0
    failed: Instant | None = None
    failure: Failure | None = None
    retry_after_s: float | None = None
    breaker: Breaker | None = None
    displacements: tuple[float, ...] = ()
    outbid: tuple[float, ...] = ()
    outbid_by: Key | None = None
    learned_context: int | None = None
    own_context: int | None = None
    own_options: Options | None = None
    best_gpu: float | None = None
    shortest_load_s: float | None = None
    longest_load_s: float | None = None
    given_back: bool = False
    pause: Pause | None = None
    disk_size: int = 0
    learned_size: LearnedSize | None = None
    stood_with: tuple[Neighbour, ...] = ()
    used: Instant | None = None
    repaired: Instant | None = None
    unloading: bool = False
    made_way: MadeWay | None = None
    probed: Instant | None = None
    probe_failures: int = 0
    slow: bool = False
    client_reloads: tuple[float, ...] = ()
    quarrelled: Instant | None = None
    unloads: tuple[float, ...] = ()
    told: tuple[State, StateReason] | None = None
    told_at: Instant | None = None
    download: Download | None = None

    @property
    def model(self) -> str:
        """The operator's name for it."""
        return self.policy.model

    @property
    def listed(self) -> Listed | None:
        """Its entry in the last good look."""
        return self.present.listed if self.present else None

    @property
    def kind(self) -> Kind:
        """How it is asked; a completion model as long as nothing else is known."""
        return self.shown.kind if self.shown else Kind.COMPLETION


@record
class ServerMemory:
    """What is known of one server.

    Attributes:
        since: when it entered its state; `born` when the keeper began.
        disturbed: a look failed, or the server closed a connection, since the last good look.
        restarted: other version since the last good look.
        refusals: failures in a row that another quick try will not mend, such as 401.
        present: the entries of the last good look; `changed` when a model last came or went.
        models: those that are wanted, by rank; `leaving` those that were, and are still to be given back.
        weights: blob path or digest by manifest digest, for names that are not ours (aliases).
        inquiry: why `/api/tags` does not answer.
        failed_loads: monotonic instants of failed loads of ours, of the last hour.
        freed: a hung scheduler was freed by us once, and hangs still.
        gpu_seen: something of this server was on a GPU, ever; `gpu_since` since it started; `gpu_told` that it is not.
        most_vram, most_count: bytes of GPU memory that were taken at once, and how many were listed, at most.
        doubt: the same where it was a better model's load that cost a lesser one its place, which proves less.
        abandoned: a load of ours was given up, and nothing has changed since.
        strangers: entries of the last good look that made no sense, and are nothing known.
    """

    server: str
    born: Instant
    since: Instant
    look_timeout_s: float = 15.0
    state: ServerState = ServerState.WAITING
    version: str | None = None
    good: Instant | None = None
    failures: int = 0
    failure: Failure | None = None
    failed: Instant | None = None
    silent: bool = False
    disturbed: bool = False
    restarted: bool = False
    say_waiting: Instant | None = None
    retry_after_s: float | None = None
    skew_s: float | None = None
    strangers: int = 0
    present: tuple[Present, ...] = ()
    changed: Instant | None = None
    models: tuple[ModelMemory, ...] = ()
    leaving: tuple[ModelMemory, ...] = ()
    budget: Budget | None = None
    weights: tuple[tuple[str, str | None], ...] = ()
    tagged: Instant | None = None
    inquiry: Failure | None = None
    open: tuple[OpenLoad, ...] = ()
    failed_loads: tuple[float, ...] = ()
    longest_load_s: float | None = None
    full: Full | None = None
    doubt: Full | None = None
    gap: Gap | None = None
    abandoned: Instant | None = None
    hung: Instant | None = None
    freed: bool = False
    most_vram: int = 0
    most_count: int = 0
    gpu_seen: bool = False
    gpu_since: bool = False
    gpu_told: bool = False

    def model(self, name: str) -> ModelMemory:
        """What is known of the model that the operator calls `name`.

        Raises:
            KeyError: no such model is kept here.
        """
        model = self.get(name)
        if model is None:
            raise KeyError(name)
        return model

    def get(self, name: str) -> ModelMemory | None:
        """The same, or None."""
        for model in self.models:
            if model.policy.model == name:
                return model
        return next((model for model in self.leaving if model.model == name), None)

    def better_than(self, model: ModelMemory) -> Iterator[ModelMemory]:
        """The wanted models of higher rank, the best first."""
        return takewhile(lambda other: other.policy.rank < model.policy.rank, self.models)

    def is_leaving(self, model: ModelMemory) -> bool:
        """Whether a model is wanted no more, and only still to be given back."""
        return any(other.model == model.model for other in self.leaving)

    @property
    def known(self) -> tuple[ModelMemory, ...]:
        """The models that are wanted, and those that are still to be given back."""
        return (*self.models, *self.leaving)

    def with_model(self, changed: ModelMemory) -> "ServerMemory":
        """The same with one model replaced."""
        return replace(self, models=_with(changed, self.models), leaving=_with(changed, self.leaving))

    def with_leaving(self, leaving: tuple[ModelMemory, ...]) -> "ServerMemory":
        """The same with other models that are still to be given back."""
        return replace(self, leaving=leaving)

    def opened(self, model: str) -> OpenLoad | None:
        """The open load of ours for a model."""
        if not self.open:  # as nearly always
            return None
        return next((load for load in self.open if load.request.model == model), None)

    def guests(self) -> tuple[Present, ...]:
        """Listed models that we do not keep; one that a load of ours has just brought is none."""
        ours = {model.present.key for model in self.known if model.present}
        coming = {model.policy.name for model in self.known if model.pending}
        return tuple(one for one in self.present if one.key not in ours and one.listed.name not in coming)

    def brought(self) -> tuple[Present, ...]:
        """Listed models that a client has loaded, kept or not."""
        kept = (model for model in self.models if model.record is None and self.opened(model.model) is None)
        return (*self.guests(), *(model.present for model in kept if model.present and not model.pending))

    def server_time(self, now: Instant) -> datetime:
        """The server's wall clock; a difference within the slack of its `Date` header counts as none."""
        if self.skew_s is None or abs(self.skew_s) <= TIME_SLACK_S:
            return now.wall
        return now.wall + timedelta(seconds=self.skew_s)

    def remaining_s(self, listed: Listed, now: Instant) -> float:
        """Seconds to the end of a listed model's time by the server's clock; negative when past."""
        return (listed.expires_at - self.server_time(now)).total_seconds()


def _with(changed: ModelMemory, models: tuple[ModelMemory, ...]) -> tuple[ModelMemory, ...]:
    name = changed.policy.model
    return tuple(changed if model.policy.model == name else model for model in models)


def fresh_memory(server: str, now: Instant, *, look_timeout_s: float = 15.0) -> ServerMemory:
    """What is known before the first fact: nothing."""
    return ServerMemory(server=server, born=now, since=now, look_timeout_s=look_timeout_s)


REFUSED_BY_KIND = {Kind.CLOUD: Reason.CLOUD_MODEL, Kind.IMAGE: Reason.IMAGE_MODEL}
