"""Why a model is not resident, and what ends that, in words."""

from datetime import UTC, datetime

import pytest

from ollama_keeper.core.view import ModelRow
from ollama_keeper.report.held import held_text

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def row(state: str, reason: str | None = None, **more: object) -> ModelRow:
    return ModelRow("gpu", "qwen3:8b", state, reason, resident=False, required=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "text"),
    [
        pytest.param(
            row(
                "paused",
                "by_command",
                since="2026-11-24T11:48:00+00:00",
                paused_by="anna",
                paused_until="2026-11-24T13:48:00+00:00",
                paused_note="a game",
            ),
            "paused by anna 12m ago, for another 1h 48m (a game); sooner: ollama-keeper resume qwen3:8b",
            id="a-pause-that-ends-by-itself",
        ),
        pytest.param(
            row("paused", "by_command", paused_by="anna"),
            "paused by anna; to end it: ollama-keeper resume qwen3:8b",
            id="a-pause-without-an-end",
        ),
        pytest.param(
            row("off_hours", "outside_hours", next="warm", next_s=7_200.0),
            "off hours: outside its hours, for another 2h",
            id="outside-its-hours",
        ),
        pytest.param(
            row("over_budget", "memory_budget"),
            "over budget: the memory budget goes to higher ranks; a larger budget, a higher priority, or a pause of "
            "another model makes room",
            id="no-room",
        ),
        pytest.param(
            row("backing_off", "breaker_open", next="warm", next_s=240.0),
            "backing off: too many loads have failed, or were pushed out at once; the next try is in 4m",
            id="an-open-breaker",
        ),
        pytest.param(
            row("missing", "not_pulled"),
            "missing: not pulled; ollama pull qwen3:8b brings it, or pull: if_missing",
            id="not-pulled",
        ),
        pytest.param(row("cold", "out_of_order"), "cold: out_of_order", id="a-reason-that-is-not-known-here"),
        pytest.param(row("cold"), "cold", id="no-reason"),
    ],
)
def test_it_says_why_and_what_ends_it(held: ModelRow, text: str) -> None:
    assert held_text(held, AT) == text
