"""What really happened on a simulated server: the ground truth that tests ask, never the keeper's own log.

Instants are seconds of the event loop's clock, which in virtual time begins at 0 with the test.
"""

from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate

from ollama_keeper.simulator.effects import LoadEnded, LoadStarted, Unloaded
from ollama_keeper.simulator.state import SECOND


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; `status`, `ended` and `tokens` come when it is over.

    Attributes:
        who: first word of the User-Agent, `client` for what the verbs send.
        body: decoded; None without one, or where it is no JSON object.
        status: 0 while it is open, 499 where the client hung up.
        ended: when it was over; None while it is open.
        tokens: generated for it.
    """

    id: int
    at: float
    method: str
    path: str
    who: str
    user_agent: str
    body: dict[str, object] | None
    status: int = 0
    ended: float | None = None
    tokens: int = 0

    @property
    def model(self) -> str | None:
        """The model it names, as sent."""
        name = (self.body or {}).get("model")
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class Load:
    """One start of a child.

    Attributes:
        who: whose request it was for.
        reload: why a resident runner had to go for it (an option, `child_dead`, …); empty for a cold load.
        outcome: loaded, aborted, crash, out_of_memory, stall, cut; empty while it is open.
    """

    request: int
    model: str
    key: str
    who: str
    start: float
    reload: str = ""
    end: float | None = None
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Unload:
    """One departure.

    Attributes:
        cause: expired, keep_alive_0, unload, evicted, reload, memory_sweep, runtime_oom, load_failed or restart.
        by: whose request it was for; empty where it was nobody's.
    """

    at: float
    model: str
    key: str
    cause: str
    by: str


@dataclass(slots=True)
class History:
    """The record of one server; grows only."""

    all_requests: list[Request] = field(default_factory=list)
    all_loads: list[Load] = field(default_factory=list)
    all_unloads: list[Unload] = field(default_factory=list)

    def requests(self, path: str | None = None, *, who: str | None = None, model: str | None = None) -> list[Request]:
        """Requests in order of arrival, by path, by whom (the name before any `/`), by the model they name."""
        return [
            request
            for request in self.all_requests
            if (path is None or request.path == path)
            and (who is None or is_by(request.who, who))
            and (model is None or request.model == model)
        ]

    def loads(self, model: str | None = None, *, who: str | None = None) -> list[Load]:
        """Loads, cold and not, well ended or not."""
        return [
            load
            for load in self.all_loads
            if (model is None or load.model == model) and (who is None or is_by(load.who, who))
        ]

    def reloads(self, model: str | None = None, *, who: str | None = None) -> list[Load]:
        """Loads for which a live runner of the same weights had to go."""
        return [load for load in self.loads(model, who=who) if load.reload and load.reload != "child_dead"]

    def aborted(self, *, who: str | None = None) -> list[Load]:
        """Loads that died because their client hung up."""
        return [load for load in self.loads(who=who) if load.outcome == "aborted"]

    def unloads(self, model: str | None = None, *, cause: str | None = None, by: str | None = None) -> list[Unload]:
        """Departures."""
        return [
            unload
            for unload in self.all_unloads
            if (model is None or unload.model == model)
            and (cause is None or unload.cause == cause)
            and (by is None or is_by(unload.by, by))
        ]

    def tokens(self, *, who: str | None = None) -> int:
        """Tokens generated."""
        return sum(request.tokens for request in self.requests(who=who))

    def most_open(self, path: str | None = None, *, who: str | None = None) -> int:
        """The largest number of requests open at one time."""
        return _most([(request.at, request.ended) for request in self.requests(path, who=who)])

    def loads_overlapped(self) -> bool:
        """Whether two loads were ever open at once."""
        return _most([(load.start, load.end) for load in self.all_loads]) > 1

    def as_json(self) -> dict[str, object]:
        """All of it, for the control path."""
        return {
            "requests": [asdict(request) for request in self.all_requests],
            "loads": [asdict(load) for load in self.all_loads],
            "unloads": [asdict(unload) for unload in self.all_unloads],
            "tokens": {who: self.tokens(who=who) for who in sorted({request.who for request in self.all_requests})},
        }

    # --- written by the shell -----------------------------------------------------------------------------------------

    def opened(self, request: Request) -> None:
        """A request has come."""
        self.all_requests.append(request)

    def update(self, request: int, **changes: object) -> None:
        """More is known of a request."""
        for index in range(len(self.all_requests) - 1, -1, -1):
            if self.all_requests[index].id == request:
                self.all_requests[index] = replace(self.all_requests[index], **changes)  # type: ignore[arg-type]
                return

    def generated(self, request: int, tokens: int) -> None:
        """Tokens have been generated for a request."""
        known = next((one.tokens for one in reversed(self.all_requests) if one.id == request), 0)
        self.update(request, tokens=known + tokens)

    def note(self, effect: LoadStarted | LoadEnded | Unloaded) -> None:
        """The machine has loaded or unloaded."""
        at = effect.at / SECOND
        match effect:
            case LoadStarted():
                self.all_loads.append(Load(effect.id, effect.model, effect.key, effect.who, at, effect.reload))
            case LoadEnded():
                self._end_load(effect.id, at, effect.outcome)
            case Unloaded():
                self.all_unloads.append(Unload(at, effect.model, effect.key, effect.cause, effect.by))

    def cut(self, at: float) -> None:
        """The server has ended: so have its loads."""
        for load in [load for load in self.all_loads if load.end is None]:
            self._end_load(load.request, at, "cut")

    def _end_load(self, request: int, at: float, outcome: str) -> None:
        for index, load in enumerate(self.all_loads):
            if load.request == request and load.end is None:
                self.all_loads[index] = replace(load, end=at, outcome=outcome)


def is_by(agent: str, who: str) -> bool:
    """Whether a User-Agent's first word is of `who`: `ollama-keeper/0.1.0` is by `ollama-keeper`."""
    return agent == who or agent.split("/", 1)[0] == who


def _most(spans: list[tuple[float, float | None]]) -> int:
    """The largest number of spans open at once; one that ends as another starts does not count with it."""
    edges = [(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans if end is not None]
    return max(accumulate(change for _, change in sorted(edges)), default=0)
