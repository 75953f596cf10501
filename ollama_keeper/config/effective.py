"""The configuration in effect, as the rest of the program reads it: checked, merged, nothing of files or flags."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from ollama_keeper.core.address import Address
from ollama_keeper.core.alert_rules import REPEAT_S, Rules
from ollama_keeper.core.policy import Budget, Policy
from ollama_keeper.errors import Mistake

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
LogFormat: TypeAlias = Literal["auto", "json", "console"]
Language: TypeAlias = Literal["en", "zh"]
SinkType: TypeAlias = Literal["webhook", "feishu", "lark", "wecom", "dingtalk", "apprise"]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how; the format `auto` is JSON unless stdout is a terminal."""

    level: LogLevel = "info"
    format: LogFormat = "auto"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where the status surface listens: `listen` is HOST:PORT, or None; `chosen` by the operator, not by default.

    `socket` takes commands; None takes none. `token_file` holds the token with which they are taken over TCP too.
    """

    listen: str | None = "127.0.0.1:11480"
    allowed_hosts: tuple[str, ...] = ()
    chosen: bool = False
    socket: Path | None = None
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """Where alerts are sent.

    Attributes:
        url_file, secret_file: files with one line each, read anew for each message.
        template: the text of a message; None for ours.
    """

    name: str
    type: SinkType
    url_file: Path
    secret_file: Path | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What is told of, when, and to whom.

    Attributes:
        repeat_s, heartbeat_every_s: seconds.
        without_url: of sinks that are left out, since no file of theirs is named, and none is handed over here.
        heartbeat_url_file: a URL that is called only when all is well; None calls none.
    """

    sinks: tuple[SinkSettings, ...] = ()
    without_url: tuple[Mistake, ...] = ()
    rules: Rules = field(default_factory=Rules)
    repeat_s: float = REPEAT_S
    send_resolved: bool = True
    language: Language = "en"
    heartbeat_url_file: Path | None = None
    heartbeat_every_s: float = 300.0


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Whether `/metrics` tells models apart; else it sums them up by server."""

    model_labels: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """One Ollama server and the models wanted on it, in the order of their loads."""

    address: Address
    policies: tuple[Policy, ...]
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the operator wants.

    Attributes:
        servers: at least one.
        shutdown_grace_s: how long a stop waits for an open load, seconds.
        state_dir: where the state file lies; None keeps what is known in memory only.
        path: the file that was taken; None without one.
    """

    servers: tuple[Server, ...]
    shutdown_grace_s: float
    state_dir: Path | None
    log: LogSettings
    path: Path | None
    web: WebSettings = WebSettings()
    alerts: AlertSettings = AlertSettings()
    metrics: MetricsSettings = MetricsSettings()

    @property
    def source(self) -> str | None:
        """The file that was taken, as a line of the log names it."""
        return str(self.path) if self.path else None
