"""A sink for the daemon of a test, and what arrived there (FAULTS.md 2: N)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ollama_keeper.config.effective import AlertSettings
from ollama_keeper.core.alert_rules import Rules
from tests.kit.letters import sink
from tests.kit.services import Service, Services, made


@dataclass
class Hook:
    """A webhook and its receiver: `facing(sim, QWEN, **hook.given)`."""

    folder: Path
    kinds: tuple[str, ...] = ("webhook",)
    rules: Rules = field(default_factory=Rules)
    more: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.services = Services(**{kind: made(kind) for kind in self.kinds})
        sinks = tuple(sink(kind, self.folder) for kind in self.kinds)
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
        return [
            f"{alert['status']} {labels['alertname']} {labels.get('model') or labels.get('server', 'keeper')}"
            for alert in self.alerts()
            for labels in (alert["labels"],)
        ]

    def alerts(self) -> Iterator[dict[str, Any]]:
        """Every alert that arrived, in order."""
        for one in self.service.taken:
            yield from sorted(one.document["alerts"], key=lambda alert: alert["status"] == "firing")

    def times(self) -> list[float]:
        """When messages arrived."""
        return [one.at for one in self.service.taken]


def twice(alerts: Iterable[dict[str, Any]]) -> list[str]:
    """Alerts of one fingerprint without a resolve between; repeats, which begin when the first did, excepted."""
    firing: dict[str, str] = {}
    found = []
    for alert in alerts:
        name, since = alert["fingerprint"], alert["startsAt"]
        if alert["status"] == "resolved":
            firing.pop(name, None)
        elif firing.get(name, since) != since:
            found.append(f"{alert['labels']} fired at {firing[name]} and at {since}")
        else:
            firing[name] = since
    return found
