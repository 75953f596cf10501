"""When alerts are told: the rules of an operator, and what they are by default (CONTRACT 2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ollama_keeper.core.reasons import Alert

FOR_S: Mapping[Alert, float] = dict.fromkeys(Alert, 300.0) | {
    Alert.DEGRADED: 600.0,
    Alert.SERVER_DOWN: 90.0,
    Alert.SERVER_BUSY: 90.0,
    Alert.SCHEDULER_HUNG: 90.0,
    Alert.CLOCK_SKEW: 90.0,
    Alert.COLD_START: 0.0,
    Alert.KEEPER_UNHEALTHY: 0.0,
}
"""How long a trouble lasts before it is told, in seconds; what only happens is told at once."""

REPEAT_S = 4 * 3_600.0

TEMPLATE_FIELDS = (
    "title",
    "text",
    "status",
    "firing",
    "resolved",
    "servers",
    "models",
    "alerts",
    "reasons",
    "since",
    "time",
)
"""What the template of a sink may name, as `$title` or `${title}`; all are text."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When to tell.

    Attributes:
        for_s: seconds that a trouble lasts before it fires; None: that alert is never told.
    """

    for_s: Mapping[Alert, float | None] = field(default_factory=lambda: FOR_S, hash=False)
