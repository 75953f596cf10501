"""How each mishap of a scene befalls a server, its network, the clocks, or the keeper."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from ollama_keeper.simulator import Presence, Simulator
from tests.campaign.quick import QuickLoop
from tests.kit.transport import Link

RESTARTS_AFTER_S = 5.0


class Stage(Protocol):
    """What mishaps befall."""

    sim: Simulator
    link: Link
    loop: QuickLoop

    def reload(self) -> None: ...

    def restart_keeper(self, down_s: float) -> None: ...


def befall(stage: Stage, name: str, given: Any) -> None:
    """Lets a mishap happen now, and end by itself."""
    MISHAPS[name](stage, **given)


def heal(stage: Stage) -> None:
    """Ends whatever has not ended by itself."""
    stage.sim.heal()
    stage.link.refused = stage.link.swallowed = False
    if stage.sim.presence is Presence.FROZEN:
        stage.sim.thaw()


def _later(seconds: float, act: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, act)


def _restart(stage: Stage, *, down_s: float, starting_s: float) -> None:
    if stage.sim.presence is Presence.UP:
        stage.sim.restart(down_s=down_s, starting_s=starting_s)


def _stopped(stage: Stage, *, model: str) -> None:
    stage.sim.unload(model)


def _stopped_all(stage: Stage) -> None:
    stage.sim.unload_all()


def _dead(stage: Stage, *, model: str) -> None:
    stage.sim.kill(model)


def _wedged(stage: Stage, *, model: str) -> None:
    if stage.sim.is_resident(model):
        stage.sim.wedge(model)


def _stuck(stage: Stage, *, model: str, until_s: float) -> None:
    """Only a restart of the server ends it."""
    if stage.sim.is_resident(model):
        stage.sim.stuck(model)
        _later(until_s, lambda: _restart(stage, down_s=RESTARTS_AFTER_S, starting_s=0.0))


def _bad_loads(stage: Stage, *, model: str, failure: str, until_s: float) -> None:
    stage.sim.load_error(model, failure, after_s=2.0)
    _later(until_s, lambda: stage.sim.load_heals(model))


def _out_of_memory(stage: Stage) -> None:
    stage.sim.runtime_oom()


def _less_memory(stage: Stage, *, share: float, until_s: float) -> None:
    """Another program takes a share of the GPU for a while."""
    before = stage.sim.state.settings.vram
    stage.sim.memory(int(before * (1 - share)))
    _later(until_s, lambda: stage.sim.memory(before))


def _slow_answers(stage: Stage, *, seconds: float, times: int) -> None:
    stage.sim.delay("ps", seconds, times=times)


def _errors(stage: Stage, *, status: int, times: int) -> None:
    stage.sim.fail("ps", status, times=times)


def _cut_network(stage: Stage, *, how: str, until_s: float) -> None:
    setattr(stage.link, how, True)
    _later(until_s, lambda: setattr(stage.link, how, False))


def _frozen(stage: Stage, *, until_s: float) -> None:
    def thaw() -> None:
        if stage.sim.presence is Presence.FROZEN:
            stage.sim.thaw()

    if stage.sim.presence is Presence.UP:
        stage.sim.freeze()
        _later(until_s, thaw)


def _keepers_clock(stage: Stage, *, seconds: float) -> None:
    stage.loop.step_wall(seconds)


def _servers_clock(stage: Stage, *, seconds: float) -> None:
    stage.sim.clock_offset(seconds)


def _reload(stage: Stage) -> None:
    stage.reload()


def _keeper_restart(stage: Stage, *, down_s: float) -> None:
    stage.restart_keeper(down_s)


MISHAPS: dict[str, Callable[..., None]] = {
    "restart": _restart,
    "stopped": _stopped,
    "stopped_all": _stopped_all,
    "dead": _dead,
    "wedged": _wedged,
    "stuck": _stuck,
    "bad_loads": _bad_loads,
    "out_of_memory": _out_of_memory,
    "less_memory": _less_memory,
    "slow_answers": _slow_answers,
    "errors": _errors,
    "cut_network": _cut_network,
    "frozen": _frozen,
    "keepers_clock": _keepers_clock,
    "servers_clock": _servers_clock,
    "reload": _reload,
    "keeper_restart": _keeper_restart,
}
