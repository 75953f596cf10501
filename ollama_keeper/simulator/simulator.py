"""`Simulator`: one server, and every mishap that can befall it as a method (FAULTS.md 3)."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ollama_keeper.core.names import ModelName, parse_name
from ollama_keeper.simulator.answers import Cut
from ollama_keeper.simulator.catalogue import default_models, default_registry
from ollama_keeper.simulator.effects import (
    ChildKilled,
    ChildWedged,
    Deadlocked,
    Event,
    GpuLost,
    NeverIdle,
    Reconfigured,
    RuntimeOom,
    UnloadAsked,
)
from ollama_keeper.simulator.exchange import ask
from ollama_keeper.simulator.faults import Fault, plain
from ollama_keeper.simulator.server import Presence, Server
from ollama_keeper.simulator.state import (
    FOREVER,
    SECOND,
    Child,
    Delays,
    Failure,
    Runner,
    RunnerOptions,
    Settings,
    StoredModel,
    Wanted,
)
from ollama_keeper.simulator.versions import Version

CLIENT = "client"
RUNTIME_OOM = "an error was encountered while running the model: CUDA error: out of memory"


@dataclass(frozen=True, slots=True)
class Resident:
    """A loaded model as it truly is.

    Attributes:
        remaining_s: until its timer fires; None while it is busy, or pinned.
        listed_until_s: `expires_at` less the server's wall clock; None before its first request has finished.
        uses: requests on it.
        child: alive, dead or wedged.
    """

    name: str
    context: int
    pinned: bool
    remaining_s: float | None
    listed_until_s: float | None
    uses: int
    child: str
    loading: bool


class Simulator(Server):
    """A stand-in for an Ollama server.

    Call it as an ASGI application; call its verbs from the same event loop, or through `POST /-/mishap`.
    """

    VERBS: ClassVar[frozenset[str]] = frozenset(
        [
            "stop",
            "start",
            "restart",
            "freeze",
            "thaw",
            "hang",
            "delay",
            "fail",
            "reply",
            "redirect",
            "heal",
            "auth",
            "host_check",
            "clock_offset",
            "load_time",
            "load_error",
            "load_heals",
            "oom",
            "memory",
            "max_loaded",
            "runtime_oom",
            "unload",
            "unload_all",
            "delete",
            "repull",
            "alias",
            "pull",
            "registry",
            "disk",
            "gpu_lost",
            "kill",
            "wedge",
            "stuck",
            "never_idle",
            "deadlock",
            "client",
        ]
    )

    def __init__(
        self,
        models: Iterable[StoredModel] | None = None,
        settings: Settings | None = None,
        registry: Iterable[StoredModel] | None = None,
    ) -> None:
        """Args: models: what is stored, by default the default catalogue. registry: what can be pulled beside."""
        stored = default_models() if models is None else tuple(models)
        super().__init__(stored, settings, default_registry() if registry is None else registry)
        self._clients: set[asyncio.Task[tuple[int, bytes]]] = set()

    async def close(self) -> None:
        """Let its own clients hang up, and nothing happen any more."""
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self.halt()

    # --- what is true now ---------------------------------------------------------------------------------------------

    def resident(self) -> tuple[Resident, ...]:
        """What is loaded, ready or not, alive or not."""
        now = self.now()
        return tuple(self._resident(runner, now) for runner in self.state.runners)

    def is_resident(self, name: str) -> bool:
        """Whether the weights of a model are loaded, ready and alive, under whichever name."""
        runner = self._runner_of(name)
        return runner is not None and runner.child is Child.ALIVE and runner.loading is None

    # --- the process and the network ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """End the process: connections cut, then refused, until `start`."""
        self.end()

    def start(self, starting_s: float = 0.0) -> None:
        """Start it again; for `starting_s` it connects and does not answer (OLLAMA.md 10)."""
        self.show(Presence.STARTING)
        self._later(starting_s, Presence.UP)

    def restart(self, version: str | None = None, *, down_s: float = 0.15, starting_s: float = 0.0) -> None:
        """End it and start it again after `down_s`, perhaps as another version; nothing is loaded any more."""
        settings = self.state.settings
        self.end(replace(settings, version=Version(version)) if version else settings)
        asyncio.get_running_loop().call_later(down_s, self.start, starting_s)

    def freeze(self) -> None:
        """Accept everything, answer nothing, until `thaw`."""
        self.show(Presence.FROZEN)

    def thaw(self) -> None:
        """Answer again, also what has come meanwhile."""
        self.show(Presence.UP)

    def hang(self, path: str, *, times: int | None = None) -> None:
        """Never answer requests for a path (`ps` is `/api/ps`)."""
        self.faults.add(Fault(_path(path), hangs=True, times=times))

    def delay(self, path: str, seconds: float, *, times: int | None = None) -> None:
        """Answer late."""
        self.faults.add(Fault(_path(path), delay_s=seconds, times=times))

    def fail(
        self,
        path: str,
        status: int,
        *,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        times: int | None = None,
    ) -> None:
        """Answer with a status."""
        given = (headers or {}).items()
        self.faults.add(Fault(_path(path), plain(status, body.encode(), given), times=times))

    def reply(
        self,
        path: str,
        body: str | bytes,
        *,
        status: int = 200,
        content_type: str = "application/json; charset=utf-8",
        times: int | None = None,
    ) -> None:
        """Answer with these bytes."""
        raw = body if isinstance(body, bytes) else body.encode()
        self.faults.add(Fault(_path(path), plain(status, raw, [("content-type", content_type)]), times=times))

    def redirect(self, path: str, target: str, *, status: int = 302) -> None:
        """Send the client elsewhere."""
        self.faults.add(Fault(_path(path), plain(status, headers=[("location", target)])))

    def heal(self, path: str | None = None) -> None:
        """End the faults of a path, or all, and requests for an own token."""
        self.faults.heal(None if path is None else _path(path))
        if path is None:
            self.token = None

    def auth(self, token: str) -> None:
        """Refuse what does not bring this token."""
        self.token = token

    def host_check(self) -> None:
        """Refuse everybody's Host header."""
        self.faults.add(Fault(None, plain(403)))

    def clock_offset(self, seconds: float) -> None:
        """Move the server's wall clock by so much."""
        self.shift_wall(round(seconds * SECOND))

    # --- models and their runners -------------------------------------------------------------------------------------

    def load_time(self, model: str, seconds: float) -> None:
        """Let loads of a model last so long."""
        self._change(model, load_s=seconds)

    def load_error(self, model: str, failure: str = "crash", *, text: str = "", after_s: float | None = None) -> None:
        """Let loads of a model fail: `crash`, `out_of_memory` or `stall`."""
        self._change(model, failure=Failure(failure), failure_text=text, failure_after_s=after_s)

    def load_heals(self, model: str) -> None:
        """Let loads of a model succeed again."""
        self._change(model, failure=None, failure_text="", failure_after_s=None)

    def oom(self, model: str, *, after_s: float | None = None) -> None:
        """Let loads of a model die of an out-of-memory; from 0.30 all others go for the one retry."""
        self.load_error(model, "out_of_memory", after_s=after_s)

    def memory(self, total: int, *, gpus: int = 1) -> None:
        """Give the server so many bytes of GPU memory."""
        self._settle(vram=total, gpus=gpus)

    def ends_late(self, seconds: float) -> None:
        """Let the scheduler learn so late that a request has ended, as behind an unload that waits for GPU memory."""
        self._settle(delays=replace(self.state.settings.delays, finish=round(seconds * SECOND)))

    def max_loaded(self, models: int) -> None:
        """Allow so many loaded models."""
        self._settle(max_loaded_models=models)

    def runtime_oom(self) -> None:
        """Every generation dies of an out-of-memory, and every loaded model is expired (OLLAMA.md 4.2)."""
        computing = self.computing
        self.step(RuntimeOom(CLIENT))
        self.kill_work(computing, RUNTIME_OOM)

    def unload(self, model: str) -> None:
        """A person's `ollama stop`."""
        self.step(UnloadAsked(self.phantom(), self._key(model), CLIENT))

    def unload_all(self) -> None:
        """The same for everything that is loaded."""
        for runner in self.state.runners:
            self.step(UnloadAsked(self.phantom(), runner.key, CLIENT))

    def delete(self, model: str) -> None:
        """A person's delete: the name goes, what is loaded stays."""
        gone = self._stored(model)
        self.store(*(other for other in self.state.models if other is not gone))

    def repull(self, model: str) -> None:
        """The name now means other weights; what is loaded stays, under its old digest."""
        old = self._stored(model)
        mark = f"{self.wall():x}"
        changed = replace(old, digest=_marked(old.digest, mark), blob=_marked(old.blob, mark), modified_at=self.wall())
        self.store(*(changed if other is old else other for other in self.state.models))

    def remodel(self, model: str) -> None:
        """The name now means another manifest of the same weights, as after a new template."""
        old = self._stored(model)
        changed = replace(old, digest=_marked(old.digest, f"{self.wall():x}"), modified_at=self.wall())
        self.store(*(changed if other is old else other for other in self.state.models))

    def alias(self, model: str, name: str, *, parameters: Mapping[str, int] | None = None) -> None:
        """Another name for the same weights, taken from what had it; with parameters, a Modelfile made from it."""
        old = self._stored(model)
        new = replace(old, name=str(parse_name(name)), modified_at=self.wall())
        if parameters:
            mark = f"{abs(hash(name)):x}"
            new = replace(new, parameters=tuple(parameters.items()), digest=_marked(old.digest, mark))
        self.store(*(other for other in self.state.models if other.name != new.name), new)

    def pull(self, model: str) -> None:
        """A person's pull: a model of the registry is there."""
        name = parse_name(model)
        found = self.pullable(name)
        if found is None:
            msg = f"the registry has no {model!r}"
            raise LookupError(msg)
        self.store(*self.state.models, replace(found, modified_at=self.wall()))

    def registry(self, *, rate: int | None = None, error: str | None = None, tick_s: float | None = None) -> None:
        """Let pulls come at so many bytes a second, 0 stalling them; or all end in an error, until called without.

        Args: tick_s: between two lines, by default as on a real server.
        """
        self.downloads.error = error
        if rate is not None:
            self.downloads.rate = rate
        if tick_s is not None:
            self.downloads.tick = round(tick_s * SECOND)

    def disk(self, free: int | None = None) -> None:
        """Leave so many bytes on the disk; without a number, enough."""
        self.downloads.free = free

    def gpu_lost(self) -> None:
        """The GPU is gone: what is loaded next is on the CPU."""
        self.step(GpuLost())

    def kill(self, model: str) -> None:
        """The runner's process dies; it stays listed."""
        self.step(ChildKilled(self._key(model)))

    def wedge(self, model: str) -> None:
        """The runner's process stops answering."""
        self.step(ChildWedged(self._key(model)))

    def never_idle(self, model: str) -> None:
        """A generation that never ends is on the model."""
        self.step(NeverIdle(self._key(model), self.phantom()))

    def stuck(self, model: str) -> None:
        """Told to stop, but its generation never ends and its process does not answer: "Stopping…" for ever."""
        self.never_idle(model)
        self.wedge(model)
        self.unload(model)

    def deadlock(self) -> None:
        """The scheduler waits for an unload that nothing will bring (#17408).

        Raises:
            ValueError: it is busy with a request.
        """
        if self.state.turn is not None:
            msg = "the scheduler is busy with a request"
            raise ValueError(msg)
        model = self.state.models[0]
        self.step(Deadlocked(Wanted(self.phantom(), model, RunnerOptions(), who=CLIENT, gone=True)))

    def client(  # noqa: PLR0913 - one keyword a part of the request
        self,
        model: str,
        *,
        prompt: str = "",
        tokens: int | None = None,
        keep_alive: object = ...,
        num_ctx: int | None = None,
        options: Mapping[str, object] | None = None,
        path: str = "/api/generate",
        hang_up_s: float | None = None,
        who: str = CLIENT,
    ) -> asyncio.Task[tuple[int, bytes]]:
        """Somebody's request, begun now: load-only, or a generation where there is a prompt or a number of tokens.

        Args:
            model: as the client spells it.
            prompt: what it says; an embedder's input.
            tokens: how many it wants; `num_predict`.
            keep_alive: as JSON has it; left out by default.
            num_ctx: the context it wants.
            options: further options.
            path: the endpoint; the prompt goes where that wants it.
            hang_up_s: when the client gives up.
            who: its User-Agent.

        Returns:
            The task that ends with status and body, 499 for one that gave up, 0 where the server cut it.
        """
        asked = {**(options or {}), **({} if num_ctx is None else {"num_ctx": num_ctx})}
        asked |= {} if tokens is None else {"num_predict": tokens}
        said = prompt or ("x" if tokens is not None else "")
        body: dict[str, object] = {"model": model, "stream": False, **_content(path, said)}
        body |= {} if keep_alive is ... else {"keep_alive": keep_alive}
        body |= {"options": asked} if asked else {}
        task = asyncio.get_running_loop().create_task(self._ask(path, body, hang_up_s, who))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)
        return task

    # --- inside -------------------------------------------------------------------------------------------------------

    async def _ask(self, path: str, body: Mapping[str, object], hang_up_s: float | None, who: str) -> tuple[int, bytes]:
        try:
            return await asyncio.wait_for(ask(self, "POST", path, who, body), hang_up_s)
        except TimeoutError:
            return 499, b""
        except Cut:
            return 0, b""

    def _resident(self, runner: Runner, now: int) -> Resident:
        pinned = runner.duration >= FOREVER // 16
        listed = None if runner.expires_at is None else (runner.expires_at - now - self.state.wall_offset) / SECOND
        return Resident(
            name=runner.model.name,
            context=runner.options.num_ctx,
            pinned=pinned,
            remaining_s=None if runner.timer is None or pinned else (runner.timer - now) / SECOND,
            listed_until_s=listed,
            uses=runner.uses,
            child=runner.child.value,
            loading=runner.loading is not None,
        )

    def _later(self, seconds: float, presence: Presence) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self.show, presence)
        else:
            self.show(presence)

    def _settle(self, **changes: int | Delays) -> None:
        event: Event = Reconfigured(replace(self.state.settings, **changes))  # type: ignore[arg-type]
        self.step(event)

    def _change(self, model: str, **changes: object) -> None:
        old = self._stored(model)
        new = replace(old, **changes)  # type: ignore[arg-type]
        self.store(*(new if other is old else other for other in self.state.models))

    def _stored(self, model: str) -> StoredModel:
        found = self.stored(parse_name(model))
        if found is None:
            msg = f"nothing is stored as {model!r}"
            raise LookupError(msg)
        return found

    def _runner_of(self, model: str) -> Runner | None:
        name: ModelName = parse_name(model)
        found = self.stored(name)
        by_weights = self.state.runner(found.key) if found else None
        by_name = (runner for runner in self.state.runners if parse_name(runner.model.name) == name)
        return by_weights or next(by_name, None)

    def _key(self, model: str) -> str:
        runner = self._runner_of(model)
        return runner.key if runner else self._stored(model).key


def _path(path: str) -> str:
    return path if path.startswith("/") else f"/api/{path}"


def _content(path: str, prompt: str) -> dict[str, object]:
    if path.endswith(("/chat", "/chat/completions")):
        return {"messages": [{"role": "user", "content": prompt}] if prompt else []}
    if path.endswith(("/embed", "/v1/embeddings")):
        return {"input": prompt or []}
    return {"prompt": prompt} if prompt else {}


def _marked(text: str, mark: str) -> str:
    return text[: -len(mark)] + mark
