"""A few of the small worlds in the ordinary suite; `make worlds` walks on from here for ten minutes."""

from dataclasses import replace

import pytest

from tests.worlds.keeper import Keeper
from tests.worlds.sameness import key
from tests.worlds.scene import ROOM_FOR_ONE, SCENES, Scene
from tests.worlds.shell import next_moment, run
from tests.worlds.variants import CONTROLS
from tests.worlds.walk import Walk, first_world, retold

STEPS = 120


def told(walk: Walk) -> str:
    """What is broken, and how to get there."""
    return "\n".join(line for found in walk.found.values() for line in retold(found, walk.scene, walk.keeper))


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_no_world_near_the_first_one_breaks_a_rule(scene: Scene) -> None:
    walk = Walk(scene, steps_most=STEPS).to(1)
    assert not walk.found, told(walk)
    assert walk.steps >= STEPS


@pytest.mark.parametrize("name", CONTROLS)
def test_a_keeper_without_a_rule_is_caught(name: str) -> None:
    control = CONTROLS[name]
    walk = Walk(control.scene, control.make(), wanted_rule=control.rule, kinds=frozenset(control.kinds))
    walk.to(control.depth)
    assert control.rule in {found.rule for found in walk.found.values()}, told(walk)


def test_the_way_to_a_broken_rule_is_told_in_words() -> None:
    control = CONTROLS["full is forgotten"]
    lines = told(Walk(control.scene, control.make(), wanted_rule=control.rule, kinds=frozenset()).to(1)).splitlines()
    assert "    4.0013 s a leaves: evicted; our load of b begins" in lines
    assert lines[-1] == f"BROKEN {control.rule}: a by the load of b"


def test_worlds_that_only_time_tells_apart_count_as_one() -> None:
    world = first_world(ROOM_FOR_ONE, Keeper())
    moment = next_moment(world)
    assert moment is not None
    later = run(replace(world, now=moment), Keeper())
    assert key(later) != key(world)
    assert key(first_world(ROOM_FOR_ONE, Keeper())) == key(world)
