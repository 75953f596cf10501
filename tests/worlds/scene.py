"""What a walk begins with: a server, its room, what is stored there, and what is wanted of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ollama_keeper.core.facts import Kind, Shown
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.policy import Policy, ranked
from ollama_keeper.simulator.state import SECOND, Settings, StoredModel

GUEST = "g"
WANTED = ("a", "b")
VERSION = "0.33.0"
EPOCH = datetime(2026, 9, 1, 12, tzinfo=UTC)
EPOCH_NS = int(EPOCH.timestamp()) * SECOND
LOAD_S = {"a": 4.0, "b": 13.0, GUEST: 2.0}  # b's is open when the jobs run
GIB = 2**30


@dataclass(frozen=True)
class Scene:
    """One small world before anything has happened.

    Attributes:
        room: models that the server holds at once.
        policies: of the two wanted models, ranked.
    """

    name: str
    room: int
    policies: tuple[Policy, ...]

    @property
    def settings(self) -> Settings:
        """Of the server."""
        return Settings(max_loaded_models=self.room)

    def policy(self, model: str) -> Policy:
        """Of a wanted model."""
        return next(policy for policy in self.policies if policy.model == model)


def wanted(model: str, **wishes: object) -> Policy:
    """A policy with these wishes, and defaults."""
    return Policy(model=model, name=parse_name(model), **wishes)  # type: ignore[arg-type]


ROOM_FOR_ONE = Scene("room for one", 1, ranked([wanted("a"), wanted("b")]))
ROOM_FOR_TWO = Scene("room for two", 2, ranked([wanted("a"), wanted("b")]))
RANKS_AND_A_LEASE = Scene(
    "room for two, ranks and a lease", 2, ranked([wanted("a", priority=200), wanted("b", lease_s=600.0)])
)
SCENES = (ROOM_FOR_ONE, ROOM_FOR_TWO, RANKS_AND_A_LEASE)

MODELS = {
    name: StoredModel(
        f"{name}:latest",
        digest=name * 64,
        blob=f"/blobs/{name}",
        size=GIB,
        weights=GIB,
        memory=GIB,
        memory_per_token=1024,
        load_s=LOAD_S[name],
    )
    for name in (*WANTED, GUEST)
}
NAMES = {model.blob: name for name, model in MODELS.items()}


def shown(name: str) -> Shown:
    """What `/api/show` tells of a stored model."""
    return Shown(Kind.COMPLETION, weights=MODELS[name].blob, trained_context=MODELS[name].trained_context)


def instant(now: int) -> Instant:
    """The keeper's clocks at a moment of the walk, in nanoseconds; nobody sets them here."""
    return Instant(now / SECOND, EPOCH + timedelta(microseconds=now // 1000))


def wall(nanoseconds: int) -> datetime:
    """A date of the server."""
    return EPOCH + timedelta(microseconds=(nanoseconds - EPOCH_NS) // 1000)
