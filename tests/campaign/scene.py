"""What one simulated day is made of: a server, wishes, clients, mishaps; all follows from the seed and the day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from ollama_keeper.core.policy import Contention, OnExpire, Policy, Repair, policy_for, ranked
from ollama_keeper.simulator.catalogue import make_model
from ollama_keeper.simulator.memory import footprint
from ollama_keeper.simulator.pending import MODELS_PER_GPU
from ollama_keeper.simulator.state import Kind, RunnerOptions, Settings, State, StoredModel

DAY_S = 86_400.0
QUIET_FROM_S = 79_200.0  # at 22:00 clients and mishaps end: what is not healed by midnight stays so
FIRST_S = 900.0
BUSY_HOURS = (8.0, 19.0)
USUAL_CONTEXT = 4096
TIER = 23 * 2**30  # a server with less gives a context of 4096 by default
GB = 10**9
LEASE_S = 600.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A client's request for an answer.

    Attributes:
        at: seconds since midnight.
        keep_alive: as JSON has it; an ellipsis where the client sends none.
        context: the num_ctx that it sends, or None.
    """

    at: float
    model: str
    tokens: int
    keep_alive: object = ...
    context: int | None = None
    path: str = "/api/generate"


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that goes wrong, or is done by a person: a name that `tests.campaign.mishaps` knows."""

    at: float
    name: str
    given: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Scene:
    """One day.

    Attributes:
        wishes: of the configuration that the day begins with.
        others: of the one that reloads change to and back.
        quiet_from_s, ends_s: when clients and mishaps end, and when all does; seconds since midnight.
    """

    seed: int
    day: int
    models: tuple[StoredModel, ...]
    settings: Settings
    wishes: tuple[Policy, ...]
    others: tuple[Policy, ...]
    asks: tuple[Ask, ...]
    mishaps: tuple[Mishap, ...]
    quiet_from_s: float = QUIET_FROM_S
    ends_s: float = DAY_S

    @property
    def has_room(self) -> bool:
        """Whether the server holds all that the configuration names at once, by the sizes that it loads them with."""
        stored = {model.name: model for model in self.models}
        needed = sum(size_of(stored[one.model], self.settings) for one in self.wishes)
        return needed <= self.settings.vram and len(self.wishes) <= (self.settings.max_loaded_models or MODELS_PER_GPU)

    @property
    def wanted(self) -> frozenset[str]:
        """Names of the models that are wanted all day."""
        return frozenset(one.model for one in self.wishes) & frozenset(one.model for one in self.others)


PALETTE = (
    make_model("qwen3:8b", size=5_225_374_144, load_s=6.0, layers=36, family="qwen3"),
    make_model("llama3.2:3b", size=2_019_377_376, load_s=3.0, layers=28, embedding_length=3072, heads=24),
    make_model("gemma3:12b", size=8_149_190_000, load_s=11.0, layers=48, family="gemma3", parameter_size="12B"),
    make_model("mistral:7b", size=4_372_824_384, load_s=5.0, layers=32, parameter_size="7B"),
    make_model("phi4:14b", size=9_053_116_391, load_s=13.0, layers=40, family="phi3", parameter_size="14B"),
    make_model(
        "nomic-embed-text:latest",
        kind=Kind.EMBEDDER,
        size=274_290_656,
        load_s=1.0,
        trained_context=2048,
        layers=12,
        embedding_length=768,
        heads=12,
        kv_heads=12,
        family="nomic-bert",
    ),
)


def scene(seed: int, day: int) -> Scene:
    """The day of that number in the campaign of that seed."""
    random = Random(f"{seed}/{day}")
    models = _models(random)
    wishes = _wishes(random, models)
    return Scene(
        seed,
        day,
        models,
        _settings(random, models),
        wishes,
        _others(random, models, wishes),
        tuple(sorted(_asks(random, models, wishes), key=lambda ask: ask.at)),
        tuple(sorted(_mishaps(random, models), key=lambda mishap: mishap.at)),
    )


def size_of(model: StoredModel, settings: Settings, context: int = USUAL_CONTEXT) -> int:
    """Bytes of a loaded model."""
    return footprint(model, RunnerOptions(num_ctx=context), State(settings=settings))


# --- the server and the wishes ----------------------------------------------------------------------------------------


def _models(random: Random) -> tuple[StoredModel, ...]:
    slow = random.choice((0.5, 1.0, 1.0, 2.0, 5.0))
    chosen = random.sample(PALETTE, random.randint(3, len(PALETTE)))
    return tuple(replace(model, load_s=model.load_s * slow) for model in chosen)


def _settings(random: Random, models: tuple[StoredModel, ...]) -> Settings:
    """Room for a part of the models, or for all; the largest alone always fits."""
    usual = Settings(gpus=1)
    sizes = [size_of(model, usual) for model in models]
    room = int(max(max(sizes) * 1.3, random.uniform(0.5, 1.5) * sum(sizes)))
    limit = random.choice((0, 0, 0, 1, 2, 3))
    return replace(usual, vram=min(room, TIER - 1), max_loaded_models=limit)


def _wishes(random: Random, models: tuple[StoredModel, ...]) -> tuple[Policy, ...]:
    interval_s = random.choice((15.0, 60.0, 60.0, 60.0, 60.0))
    chosen = random.sample(models, random.randint(1, min(3, len(models))))
    return ranked(replace(_wish(random, model.name), interval_s=interval_s) for model in chosen)


def _wish(random: Random, name: str) -> Policy:
    lease_s = random.choice((None, None, None, None, LEASE_S))
    released = lease_s is not None and random.random() < 0.3
    return replace(
        policy_for(name),
        lease_s=lease_s,
        priority=random.choice((100, 100, 200, 50)),
        on_expire=OnExpire.RELEASE if released else OnExpire.REWARM,
        contention=random.choice((*[Contention.YIELD] * 6, Contention.INSIST, Contention.OBSERVE)),
        repair=random.choice((Repair.NONE, Repair.NONE, Repair.RELOAD)),
    )


def _others(random: Random, models: tuple[StoredModel, ...], wishes: tuple[Policy, ...]) -> tuple[Policy, ...]:
    """The same wishes with one changed, one less, or one more."""
    changed = replace(wishes[0], contention=Contention.YIELD, slow_load_s=20.0)
    spare = [model.name for model in models if model.name not in {one.model for one in wishes}]
    more = [replace(wishes[0], **_named(spare[0]))] if spare else []
    fewer = list(wishes[:-1]) or [changed]
    return ranked(random.choice(([changed, *wishes[1:]], fewer, [*wishes, *more])))


def _named(name: str) -> dict[str, Any]:
    plain = policy_for(name)
    return {"model": plain.model, "name": plain.name}


# --- clients ----------------------------------------------------------------------------------------------------------


def _asks(random: Random, models: tuple[StoredModel, ...], wishes: tuple[Policy, ...]) -> Iterator[Ask]:
    """Sessions, most of them in the working hours; three of four are with wanted models."""
    stored = {model.name: model for model in models}
    wanted = [one.model for one in wishes]
    for _ in range(random.randint(6, 18)):
        name = random.choice(wanted) if random.random() < 0.75 else random.choice(list(stored))
        yield from _session(random, stored[name])


def _session(random: Random, model: StoredModel) -> Iterator[Ask]:
    at = _moment(random)
    embeds = model.kind is Kind.EMBEDDER
    context = None if embeds else random.choice((*[None] * 8, 8192, 2048))
    keep_alive = random.choice((*[...] * 7, "5m", "5m", "30s", 0, -1))
    for _ in range(min(1 + int(random.expovariate(1 / 7)), 40)):
        tokens = 0 if embeds else random.randint(10, 400)
        path = "/api/embed" if embeds else "/api/chat"
        yield Ask(at, model.name, tokens, keep_alive, context, path)
        at += 2 + tokens / model.tokens_per_s + random.expovariate(1 / 30)
        if at > QUIET_FROM_S:
            return


def _moment(random: Random) -> float:
    if random.random() < 0.75:
        return random.uniform(*BUSY_HOURS) * 3_600
    return random.uniform(FIRST_S, QUIET_FROM_S)


# --- mishaps ----------------------------------------------------------------------------------------------------------


def _mishaps(random: Random, models: tuple[StoredModel, ...]) -> Iterator[Mishap]:
    for _ in range(random.randint(2, 8)):
        at, name = random.uniform(FIRST_S, QUIET_FROM_S - 3_600), random.choice(list(MAKERS))
        yield Mishap(at, name, MAKERS[name](random, random.choice(models).name))


MAKERS: dict[str, Any] = {
    "restart": lambda random, _: {"down_s": random.choice((0.2, 5.0, 60.0, 300.0)), "starting_s": random.uniform(0, 9)},
    "stopped": lambda _, model: {"model": model},
    "stopped_all": lambda *_: {},
    "dead": lambda _, model: {"model": model},
    "wedged": lambda _, model: {"model": model},
    "stuck": lambda random, model: {"model": model, "until_s": random.uniform(600, 3_000)},
    "bad_loads": lambda random, model: {
        "model": model,
        "failure": random.choice(("crash", "out_of_memory", "out_of_memory")),
        "until_s": random.uniform(60, 3_600),
    },
    "out_of_memory": lambda *_: {},
    "less_memory": lambda random, _: {"share": random.uniform(0.2, 0.6), "until_s": random.uniform(600, 3_600)},
    "slow_answers": lambda random, _: {"seconds": random.uniform(1, 14), "times": random.randint(1, 20)},
    "errors": lambda random, _: {"status": random.choice((500, 502, 503)), "times": random.randint(1, 8)},
    "cut_network": lambda random, _: {
        "how": random.choice(("refused", "swallowed")),
        "until_s": random.uniform(5, 300),
    },
    "frozen": lambda random, _: {"until_s": random.uniform(5, 120)},
    "keepers_clock": lambda random, _: {"seconds": random.choice((-7_200.0, -60.0, 30.0, 3_600.0))},
    "servers_clock": lambda random, _: {"seconds": random.choice((-3_600.0, -30.0, 45.0, 7_200.0))},
    "reload": lambda *_: {},
    "keeper_restart": lambda random, _: {"down_s": random.choice((1.0, 60.0, 900.0))},
}
