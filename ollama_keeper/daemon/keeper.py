"""`Daemon`: start, run, reload, drain, stop, each a named step."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from ollama_keeper import __version__
from ollama_keeper.config import Config
from ollama_keeper.config.changes import changes
from ollama_keeper.config.watch import WATCH_EVERY_S
from ollama_keeper.core.changes import (
    Change,
    ConfigLoaded,
    ConfigRejected,
    KeeperStarted,
    KeeperStopped,
    KeeperStopping,
    WebFailed,
)
from ollama_keeper.core.counts import Timing
from ollama_keeper.core.facts import Hurried, Paused, Resumed
from ollama_keeper.core.names import is_name, parse_name
from ollama_keeper.core.reasons import State
from ollama_keeper.core.view import VERSION, Status, model_row, server_row, written
from ollama_keeper.daemon.fleet import Fleet, wanted
from ollama_keeper.daemon.parts import Companion, Page, Parts, owned
from ollama_keeper.daemon.pulse import Pulse
from ollama_keeper.errors import ConfigError, Mistake
from ollama_keeper.server import Server

UNDER_WAY = frozenset({State.READY, State.DEGRADED, State.LOADING, State.QUEUED})
PAGES_WAIT_S = 1.0  # for the first answer of a server; who connects meanwhile is queued by the kernel


@dataclass(frozen=True, slots=True)
class Named:
    """Which models a command was about, and which names in it mean no model that is kept."""

    models: tuple[str, ...]
    unknown: tuple[str, ...]


class Daemon:
    """Keeps all models of a configuration resident, until it is asked to stop."""

    def __init__(self, config: Config, parts: Parts, *, only_looks: bool = False) -> None:
        """Args: only_looks: nothing is sent but looks, until `touch_from_now`: another process keeps."""
        self._config = config
        self._parts = parts
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._answered = asyncio.Event()
        self._signal: str | None = None
        self._started = parts.clock.now()
        self._fleet = Fleet(parts, take=self._take, source=config.source, only_looks=only_looks)
        self._pulse = Pulse(self._fleet, parts.clock, take=self._take, see=parts.reports.see)
        clients = self._fleet.prepare(config.servers)
        for server in config.servers:
            self._fleet.add(server, clients[server.address.name])

    @property
    def servers(self) -> tuple[Server, ...]:
        """The servers at work."""
        return self._fleet.servers

    @property
    def timing(self) -> Timing:
        """How well the schedule and the loop keep their times."""
        return self._fleet.schedule.timing

    def ask_to_stop(self, signal: str | None = None) -> None:
        """Ends `run` in good order, by a signal or without; safe to call twice."""
        self._signal = self._signal or signal
        self._stop.set()

    def touch_from_now(self) -> None:
        """Keeps from now on, where it only looked."""
        self._fleet.touch_from_now()

    def ask_to_reload(self) -> None:
        """Reads the configuration anew soon; asked often at once, it is read once."""
        self._reload.set()

    def pause(self, models: Sequence[str], *, by: str, for_s: float | None, note: str | None, unload: bool) -> Named:
        """Leaves models alone from now on, for `for_s` or until `resume`; all, where none is named."""
        until = None if for_s is None else self._parts.clock.now().later(for_s).wall
        names, unknown = self._named(models)
        self._fleet.tell(Paused(names, until, by, note, unload))
        return Named(names, unknown)

    def resume(self, models: Sequence[str], *, by: str) -> Named:
        """Keeps models again; all, where none is named."""
        names, unknown = self._named(models)
        self._fleet.tell(Resumed(names, by))
        return Named(names, unknown)

    def warm(self, models: Sequence[str]) -> Named:
        """Warms absent models now, by rank; all, where none is named. Breaker, back-off, pauses and such hold on."""
        names, unknown = self._named(models)
        self._fleet.tell(Hurried(names))
        return Named(names, unknown)

    def held(self, models: Sequence[str]) -> Status:
        """Those of the models that stay absent all the same, such as a paused one, as they are now."""
        now = self._parts.clock.now()
        known = [(model, server.memory) for server in self.servers for model in server.memory.models]
        rows = (model_row(model, memory, now) for model, memory in known if model.model in models)
        held = tuple(row for row in rows if row.state not in UNDER_WAY)
        return Status(VERSION, written(now.wall), tuple(server_row(server.memory) for server in self.servers), held)

    def _named(self, models: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models that are meant, as the operator wrote them in the configuration, and the names that mean none."""
        kept = {model.policy.name: model.model for server in self.servers for model in server.memory.models}
        if not models:
            return tuple(kept.values()), ()
        meant = {name: kept.get(parse_name(name)) for name in models if is_name(name)}
        found = tuple(model for model in meant.values() if model is not None)
        return found, tuple(name for name in models if meant.get(name) is None)

    async def run(self) -> None:
        """Start, run, drain, stop.

        Raises:
            Broken: a background task died; what it was is in the message.
        """
        self._say_started()
        async with asyncio.TaskGroup() as group:
            self._fleet.start(group)
            eternal = [
                group.create_task(owned(self._pulse.beat, "pulse")),
                group.create_task(owned(self._watch_config, "configuration")),
            ]
            eternal += [group.create_task(self._show(address, page)) for address, page in self._parts.pages]
            eternal += [group.create_task(self._accompanied(one)) for one in self._parts.companions]
            await self._stop.wait()
            self._take(KeeperStopping(signal=self._signal))
            for task in eternal:
                task.cancel()
            abandoned = await self._fleet.drain(self._config.shutdown_grace_s)
        uptime_s = self._parts.clock.now().since(self._started)
        self._take(KeeperStopped(uptime_s=uptime_s, loads_abandoned=abandoned))

    async def _show(self, address: str, page: Page) -> None:
        """Serves a page, once a server was heard of: what serves it takes a while to import, and looks go first.

        One that dies is told of, and stops nothing else.
        """
        with suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), PAGES_WAIT_S)
        try:
            await page(self)
        except Exception as error:  # noqa: BLE001 - the one guard around a consumer (DESIGN 3.4)
            self._take(WebFailed(address=address, hint=f"{type(error).__name__}: {error}; the keeper goes on without"))

    async def _accompanied(self, companion: Companion) -> None:
        """Lets a companion work; one that dies is told of, and stops nothing else."""
        try:
            await companion.run()
        except Exception as error:  # noqa: BLE001 - the one guard around a consumer (DESIGN 3.4)
            self._parts.reports.failed(companion, error)

    # --- the configuration --------------------------------------------------------------------------------------------

    async def _watch_config(self) -> None:
        """Reads the configuration anew when it is asked to, or when the file has changed and come to rest."""
        watch = self._parts.watch
        while True:
            try:
                async with asyncio.timeout(WATCH_EVERY_S if watch else None):
                    await self._reload.wait()
            except TimeoutError:
                if watch is None or not await asyncio.to_thread(watch.changed):
                    continue
            self._reload.clear()
            await self._read_anew()

    async def _read_anew(self) -> None:
        """Takes the whole new configuration, or none of it."""
        if self._parts.read is None:
            return
        try:
            config = await asyncio.to_thread(self._parts.read)
            asked = changes(self._config, config)
            clients = self._fleet.prepare((*asked.begun, *asked.reached))
        except ConfigError as error:
            self._take(_rejected(self._config, error.mistakes))
            return
        self._config = config
        self._fleet.apply(asked, clients)
        self._parts.reports.level(config.log.level)
        for companion in self._parts.companions:
            companion.configure(config)
        later = f"takes effect at the next start: {', '.join(asked.later)}" if asked.later else None
        self._take(
            ConfigLoaded(
                path=config.source,
                added=asked.added,
                removed=asked.removed,
                changed=asked.changed,
                hint=later,
            )
        )

    # --- events -------------------------------------------------------------------------------------------------------

    def _take(self, change: Change) -> None:
        self._pulse.take(change)
        if change.server is not None:
            self._answered.set()
        self._parts.reports.take(change, self._parts.clock.now().wall)

    def _say_started(self) -> None:
        models, servers = wanted(self._config), len(self._config.servers)
        self._take(KeeperStarted(version=__version__, run_id=uuid4().hex[:12], servers=servers, models=models))
        self._take(ConfigLoaded(path=self._config.source, added=models))


def _rejected(config: Config, mistakes: tuple[Mistake, ...]) -> ConfigRejected:
    """The first mistake by its place and what to write; without the value, which may be a secret in a wrong line."""
    first = mistakes[0]
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    told = f"{first.hint or 'mend it'}{more}; the configuration before stays; see all with: ollama-keeper config show"
    return ConfigRejected(
        path=config.source or first.source, line=first.line, column=first.column, key=first.key or None, hint=told
    )
