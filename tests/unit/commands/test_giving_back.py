"""What `release` says of each model."""

from dataclasses import replace
from typing import Any

import pytest

from ollama_keeper.commands.giving_back import outcome
from ollama_keeper.core.view import ModelRow, ServerRow

UP, DOWN = ServerRow("gpu", "up"), ServerRow("gpu", "down", reason="connect_refused")


OURS = ModelRow("gpu", "a", "paused", "by_command", resident=True, required=True, until="forever")


def row(**more: Any) -> ModelRow:
    return replace(OURS, **more)


@pytest.mark.parametrize(
    ("shown", "server", "text", "good"),
    [
        pytest.param(row(resident=False, until=None), UP, "not in memory", True, id="gone"),
        pytest.param(
            row(until="2026-11-24T12:05:00+00:00", remaining_s=299.0),
            UP,
            "no pin; Ollama drops it in 4m 59s, if nobody uses it",
            True,
            id="lowered",
        ),
        pytest.param(
            row(),
            UP,
            "pinned, but not by us as far as is known; to drop it: ollama stop a",
            True,
            id="pinned-by-a-client",
        ),
        pytest.param(
            row(owed=True),
            UP,
            "still in use, so left alone; the daemon gives it back once it is idle; now: ollama stop a",
            False,
            id="in-use",
        ),
        pytest.param(
            row(owed=True, resident=False, until=None),
            UP,
            "its load is still under way; the daemon gives it back after that",
            False,
            id="being-loaded",
        ),
        pytest.param(
            row(owed=True),
            DOWN,
            "unknown: the server does not answer; the daemon gives it back once it does",
            False,
            id="on-a-server-that-is-down",
        ),
    ],
)
def test_beside_a_daemon(shown: ModelRow, server: ServerRow, text: str, good: bool) -> None:
    assert outcome(shown, server, unload=False, by_daemon=True) == (f"gpu: a: {text}", good)


def test_without_a_daemon_a_model_in_use_is_to_be_tried_again() -> None:
    text, good = outcome(row(owed=True), UP, unload=False, by_daemon=False)
    assert (text, good) == ("gpu: a: still in use, so left alone; try again, or: ollama stop a", False)


def test_one_that_was_to_leave_the_memory_and_is_still_there_is_told_how_to() -> None:
    lowered = row(until="2026-11-24T12:05:00+00:00", remaining_s=60.0)
    text, _ = outcome(lowered, UP, unload=True, by_daemon=True)
    assert text.endswith("if nobody uses it; at once: ollama stop a")
