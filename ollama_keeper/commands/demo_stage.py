"""One simulated server of the demo: its models, what befalls it, and its own record of what became of them."""

import asyncio

from ollama_keeper.commands.demo_script import EMBED, GUEST, LARGE_CONTEXT, LEASE_S, LLAMA, QWEN, WANTED, Mishap, Turn
from ollama_keeper.commands.demo_tally import USER, Death, Tally, tally, warmth
from ollama_keeper.core.names import parse_name
from ollama_keeper.simulator import Kind, Settings, Simulator, StoredModel, make_model
from ollama_keeper.simulator.state import SECOND

GPU = 22 * 2**30
ROOM = 3
FIVE_MINUTES_S = 15
"""How long a request without keep_alive keeps a model: Ollama's five minutes, shortened as everything here."""
DOWN_S = 0.8
FEW_TOKENS = 15
GUEST_TOKENS = 60
OOM_AFTER_S = 0.8


class Stage:
    """A server with room for three of its four models."""

    def __init__(self) -> None:
        settings = Settings(gpus=1, vram=GPU, max_loaded_models=ROOM, keep_alive=FIVE_MINUTES_S * SECOND)
        self.simulator = Simulator(stored(), settings, registry=())
        self._deaths: list[Death] = []
        self._keys = {name: found.key for name in WANTED if (found := self.simulator.stored(parse_name(name)))}
        self._large: set[str] = set()
        self._oom: asyncio.Task[tuple[int, bytes]] | None = None

    @property
    def complete(self) -> bool:
        """Whether all the models are resident."""
        return all(self.simulator.is_resident(name) for name in WANTED)

    async def warm_by_hand(self) -> None:
        """What a careful user does at boot: one request a model, with keep_alive -1, the most important first."""
        for name in WANTED:
            await self.simulator.client(name, path=_path(name), keep_alive=-1)

    def befall(self, turn: Turn) -> None:
        """Lets something happen now; what comes of it takes its time."""
        match turn.mishap:
            case Mishap.STOP:
                self.simulator.unload(turn.model)
            case Mishap.KILL:
                self._kill(turn.model)
            case Mishap.RESTART:
                self.simulator.restart(down_s=DOWN_S)
            case Mishap.OUT_OF_MEMORY:
                self._run_out_of_memory(turn.model)
            case _:
                self._ask(turn)

    def tally(self, since: float, now: float) -> Tally:
        """What became of the models between two instants of the loop's clock."""
        return tally(self.simulator.history, self._keys, since=since, now=now, deaths=self._deaths)

    def warmth(self, since: float, now: float) -> tuple[int, ...]:
        """How many of the models were resident in the course of the last minute."""
        return warmth(self.simulator.history, self._keys, since=since, now=now, deaths=self._deaths)

    async def close(self) -> None:
        """Nothing happens any more."""
        await self.simulator.close()

    # --- mishaps ------------------------------------------------------------------------------------------------------

    def _ask(self, turn: Turn) -> None:
        name, path, ask = turn.model, _path(turn.model), self.simulator.client
        match turn.mishap:
            case Mishap.KEEP_ALIVE_0:
                ask(name, prompt="hello", tokens=FEW_TOKENS, path=path, keep_alive=0)
            case Mishap.LEASE:
                ask(name, prompt="hello", tokens=FEW_TOKENS, path=path, keep_alive=f"{LEASE_S}s")
            case Mishap.CONTEXT:
                ask(name, prompt="hello", tokens=FEW_TOKENS, path=path, num_ctx=self._other_context(name))
            case Mishap.GUEST:
                ask(name, prompt="hello", tokens=GUEST_TOKENS, path=path)
            case _:
                ask(name, prompt="hello", tokens=FEW_TOKENS, path=path, who=USER)

    def _other_context(self, name: str) -> int | None:
        """Large the first time, the server's own the next."""
        self._large ^= {name}
        return LARGE_CONTEXT if name in self._large else None

    def _kill(self, name: str) -> None:
        if self.simulator.is_resident(name):
            self._deaths.append(Death(asyncio.get_running_loop().time(), self._keys[name]))
            self.simulator.kill(name)

    def _run_out_of_memory(self, name: str) -> None:
        self.simulator.oom(name, after_s=OOM_AFTER_S)
        self._oom = self.simulator.client(name, prompt="hello", tokens=FEW_TOKENS)
        self._oom.add_done_callback(lambda _: self.simulator.load_heals(name))


def stored() -> tuple[StoredModel, ...]:
    """The models of the demo; loads are quick, as everything here."""
    return (
        make_model(
            QWEN,
            size=5_225_374_144,
            load_s=1.5,
            trained_context=40_960,
            layers=36,
            family="qwen3",
            parameter_size="8.2B",
        ),
        make_model(
            EMBED,
            kind=Kind.EMBEDDER,
            size=274_290_656,
            load_s=0.6,
            trained_context=2_048,
            layers=12,
            embedding_length=768,
            heads=12,
            kv_heads=12,
            family="nomic-bert",
            parameter_size="137M",
            quantization="F16",
        ),
        make_model(
            LLAMA,
            size=2_019_377_376,
            load_s=1.0,
            trained_context=131_072,
            layers=28,
            embedding_length=3_072,
            heads=24,
            parameter_size="3.2B",
        ),
        make_model(GUEST, size=4_372_812_000, load_s=1.5, layers=32, family="mistral", parameter_size="7.2B"),
    )


def _path(name: str) -> str:
    return "/api/embed" if name == EMBED else "/api/generate"
