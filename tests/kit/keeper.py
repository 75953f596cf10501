"""The real daemon on simulated servers, in virtual time; and what every test asks of the servers' own records."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ollama_keeper.config import Config, LogSettings, load
from ollama_keeper.config import Server as ServerConfig
from ollama_keeper.config.effective import AlertSettings
from ollama_keeper.config.watch import FileWatch
from ollama_keeper.core.address import Address
from ollama_keeper.core.changes import Change
from ollama_keeper.core.policy import Budget, Policy, PullRule, policy_for, ranked
from ollama_keeper.core.states import state_of
from ollama_keeper.daemon import Daemon, Parts
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.report import Consumer, Reports, Watcher
from ollama_keeper.report.alerts import Alerts, Notes
from ollama_keeper.report.notify.postman import Postman
from ollama_keeper.simulator import Simulator
from ollama_keeper.store import Store
from tests.kit.services import Remembered, Services, arrived, named
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock

US = "ollama-keeper"
HOST = "127.0.0.1:11434"
TOUCHES = {"/api/generate", "/api/embed"}
PULL = "/api/pull"
LONG_S = 120.0
ALLOWED = {"/api/ps", "/api/version", "/api/tags", "/api/show", *TOUCHES}


def wanted(name: str, **wishes: Any) -> Policy:
    """A policy: all defaults but `wishes`."""
    return replace(policy_for(name), **wishes)


@dataclass
class Recorder:
    """Takes the place of the log: remembers every change, and when it was."""

    changes: list[tuple[datetime, Change]] = field(default_factory=list)
    messages: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)

    def take(self, change: Change, at: datetime) -> None:
        self.changes.append((at, change))

    def level(self, level: str) -> None:
        pass

    def message(self, level: str, event: str, **fields: object) -> None:
        self.messages.append((level, event, fields))


Wishes = Mapping[str | Address, tuple[Policy, ...]]


def configured(servers: Wishes, *, grace_s: float = 20.0, budget: Budget | None = None) -> Config:
    """A configuration without a file: policies by host and port, or by a whole address."""
    configs = tuple(
        ServerConfig(at if isinstance(at, Address) else Address(at, f"http://{at}"), ranked(policies), budget)
        for at, policies in servers.items()
    )
    return Config(configs, grace_s, None, LogSettings(), None)


class Keeper:
    """One daemon, and what it told."""

    def __init__(
        self,
        servers: Wishes,
        transport: SimTransport | None,
        *,
        store: Store | None = None,
        grace_s: float = 20.0,
        file: Path | None = None,
        budget: Budget | None = None,
        consumers: Sequence[Consumer] = (),
        watchers: Sequence[Watcher] = (),
        alerts: AlertSettings | None = None,
        services: Services | None = None,
        notes: Notes | None = None,
    ) -> None:
        self.recorder = Recorder()
        config = load(path=file, environ={}) if file else configured(servers, grace_s=grace_s, budget=budget)
        self._alerts = alerts or AlertSettings()
        config = replace(config, alerts=self._alerts) if alerts else config
        self._next = config
        self.clients: list[OllamaClient] = []

        def client(server: ServerConfig) -> OllamaClient:
            self.clients.append(OllamaClient(server.address, transport=transport))
            return self.clients[-1]

        store = store or Store(None, report=lambda change: None)
        reports = Reports(self.recorder, *consumers, watchers=watchers)  # type: ignore[arg-type]
        self.alerts = Alerts(
            config.alerts,
            notes=notes or Remembered(),
            clock=LoopClock(),
            report=lambda change: reports.take(change, LoopClock().now().wall),
            postman=Postman(services or Services()),
        )
        reports.join(self.alerts)
        self.services = services or Services()

        def read() -> Config:
            return replace(load(path=file, environ={}), alerts=self._alerts) if file else self._next

        watch = FileWatch(file) if file else None
        parts = Parts(reports, store, LoopClock(), client, read, watch, companions=(self.alerts,))
        self.daemon = Daemon(config, parts)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.daemon.run())

    async def stop(self) -> None:
        """SIGTERM, and until it has ended."""
        self.daemon.ask_to_stop("SIGTERM")
        assert self._task is not None
        await self._task

    async def reload(self, servers: Wishes) -> None:
        """SIGHUP, with other wishes in the configuration."""
        self._next = replace(configured(servers), alerts=self._alerts)
        self.daemon.ask_to_reload()
        await asyncio.sleep(0.1)

    # --- what it told -------------------------------------------------------------------------------------------------

    def events(self, *prefixes: str) -> list[str]:
        return [
            change.event for _, change in self.recorder.changes if not prefixes or change.event.startswith(prefixes)
        ]

    def all(self, event: str) -> list[Change]:
        return [change for _, change in self.recorder.changes if change.event == event]

    def last(self, event: str) -> Any:
        return self.all(event)[-1]

    @property
    def notified(self) -> list[str]:
        """Alerts that arrived at the webhook, as `firing server_down gpu`: N of FAULTS.md 2."""
        return named(arrived(self.services))

    def state(self, model: str, server: str = HOST) -> str:
        memory = next(one.memory for one in self.daemon.servers if one.memory.server == server)
        return state_of(memory.model(model), memory, LoopClock().now())[0].value


@asynccontextmanager
async def keeping(sim: Simulator, *policies: Policy | str, **given: Any) -> Any:
    """A daemon on one simulated server; at the end the server's record is asked whether it did harm."""
    reloads: int = given.pop("reloads", 0)
    aborts: int = given.pop("aborts", 0)
    tokens: int = given.pop("tokens", 0)
    transport = given.pop("transport", None) or SimTransport(sim)
    chosen = tuple(wanted(policy) if isinstance(policy, str) else policy for policy in policies)
    keeper = Keeper({HOST: chosen}, transport, **given)
    keeper.start()
    try:
        yield keeper
    finally:
        await keeper.stop()
    pulls = any(policy.pull is PullRule.IF_MISSING for policy in chosen)
    did_no_harm(sim, reloads=reloads, aborts=aborts, tokens=tokens, pulls=pulls)
    assert keeper.events()[-1] == "keeper.stopped"
    assert keeper.all("check.failed") == []


def did_no_harm(sim: Simulator, *, reloads: int = 0, aborts: int = 0, tokens: int = 0, pulls: bool = False) -> None:
    """The promises of DESIGN 2, asked of the server's own record."""
    history = sim.history
    assert history.tokens(who=US) <= tokens, "we spent tokens"
    assert len(history.aborted(who=US)) == aborts, "we aborted loads"
    assert len(history.reloads(who=US)) <= reloads, f"we reloaded live runners: {history.reloads(who=US)}"
    assert {request.path for request in history.requests(who=US)} <= ALLOWED | ({PULL} if pulls else set())
    assert history.most_open(PULL, who=US) <= 1, "pulls overlapped"
    assert history.most_open("/api/ps", who=US) <= 1, "looks overlapped"
    assert most_open_warms(sim) <= 1, "warms overlapped"


def most_open_warms(sim: Simulator) -> int:
    """How many warms of ours (loads with a keep_alive that does not unload) were open at once."""
    spans = [
        (request.at, request.ended if request.ended is not None else float("inf"))
        for request in sim.history.requests(who=US)
        if request.path in TOUCHES and (request.body or {}).get("keep_alive", 0) != 0
    ]
    return max((sum(start <= at < end for start, end in spans) for at, _ in spans), default=0)


def touches(sim: Simulator, model: str) -> list[Any]:
    """Our load-only requests for a model."""
    return [request for request in sim.history.requests(who=US, model=model) if request.path in TOUCHES]


async def until(true: Callable[[], bool], *, limit_s: float = 3_600.0) -> float:
    """Waits in virtual time until something holds; returns how long it took, to 0.1 s, a long one to 1 s."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not true():
        assert loop.time() - start < limit_s, "it never came to be"
        await asyncio.sleep(0.1 if loop.time() - start < LONG_S else 1.0)
    return loop.time() - start
