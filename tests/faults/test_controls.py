"""Negative controls (FAULTS 2): each double breaks one rule, and turns exactly the check of that rule red."""

import asyncio

import pytest

from ollama_keeper.simulator import Simulator
from tests.faults.scenes import LLAMA, QWEN
from tests.kit.checks import CHECKS, Evidence, breaches, footprint
from tests.kit.doubles import (
    Blind,
    Broken,
    Forgetful,
    Heartbeat,
    Impatient,
    Indiscreet,
    Leaking,
    Parallel,
    Plain,
    Pulling,
    Stacking,
    Talkative,
)
from tests.kit.ordeal import keys, quiet
from tests.kit.transport import SimTransport

RED: dict[type[Plain], set[str]] = {
    Plain: set(),
    Parallel: {"one_warm_open"},
    Stacking: {"one_look_open"},
    Heartbeat: {"no_warm_of_a_listed_model"},
    Talkative: {"only_allowed_requests"},
    Pulling: {"only_allowed_requests"},
    Impatient: {"no_load_disturbed"},
    Leaking: {"nothing_left_behind"},
    Indiscreet: {"no_secret_told"},
    Broken: {"nothing_broke"},
    Blind: {"states_are_true"},
    Forgetful: {"no_alert_twice"},
}


async def suffer(sim: Simulator, kind: type[Plain]) -> dict[str, list[str]]:
    """Both models are unloaded while the double keeps them; what does not hold after it."""
    before = footprint()
    double = kind(SimTransport(sim), QWEN, LLAMA)
    task = asyncio.get_running_loop().create_task(double.run())
    await asyncio.sleep(60)
    sim.unload(LLAMA)
    await asyncio.sleep(70)
    if kind is Blind:
        assert double.states()[LLAMA] == "ready"
    resident = {model: sim.is_resident(model) for model in (QWEN, LLAMA)}
    states = double.states()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await double.close()
    evidence = Evidence(
        sim.history,
        keys(sim),
        "\n".join(double.told),
        ((before, await quiet(before)),),
        states,
        resident,
        alerts=tuple(double.alerts),
    )
    for forgotten in getattr(double, "forgotten", []):
        forgotten.cancel()
    return breaches(evidence)


@pytest.mark.parametrize("kind", RED, ids=lambda kind: kind.__name__.lower())
async def test_a_double_turns_exactly_its_check_red(sim: Simulator, kind: type[Plain]) -> None:
    assert set(await suffer(sim, kind)) == RED[kind]


def test_every_check_has_a_control() -> None:
    assert set.union(*RED.values()) == {check.__name__ for check in CHECKS}
