"""A sink for the daemon of a test, and what arrived there (FAULTS.md 2: N)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_keeper.config.effective import AlertSettings
from ollama_keeper.core.alert_rules import Rules
from tests.kit.letters import sink
from tests.kit.services import SECRET, Service, Services, arrived, made, named


@dataclass
class Hook:
    """A webhook and its receiver: `facing(sim, QWEN, **hook.given)`."""

    folder: Path
    kinds: tuple[str, ...] = ("webhook",)
    rules: Rules = field(default_factory=Rules)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.services = Services(**{kind: made(kind, secret=_secret(kind)) for kind in self.kinds})
        sinks = tuple(sink(kind, self.folder, signed=_secret(kind) is not None) for kind in self.kinds)
        self.settings = AlertSettings(sinks=sinks, rules=self.rules, **self.more)

    @property
    def given(self) -> dict[str, Any]:
        """What the daemon is given."""
        return {"alerts": self.settings, "services": self.services}

    @property
    def service(self) -> Service:
        """The webhook's receiver."""
        return self.services[self.kinds[0]]

    @property
    def told(self) -> list[str]:
        """Every alert that arrived, as `firing server_down gpu`."""
        return named(arrived(self.services))

    def times(self) -> list[float]:
        """When messages arrived."""
        return [one.at for one in self.service.taken]


def _secret(kind: str) -> str | None:
    """The canary that a kind signs with; WeCom signs nothing."""
    return None if kind == "wecom" else SECRET
