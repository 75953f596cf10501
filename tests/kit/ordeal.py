"""A fault from beginning to end: the daemon settles, the test does its worst, all is well again, the evidence is asked.

`async with facing(sim, QWEN) as keeper:` is one row of FAULTS.md: the block is the fault. After it the keeper has
`heal_s` of virtual time to be back to normal by itself; then it is stopped, and every check of `tests.kit.checks` is
made on its server's record.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ollama_keeper.core.address import Address
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.policy import Policy
from ollama_keeper.simulator import Simulator
from tests.kit.checks import CANARY, Evidence, Footprint, breaches, footprint
from tests.kit.hooked import Hook
from tests.kit.keeper import HOST, Keeper, until, wanted
from tests.kit.services import arrived
from tests.kit.transport import SimTransport

HEAL_S = 60.0
WRITES_WITHIN_MS = 500
QUIET_S = 150.0  # kept connections are closed after an idle minute
STEADY_S = 40.0  # longer than two intervals: what a start leaves behind is over
READY = "ready"


def address(host: str = HOST, **attributes: Any) -> Address:
    """Where a server is, and a secret to send along."""
    url = attributes.pop("url", f"http://{host}")
    return Address(host, url, headers=(("Authorization", f"Bearer {CANARY}"),), **attributes)


@asynccontextmanager
async def facing(
    sims: Simulator | Mapping[Address, Simulator],
    *models: Policy | str,
    heal_s: float = HEAL_S,
    settled: bool = True,
    ends: Mapping[str, str] | None = None,
    aborts: int = 0,
    reloads: int = 0,
    probes: int = 0,
    ours_broken: bool = False,
    transport: SimTransport | None = None,
    sockets: bool = False,
    site: Address | None = None,
    file: Path | None = None,
    **given: Any,
) -> AsyncIterator[Keeper]:
    """A daemon that is to survive what the block does.

    Args:
        sims: one server at the usual address, or several by their own.
        models: what is kept on each of them.
        heal_s: virtual seconds after the block until every state is as in `ends`.
        settled: whether the block begins with all models ready; else at the daemon's start.
        ends: states at the end that are not `ready`.
        aborts, reloads, probes: loads of ours that may be aborted, live runners reloaded, tokens asked for.
        ours_broken: whether the fault is one of ours, so that a part of it may be told as broken.
        sockets: whether the addresses are real ones.
        site: the name behind which the servers are; else each is wished for by its own address.
    """
    servers = {address(): sims} if isinstance(sims, Simulator) else dict(sims)
    policies = tuple(wanted(model) if isinstance(model, str) else model for model in models)
    network = None if sockets else transport or network_of(servers)
    with logged() as lines, TemporaryDirectory() as folder:
        given = Hook(Path(folder)).given | given
        outside = footprint()
        keeper = Keeper(dict.fromkeys([site] if site else servers, policies), network, file=file, **given)
        ordeal = Ordeal(keeper, servers, [policy.model for policy in policies], dict(ends or {}))
        keeper.start()
        try:
            inside = await ordeal.settle() if settled else None
            yield keeper
            await ordeal.heal(heal_s, inside)
            shown = {sim: ordeal.shown(at, sim) for at, sim in servers.items()}
        finally:
            await keeper.stop()
        prints = [(outside, await quiet(outside))]
        prints += [(inside, ordeal.after)] if inside and ordeal.after else []
        for sim, (states, resident) in shown.items():
            evidence = Evidence(
                sim.history,
                keys(sim),
                output(keeper, lines),
                tuple(prints),
                states,
                resident,
                aborts,
                reloads,
                probes,
                arrived(keeper.services),
            )
            found = breaches(evidence)
            if ours_broken:
                found.pop("nothing_broke", None)
            assert not found, found


class Ordeal:
    """What is to be true of one daemon and its servers before and after a fault."""

    def __init__(
        self, keeper: Keeper, servers: Mapping[Address, Simulator], models: list[str], ends: Mapping[str, str]
    ) -> None:
        self._keeper, self._servers, self._models, self._ends = keeper, servers, models, ends
        self.after: Footprint | None = None

    async def settle(self) -> Footprint:
        """Until every model is as it is to be, a few looks have come, and nothing is under way."""
        await self._until_well(600, {})
        await asyncio.sleep(STEADY_S)
        await until(self._resting, limit_s=60)
        return footprint(self._jobs())

    async def heal(self, limit_s: float, before: Footprint | None) -> None:
        """Until all is well again, and no more is held than before."""
        await asyncio.sleep(0.5)
        await self._until_well(limit_s, self._ends)
        if before is None:
            return
        self.after = await quiet(before, self._jobs)

    async def _until_well(self, limit_s: float, expected: Mapping[str, str]) -> None:
        try:
            await until(lambda: self._well(expected), limit_s=limit_s)
        except AssertionError as error:
            shown = {at.name: self.shown(at, sim) for at, sim in self._servers.items()}
            told = "\n".join(
                f"{at:%H:%M:%S} {one.event} {one.told()}" for at, one in self._keeper.recorder.changes[-30:]
            )
            raise AssertionError(f"not healed in {limit_s:g} s: {shown}\n{told}") from error

    def _well(self, expected: Mapping[str, str]) -> bool:
        places = ((at, sim, model) for at, sim in self._servers.items() for model in self._models)
        return all(self._is_well(at, sim, model, expected.get(model, READY)) for at, sim, model in places)

    def shown(self, at: Address, sim: Simulator) -> tuple[dict[str, str], dict[str, bool]]:
        """States that the keeper shows, and what is really resident."""
        states = {model: self._keeper.state(model, at.name) for model in self._models}
        return states, {model: sim.is_resident(model) for model in self._models}

    def _is_well(self, at: Address, sim: Simulator, model: str, expected: str) -> bool:
        if at.name not in {server.memory.server for server in self._keeper.daemon.servers}:
            return False
        if self._keeper.state(model, at.name) != expected:
            return False
        return expected != READY or sim.is_resident(model)

    def _resting(self) -> bool:
        return not any(server.asking or server.memory.open for server in self._keeper.daemon.servers)

    def _jobs(self) -> int:
        scheduler: Any = self._keeper.daemon._fleet.schedule._scheduler
        return len(scheduler.get_jobs())


def network_of(servers: Mapping[Address, Simulator]) -> SimTransport:
    """Brings requests to each simulated server by its URL."""
    if len(servers) == 1:
        return SimTransport(next(iter(servers.values())))
    return SimTransport({at.url.partition("://")[2]: sim for at, sim in servers.items()})


def keys(sim: Simulator) -> Any:
    """The weights of a name on a server."""

    def key_of(name: str) -> str:
        stored = sim.stored(parse_name(name))
        return stored.key if stored else name

    return key_of


async def quiet(before: Footprint, jobs: Callable[[], int] = int) -> Footprint:
    """What is held once that is as before, or some time has passed."""
    with suppress(AssertionError):
        await until(lambda: footprint(jobs()) == before, limit_s=QUIET_S)
    return once_written(before, jobs)


def once_written(before: Footprint, jobs: Callable[[], int]) -> Footprint:
    """The same, once the thread of the store has ended what it writes: it lives in real time."""
    for _ in range(WRITES_WITHIN_MS // 10):
        if footprint(jobs()) == before:
            break
        time.sleep(0.01)
    return footprint(jobs())


def output(keeper: Keeper, lines: list[str]) -> str:
    """Everything that was told, by the keeper and by its libraries."""
    changes = [json.dumps({"event": one.event, **one.told()}, default=str) for _, one in keeper.recorder.changes]
    return "\n".join([*changes, *map(str, keeper.recorder.messages), *lines])


@contextmanager
def logged() -> Iterator[list[str]]:
    """What libraries log meanwhile, with their tracebacks."""
    handler = _Lines()
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.lines
    finally:
        root.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
