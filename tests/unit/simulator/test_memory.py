"""Where models go, what they leave free, and how the server believes it (OLLAMA.md 4, 9)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ollama_keeper.simulator import Settings, Simulator, StoredModel, Version
from ollama_keeper.simulator.effects import Tick
from ollama_keeper.simulator.scheduler import next_due, step
from ollama_keeper.simulator.state import Closing, Doom, Runner, RunnerOptions, State, Wanted

MIB = 2**20
SIZE = 125 * MIB
ROOM_FOR_TWO = 265 * MIB
FORETOLD = 14 * MIB  # fits beside one of these models, not beside two
MODELS = tuple(
    StoredModel(f"{name}:latest", digest=name * 64, blob=f"/models/{name}", layers=30, memory=SIZE, weights=FORETOLD)
    for name in "abcd"
)
MakeSim = Callable[..., Simulator]


def with_room_for_two(make_sim: MakeSim, version: str = "0.33.0", *, gpus: int = 1) -> Simulator:
    """A server whose GPU holds two of the models."""
    return make_sim(MODELS, Settings(version=Version(version), gpus=gpus, vram=ROOM_FOR_TWO if gpus else 0))


async def load(sim: Simulator, *names: str, keep_alive: object = -1, **options: object) -> None:
    """Load one after the other."""
    for name in names:
        assert (await sim.client(name, keep_alive=keep_alive, options=options))[0] == 200


def loaded(sim: Simulator) -> str:
    """First letters of what is loaded, in order."""
    return "".join(sorted(runner.model.name[0] for runner in sim.state.runners))


async def test_what_a_runner_saw_free_does_not_rise_when_another_leaves(make_sim: MakeSim) -> None:
    """Seen on a 0.33.0-rc2 that was told of a GPU of 265 MiB: the fourth model costs both that are there."""
    sim = with_room_for_two(make_sim)
    await load(sim, "a")
    await load(sim, "b", keep_alive="2h")
    await load(sim, "c")
    assert loaded(sim) == "ac"
    await load(sim, "d")
    assert loaded(sim) == "d"


async def test_before_there_were_children_what_has_left_is_free(make_sim: MakeSim) -> None:
    models = tuple(replace(model, weights=SIZE) for model in MODELS)
    sim = make_sim(models, Settings(version=Version("0.24.0"), gpus=1, vram=ROOM_FOR_TWO))
    await load(sim, "a")
    await load(sim, "b", keep_alive="2h")
    await load(sim, "c", "d")
    assert loaded(sim) == "cd"


async def test_a_runner_that_saw_all_of_it_free_hides_nothing(make_sim: MakeSim) -> None:
    sim = with_room_for_two(make_sim)
    await load(sim, "a", "b")
    await sim.client("b", keep_alive=0)
    await load(sim, "c")
    assert loaded(sim) == "ac"


async def test_a_runner_on_the_cpu_is_not_asked(make_sim: MakeSim) -> None:
    sim = with_room_for_two(make_sim)
    await load(sim, "a", "b")
    await load(sim, "c", num_gpu=0)
    await sim.client("a", keep_alive=0)
    await sim.client("b", keep_alive=0)
    await load(sim, "a", "b")
    assert loaded(sim) == "abc"


async def test_an_empty_server_believes_its_gpu(make_sim: MakeSim) -> None:
    sim = with_room_for_two(make_sim)
    await load(sim, "a", "b")
    sim.unload_all()
    await load(sim, "c", "d")
    assert loaded(sim) == "cd"


# --- mapping ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "gpus", "options", "mapped"),
    [
        pytest.param("0.33.0", 0, {}, False, id="no GPU"),
        pytest.param("0.33.0", 1, {"num_gpu": 0}, False, id="no layer on the GPU"),
        pytest.param("0.33.0", 1, {}, None, id="on the GPU"),
        pytest.param("0.33.0", 0, {"use_mmap": True}, True, id="asked for"),
        pytest.param("0.24.0", 0, {}, None, id="before there were children"),
    ],
)
async def test_nobody_s_wish_is_settled_at_the_load(
    make_sim: MakeSim, version: str, gpus: int, options: dict[str, object], mapped: bool | None
) -> None:
    sim = with_room_for_two(make_sim, version, gpus=gpus)
    await load(sim, "a", **options)
    assert [runner.options.use_mmap for runner in sim.state.runners] == [mapped]


@pytest.mark.parametrize(
    ("first", "second", "loads"),
    [
        pytest.param({}, {"use_mmap": False}, 1, id="what it chose may be asked for"),
        pytest.param({}, {}, 1, id="and need not"),
        pytest.param({}, {"use_mmap": True}, 2, id="the opposite reloads"),
        pytest.param({"use_mmap": False}, {}, 2, id="a wish left out reloads"),
    ],
)
async def test_a_mapping_that_the_server_chose_is_nobody_s_wish(
    make_sim: MakeSim, first: dict[str, object], second: dict[str, object], loads: int
) -> None:
    sim = with_room_for_two(make_sim, gpus=0)
    await load(sim, "a", **first)
    await load(sim, "a", **second)
    assert len(sim.history.loads()) == loads


def test_a_load_that_needs_the_room_of_what_is_just_leaving_waits_for_that() -> None:
    leaving = Runner(1, MODELS[0], RunnerOptions(), duration=0, size=SIZE, size_vram=SIZE)
    closing = Closing(leaving.key, until=5, doom=Doom("runtime_oom"))
    full = Settings(gpus=1, vram=SIZE)
    waiting = (Wanted(7, MODELS[1], RunnerOptions()),)
    state, _ = step(State(full, MODELS, runners=(leaving,), queue=waiting, closing=closing), Tick(), now=1)
    assert next_due(state) == 5
