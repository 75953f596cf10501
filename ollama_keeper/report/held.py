"""Why a model is not resident, and what ends that, in words: for who asked for it, or asks how it is."""

from datetime import datetime

from ollama_keeper.core.outlook import Step
from ollama_keeper.core.reasons import Reason, State
from ollama_keeper.core.units import show_duration
from ollama_keeper.core.view import ModelRow
from ollama_keeper.report.phrases import REASONS

_ENDS: dict[str, str] = {
    State.OVER_BUDGET: "a larger budget, a higher priority, or a pause of another model makes room",
    Reason.NOT_PULLED: "ollama pull {model} brings it, or pull: if_missing",
    Reason.OBSERVED_ONLY: "contention: observe loads nothing",
    Reason.RELEASED: "it is kept again once somebody loads it",
}
"""What ends a hold that does not end by itself, by state or reason."""


def held_text(row: ModelRow, at: datetime) -> str:
    """Why a model is not resident at a moment, and what ends that.

    `paused by anna 12m ago, for another 1h 48m (a game); sooner: ollama-keeper resume qwen3:8b`
    """
    if row.state == State.PAUSED:
        return _paused(row, at)
    state, why = row.state.replace("_", " "), REASONS.get(row.reason or "", row.reason)
    text = f"{state}: {why}" if why else state
    ends = _ENDS.get(row.state) or _ENDS.get(row.reason or "")
    if row.next == Step.WARM and row.next_s is not None:
        left = show_duration(row.next_s)
        return f"{text}, for another {left}" if row.state == State.OFF_HOURS else f"{text}; the next try is in {left}"
    return f"{text}; {ends.format(model=row.model)}" if ends else text


def lasts_s(row: ModelRow, at: datetime) -> float | None:
    """Seconds since which a model has been as it is; None where that is not known."""
    return None if row.since is None else max((at - datetime.fromisoformat(row.since)).total_seconds(), 0.0)


def _paused(row: ModelRow, at: datetime) -> str:
    lasted = lasts_s(row, at)
    left = (datetime.fromisoformat(row.paused_until) - at).total_seconds() if row.paused_until else None
    text = f"paused by {row.paused_by or 'somebody'}"
    text += f" {show_duration(lasted)} ago" if lasted is not None else ""
    text += f", for another {show_duration(max(left, 0.0))}" if left is not None else ""
    text += f" ({row.paused_note})" if row.paused_note else ""
    return f"{text}; {'sooner' if left is not None else 'to end it'}: ollama-keeper resume {row.model}"
