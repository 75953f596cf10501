"""What the operator wants of one model on one server, with all defaults merged.

Built once from the configuration; everything that decides reads it from here. Durations are seconds.
"""

from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum

from ollama_keeper.core.calendar import Window
from ollama_keeper.core.names import ModelName, parse_name
from ollama_keeper.core.record import record, replace

CENTURY_H = (
    876_000  # about 100 years: `ollama ps` calls it Forever, and it leaves room below the server's largest int64
)
CENTURY_STEP_H = 1_000  # each priority below the highest: Ollama's victim is the shortest keep_alive (OLLAMA.md 4)


class Contention(StrEnum):
    """What to do when a guest displaced the model."""

    YIELD = "yield"
    INSIST = "insist"
    OBSERVE = "observe"


class OnExpire(StrEnum):
    """What to do when a lease of ours ran out."""

    REWARM = "rewarm"
    RELEASE = "release"


class Release(StrEnum):
    """How a model that is not to be kept any more is given back."""

    EXPIRE = "expire"
    UNLOAD = "unload"


class Repair(StrEnum):
    """What to do about a model that is resident, but not as wanted."""

    NONE = "none"
    RELOAD = "reload"


class PullRule(StrEnum):
    """What to do about a model that is not there."""

    NEVER = "never"
    IF_MISSING = "if_missing"


class ContextRule(StrEnum):
    """Which context length a warm asks for, where the operator gave no number."""

    SERVER = "server"
    ADOPT = "adopt"


OptionValue = int | bool
Options = tuple[tuple[str, OptionValue], ...]


@record
class Policy:
    """The wishes for one model on one server.

    Attributes:
        model: the name as the operator wrote it; key of everything the keeper tells about the model.
        name: what that name means to Ollama.
        lease_s: length of the lease; None pins.
        keep_alive: what a warm, re-pin or take-over sends: -1, a century string, or the lease's seconds.
        rank: place in the order of loads; 0 is first. Set by `ranked`.
        ping_every_s: None switches pings off.
        context: a number is sent as `num_ctx`; else the rule that finds one.
        options: the six other runner options, sorted by key.
        min_gpu_fraction: 0.0 to 1.0; None is `auto`.
        active: hours in which it is kept; none are always. `ahead_s` before them it is loaded; None is `auto`.
        probe_every_s: time between two probes of one token each; None switches them off.
        required: counts for `/readyz` and for the exit code of `status`.
    """

    model: str
    name: ModelName
    lease_s: float | None = None
    keep_alive: int | float | str = -1
    rank: int = 0
    priority: int = 100
    on_expire: OnExpire = OnExpire.REWARM
    interval_s: float = 15.0
    interval_configured: bool = False
    ping_every_s: float | None = 300.0
    required: bool = True
    context: int | ContextRule = ContextRule.ADOPT
    options: Options = field(default=())
    load_timeout_s: float = 1_800.0
    slow_load_s: float = 10.0
    contention: Contention = Contention.YIELD
    yield_for_s: float = 60.0
    unload_grace_s: float = 60.0
    min_gpu_fraction: float | None = None
    release: Release = Release.EXPIRE
    active: tuple[Window, ...] = ()
    ahead_s: float | None = None
    repair: Repair = Repair.NONE
    pull: PullRule = PullRule.NEVER
    probe_every_s: float | None = None
    probe_timeout_s: float = 60.0
    probe_slow_after_s: float = 10.0

    @property
    def pins(self) -> bool:
        """Whether the model is to stay for ever."""
        return self.lease_s is None


@record
class Budget:
    """What the models of one server may take in all: bytes, and how many; None is as much as there is."""

    memory: int | None = None
    models: int | None = None


def policy_for(model: str) -> Policy:
    """The policy of a model that is only named, all defaults.

    Raises:
        BadName: Ollama would not take the name.
    """
    return Policy(model=model, name=parse_name(model))


def ranked(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    """The policies of one server in the order of their loads, each with its rank and the keep_alive that it sends.

    Larger priority first, then the order given. Pins of the highest priority get -1, those of the r-th priority below
    it `(876000 - 1000 r)h`, so that Ollama's own choice of victims follows our ranks (OLLAMA.md 4; CONTRACT 2.3).
    """
    ordered = sorted(policies, key=lambda policy: -policy.priority)
    levels = sorted({policy.priority for policy in ordered if policy.pins}, reverse=True)
    return tuple(
        replace(policy, rank=rank, keep_alive=_sent_keep_alive(policy, levels)) for rank, policy in enumerate(ordered)
    )


def _sent_keep_alive(policy: Policy, levels: list[int]) -> int | float | str:
    if policy.lease_s is not None:
        return int(policy.lease_s) if policy.lease_s == int(policy.lease_s) else policy.lease_s
    below = levels.index(policy.priority)
    return -1 if below == 0 else f"{max(CENTURY_H - CENTURY_STEP_H * below, CENTURY_H // 4)}h"
