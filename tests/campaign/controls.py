"""Keepers without one of their rules, each a client that does what ours never would: the campaign must catch each."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.core.facts import LoadRequest, Looked, Send
from ollama_keeper.core.reasons import Failure
from ollama_keeper.core.record import replace as changed
from ollama_keeper.errors import OllamaError
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.exchange import ask
from ollama_keeper.simulator.state import Settings
from tests.campaign.day import MakeClient, quick_client
from tests.campaign.quick import QuickClient
from tests.campaign.scene import DAY_S, PALETTE, Mishap, Scene, size_of
from tests.kit.keeper import US, wanted
from tests.kit.transport import SimTransport

IMPATIENT_S = 1.0
TRIES = 14
ENOUGH = 3
LATE_S = 3_600.0
QUIET_S, ENDS_S = 9_000.0, 14_400.0
QWEN, LLAMA = "qwen3:8b", "llama3.2:3b"


class Spender(QuickClient):
    """Its pings say something."""

    async def load(self, request: LoadRequest) -> None:
        body = {"model": request.model, "prompt": "hi", "options": {"num_predict": 4}, "stream": False}
        await ask(self._sim, "POST", "/api/generate", US, body)


class Impatient(QuickClient):
    """It does not wait for a load."""

    async def load(self, request: LoadRequest) -> None:
        try:
            await asyncio.wait_for(super().load(request), IMPATIENT_S)
        except TimeoutError:
            raise OllamaError("gpu", "load", reason=Failure.READ_TIMEOUT) from None


class Headstrong(QuickClient):
    """What it has loaded it asks for with other contexts."""

    async def load(self, request: LoadRequest) -> None:
        await super().load(request)
        for context in (1024, 2048, 1024):
            await super().load(changed(request, send=Send.PING, keep_alive=None, options=(("num_ctx", context),)))


class Stubborn(QuickClient):
    """A load that fails is tried again at once."""

    async def load(self, request: LoadRequest) -> None:
        for _ in range(TRIES):
            try:
                await super().load(request)
            except OllamaError:
                continue
            return
        await super().load(request)


class Ruthless(QuickClient):
    """Whatever it has loaded, it loads the lesser one after it, again and again."""

    _times = 0

    async def load(self, request: LoadRequest) -> None:
        await super().load(request)
        self._times += 1
        for name in (LLAMA, QWEN, LLAMA) if self._times < ENOUGH else ():
            await super().load(changed(request, send=Send.WARM, model=name, keep_alive=-1))


class Hasty(QuickClient):
    """It loads two models at once."""

    async def load(self, request: LoadRequest) -> None:
        other = changed(request, send=Send.WARM, model=LLAMA if request.model == QWEN else QWEN, keep_alive=-1)
        await asyncio.gather(super().load(request), super().load(other))


class Curious(QuickClient):
    """It asks for what it need not know."""

    async def version(self) -> str:
        await ask(self._sim, "GET", "/api/blobs/x", US)
        return await super().version()


class Blind(QuickClient):
    """What was listed once is listed for ever."""

    _seen: Looked | None = None

    async def look(self) -> Looked:
        looked = await super().look()
        self._seen = looked if self._seen is None or len(looked.models) > len(self._seen.models) else self._seen
        return self._seen


class Credulous(QuickClient):
    """Now and then, for minutes, looks show it nothing, although models are listed."""

    _looks = 0

    async def look(self) -> Looked:
        self._looks += 1
        looked = await super().look()
        return looked if self._looks % 200 < 150 else changed(looked, models=())


class Idle(QuickClient):
    """It never asks for a load again after the first hour, and waits for ever for its answer."""

    async def load(self, request: LoadRequest) -> None:
        if self._sim.now() / 1e9 > LATE_S:
            await asyncio.sleep(2 * DAY_S)
        await super().load(request)


@dataclass(frozen=True)
class Control:
    """Such a keeper, the rule by which it must be caught, and what happens on the day that lays it bare."""

    client: type[QuickClient] | None
    rule: str
    mishaps: tuple[Mishap, ...] = ()
    limit: int = 0
    doubled: bool = False

    def make(self) -> MakeClient:
        """Makes its client."""
        return _maker(self.client) if self.client is not None else quick_client

    def scene(self) -> Scene:
        """Two wanted models, the better one first, and nobody else, for four hours."""
        models = tuple(replace(one, load_s=3.0) for one in PALETTE[:2])
        room = int(2 * sum(size_of(one, Settings(gpus=1)) for one in models))
        settings = Settings(gpus=1, vram=room, max_loaded_models=self.limit)
        wishes = tuple(wanted(one.name, rank=rank, interval_s=60.0) for rank, one in enumerate(models))
        return Scene(0, 0, models, settings, wishes, wishes, (), self.mishaps, quiet_from_s=QUIET_S, ends_s=ENDS_S)


def _maker(kind: type[QuickClient]) -> Callable[[ServerConfig, Simulator, SimTransport], QuickClient]:
    def make(config: ServerConfig, sim: Simulator, network: SimTransport) -> QuickClient:
        return kind(config.address, sim, network)

    return make


STOP = (Mishap(7_200.0, "stopped", {"model": QWEN}),)
BAD = (Mishap(3_000.0, "bad_loads", {"model": QWEN, "failure": "crash", "until_s": 7_200.0}),)
BAD_AND_STOP = (*BAD, Mishap(3_600.0, "stopped", {"model": QWEN}))

CONTROLS = {
    "says hi": Control(Spender, "no token"),
    "hangs up": Control(Impatient, "no aborted load"),
    "has its own context": Control(Headstrong, "no reload of a live runner"),
    "never backs off": Control(Stubborn, "at most 12 failed loads an hour", BAD_AND_STOP),
    "pushes its own out": Control(Ruthless, "no better model evicted twice", limit=1),
    "loads two at once": Control(Hasty, "never two open loads"),
    "asks too much": Control(Curious, "only allowed requests"),
    "takes silence for absence": Control(Credulous, "only allowed requests"),
    "sees no loss": Control(Blind, "every loss is seen", STOP),
    "never comes back": Control(Idle, "every loss is healed", STOP),
    "tells twice": Control(None, "one line a change", doubled=True),
    "tells what was not": Control(Credulous, "one line a change"),
}
