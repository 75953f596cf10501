"""`keep_warm`: the keeper in the event loop of another program, which it never blocks, slows or ends.

    async with keep_warm("qwen3:8b") as kept:
        if kept.is_ready("qwen3:8b"):
            ...

It is also the lifespan of an ASGI application: `FastAPI(lifespan=keep_warm(["qwen3:8b"]))`.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ollama_keeper.clock import SystemClock
from ollama_keeper.config import Config, load
from ollama_keeper.core.changes import Change
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.policy import PullRule
from ollama_keeper.core.readiness import Unready, unready, unready_of
from ollama_keeper.core.reasons import State
from ollama_keeper.core.units import parse_duration
from ollama_keeper.core.view import document, snapshot
from ollama_keeper.daemon import Broken, Daemon, Parts
from ollama_keeper.errors import KeeperError
from ollama_keeper.integrations.lock import Lock
from ollama_keeper.integrations.logging import Logged
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.report import Reports
from ollama_keeper.store import open_store

OnFailure = Literal["fail", "tolerate", "background"]
Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]

STATE = "ollama_keeper"
"""Where an ASGI application finds the `Kept`: `app.state.ollama_keeper`."""
LOCK_EVERY_S = 5.0
STORE_CLOSE_S = 1.0
LEAST_RETRY_S = 1
RETRY_S = 30
"""How long a caller is asked to wait for a model of which no load is known, seconds."""


class NotWarm(KeeperError):
    """Not all models were ready in time, or one never will be; `unready` says which, and why."""

    def __init__(self, unready: tuple[Unready, ...], timeout_s: float | None) -> None:
        """Args: timeout_s: how long they were waited for; None where waiting does not help."""
        self.unready = unready
        each = ", ".join(f"{one.model} is {one.state}{f' ({one.reason})' if one.reason else ''}" for one in unready)
        within = "will not be ready" if timeout_s is None else f"not ready within {timeout_s:g} s"
        super().__init__(f"{within}: {each or 'nothing is known yet'}")


class Kept:
    """What is known of the models that are kept; answered from memory, in microseconds."""

    def __init__(self, config: Config, *, log: Logged | None = None) -> None:
        self._clock = SystemClock()
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._lock = Lock(server.address.url for server in config.servers)
        self._logged = log or Logged()
        reports = Reports(self._logged, self)
        self._store = open_store(config.state_dir, report=lambda change: reports.take(change, self._clock.now().wall))
        parts = Parts(reports, self._store, self._clock, lambda server: OllamaClient(server.address))
        self._daemon = Daemon(config, parts, only_looks=not self._lock.taken())

    @property
    def ready(self) -> bool:
        """Whether every required model can serve."""
        return not self.unready()

    def unready(self) -> tuple[Unready, ...]:
        """The required models that cannot serve now, each with its state, its reason and for how long."""
        return unready(self._memories(), self._clock.now())

    def unready_of(self, model: str) -> tuple[Unready, ...] | None:
        """Where one model cannot serve; None where it is not kept."""
        return unready_of(model, self._memories(), self._clock.now())

    def is_ready(self, model: str) -> bool:
        """Whether a model can serve, on every server that is to keep it.

        Raises:
            KeyError: it is not kept.
        """
        found = self.unready_of(model)
        if found is None:
            msg = f"{model!r} is not kept here; kept are: {', '.join(self.models)}"
            raise KeyError(msg)
        return not found

    @property
    def models(self) -> tuple[str, ...]:
        """The models that are kept, as they were named."""
        return tuple(dict.fromkeys(model.model for memory in self._memories() for model in memory.models))

    @property
    def leads(self) -> bool:
        """Whether this process keeps the models; another worker of this machine may, and then this one looks on."""
        return self._lock.taken()

    def retry_after_s(self, model: str) -> int:
        """How soon a caller should ask again for a model that is not ready: what is left of its usual load."""
        found = [known for memory in self._memories() if (known := memory.get(model)) is not None]
        return max((self._left_s(each) for each in found), default=RETRY_S)

    def status(self) -> dict[str, Any]:
        """All servers and models, as `GET /status` of the daemon shows them."""
        return document(snapshot(self._memories(), self._clock.now()))

    async def wait_ready(self, timeout: float | str | None = None) -> bool:  # noqa: ASYNC109 - a duration, too
        """Waits until every required model can serve; False when it is not in time.

        Args:
            timeout: seconds, or a duration such as "15m"; None waits as long as it takes.
        """
        await self._until(lambda: self.ready, None if timeout is None else _seconds(timeout))
        return self.ready

    # --- for keep_warm ------------------------------------------------------------------------------------------------

    def take(self, change: Change, at: datetime) -> None:  # noqa: ARG002 - a consumer is given the time
        """Something has changed; the store tells its own troubles from another thread."""
        self._loop.call_soon_threadsafe(self._changed.set)

    async def settle(self, timeout_s: float, *, every: bool) -> bool:
        """Waits until all are ready, or it does not help to wait on; whether it does not.

        Args:
            every: goes on while at least one may become ready; else the first that never will ends it.
        """

        def over() -> bool:
            hopeless = len(self._hopeless())
            return self.ready or hopeless == len(self.unready()) if every else self.ready or hopeless > 0

        await self._until(over, timeout_s)
        return bool(self._hopeless())

    def _hopeless(self) -> list[Unready]:
        """What no waiting makes ready: refused, or not pulled and not to be."""
        return [one for one in self.unready() if one.state == State.REFUSED or self._is_absent(one)]

    def _is_absent(self, one: Unready) -> bool:
        memory = next(memory for memory in self._memories() if memory.server == one.server)
        return one.state == State.MISSING and memory.model(one.model).policy.pull is PullRule.NEVER

    async def _until(self, over: Callable[[], bool], timeout_s: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not over():
                    self._changed.clear()
                    await self._changed.wait()

    async def run(self) -> None:
        """Keeps until cancelled. What goes wrong is told, and never raised: the program goes on."""
        leading = asyncio.ensure_future(self._lead())
        try:
            await self._daemon.run()
        except* Broken as group:
            hint = "a fault of ollama-keeper: please report it; this program goes on without"
            for error in group.exceptions:
                self._logged.message("error", "keeper.broken", error=str(error), hint=hint)
        finally:
            leading.cancel()

    def stop(self) -> None:
        """Ends `run` in good order."""
        self._daemon.ask_to_stop()

    def close(self) -> None:
        """Gives back what outlives `run`."""
        self._store.close(STORE_CLOSE_S)
        self._lock.free()

    async def _lead(self) -> None:
        """Takes over once the worker that keeps the models has ended."""
        while not self._lock.taken():  # noqa: ASYNC110 - nobody tells us that a process has ended
            await asyncio.sleep(LOCK_EVERY_S)
        self._daemon.touch_from_now()

    def _memories(self) -> tuple[Any, ...]:
        return tuple(server.memory for server in self._daemon.servers)

    def _left_s(self, model: ModelMemory) -> int:
        gone = model.departure
        age_s = self._clock.now().since(gone.at) if gone else 0.0
        return max(round((model.longest_load_s or RETRY_S) - age_s), LEAST_RETRY_S)


class KeepWarm(AbstractAsyncContextManager["Kept"]):
    """What `keep_warm` gives: `async with`, or the lifespan of an ASGI application."""

    def __init__(
        self, config: Callable[[], Config], on_failure: OnFailure, timeout_s: float, lifespan: Lifespan | None
    ) -> None:
        self._config = config
        self._on_failure = on_failure
        self._timeout_s = timeout_s
        self._lifespan = lifespan
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Kept:
        """Begins to keep; waits for the models, unless `on_failure` is background.

        Raises:
            ConfigError: the configuration can never work.
            NotWarm: `on_failure` is fail, and not all were ready in time.
        """
        return await self._stack.enter_async_context(self._keeping())

    async def __aexit__(self, *_: object) -> None:
        """Ends: at once where nothing loads, else after `shutdown_grace`. Nothing is unloaded."""
        await self._stack.aclose()

    def __call__(self, app: Any) -> AbstractAsyncContextManager[Mapping[str, Any] | None]:
        """The lifespan of an application: its own lifespan runs inside, with the keeper at `app.state`."""
        return self._around(app)

    @asynccontextmanager
    async def _around(self, app: Any) -> AsyncIterator[Mapping[str, Any] | None]:
        async with self._keeping() as kept:
            if hasattr(app, "state"):
                setattr(app.state, STATE, kept)
            if self._lifespan is None:
                yield None
                return
            async with self._lifespan(app) as state:
                yield state

    @asynccontextmanager
    async def _keeping(self) -> AsyncIterator[Kept]:
        config = await asyncio.to_thread(self._config)
        kept = Kept(config)
        task = asyncio.ensure_future(kept.run())
        try:
            if self._on_failure != "background":
                hopeless = await kept.settle(self._timeout_s, every=self._on_failure == "tolerate")
                self._see(kept, hopeless=hopeless)
            yield kept
        finally:
            kept.stop()
            with suppress(asyncio.CancelledError):
                await task
            kept.close()

    def _see(self, kept: Kept, *, hopeless: bool) -> None:
        if self._on_failure == "fail" and not kept.ready:
            raise NotWarm(kept.unready(), None if hopeless else self._timeout_s)


def keep_warm(
    models: str | Sequence[str] = (),
    *,
    ollama: str | None = None,
    config: str | Path | None = None,
    on_failure: OnFailure = "background",
    timeout: float | str = "15m",
    lifespan: Lifespan | None = None,
    **settings: Any,
) -> KeepWarm:
    """Keeps models resident while a block, or an application, runs.

    Of several workers on a machine one keeps, the others look on and take over when it ends.

    Args:
        models: a name, or names in order of importance; they replace those of the configuration.
        ollama: URL of the server; else that of the configuration, `OLLAMA_HOST`, or the one on this machine.
        config: a configuration file; its servers and models count, its page and alerts are the daemon's.
        on_failure: `background` starts at once and warms meanwhile; `tolerate` waits for the models, and starts anyway;
            `fail` waits, and raises `NotWarm`.
        timeout: how long the last two wait: seconds, or a duration such as "15m".
        lifespan: the application's own, run inside.
        settings: any key of a model or server that may stand at the top of the file: `keep_alive="30m"`,
            `context_length=8192`. What is remembered over restarts is off, unless `state_dir` or `config` is given.

    Raises:
        ValueError: `on_failure` or `timeout` make no sense. What is wrong with the rest is told when the block begins.
    """
    if on_failure not in {"fail", "tolerate", "background"}:
        msg = f"on_failure is {on_failure!r}; write 'fail', 'tolerate' or 'background'"
        raise ValueError(msg)
    named = (models,) if isinstance(models, str) else tuple(models)
    flags = {**settings, **({"ollama": ollama} if ollama else {})}
    if config is None:
        flags.setdefault("state_dir", "off")
    path = None if config is None else Path(config)

    def configuration() -> Config:
        return load(path=path, models=named, flags=_written(flags), environ=os.environ, sinks_required=False)

    return KeepWarm(configuration, on_failure, _seconds(timeout), lifespan)


def warm(
    models: str | Sequence[str] = (),
    *,
    ollama: str | None = None,
    config: str | Path | None = None,
    timeout: float | str = "15m",
    **settings: Any,
) -> dict[str, Any]:
    """Loads models, waits until all are ready, and returns what is resident; for scripts without an event loop.

    Raises:
        ConfigError: the configuration can never work.
        NotWarm: not all were ready in time.
        RuntimeError: called from a running event loop; there, `async with keep_warm(...)`.
    """

    async def once() -> dict[str, Any]:
        async with keep_warm(
            models, ollama=ollama, config=config, on_failure="fail", timeout=timeout, **settings
        ) as kept:
            return kept.status()

    return asyncio.run(once())


def _seconds(timeout: float | str) -> float:
    return parse_duration(timeout) if isinstance(timeout, str) else float(timeout)


def _written(flags: Mapping[str, object]) -> dict[str, object]:
    """Values as a command line would give them."""
    return {key: value if isinstance(value, str) else str(value) for key, value in flags.items()}


__all__ = ["KeepWarm", "Kept", "NotWarm", "keep_warm", "warm"]
