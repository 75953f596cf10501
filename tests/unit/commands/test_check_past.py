"""What `check` finds in the history of loads."""

from datetime import UTC, datetime, timedelta

from ollama_keeper.commands.check_past import not_loading
from ollama_keeper.commands.losses import corrected
from ollama_keeper.store import Entry

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEPT = {"gpu": {"qwen3:8b"}}


def told(event: str, minutes_ago: float, **fields: object) -> Entry:
    return Entry(NOW - timedelta(minutes=minutes_ago), event, "warning", "gpu", "qwen3:8b", fields)


def test_a_model_whose_loads_fail_is_found_with_the_reason_of_the_last() -> None:
    failures = [
        told("warm.failed", 9, reason="load_failed"),
        told("warm.failed", 3, reason="load_failed", hint="corrupt"),
    ]
    (found,) = not_loading(failures, KEPT, NOW)
    assert (found.code, found.do, found.model) == ("not_loading", "corrupt", "qwen3:8b")
    assert found.what.endswith("; 2 in a row")


def test_one_that_was_resident_since_or_is_not_kept_is_not() -> None:
    failed = told("warm.failed", 9, reason="load_failed")
    assert list(not_loading([failed, told("model.ready", 3)], KEPT, NOW)) == []
    assert list(not_loading([failed], {"gpu": set()}, NOW)) == []
    assert list(not_loading([failed], KEPT, NOW + timedelta(days=2))) == []


def test_a_loss_is_what_a_later_line_says_of_it() -> None:
    lost = told("model.lost", 5, cause="unloaded")
    yields = told("model.yielding", 4, cause="displaced", to="llava:13b")
    first, *_ = corrected([lost, yields, told("model.ready", 1, cause="displaced")])
    assert first.fields == {"cause": "displaced", "displaced_by": "llava:13b"}


def test_an_unload_that_nothing_else_explains_stays_one() -> None:
    events = [told("model.lost", 5, cause="unloaded"), told("model.ready", 4, cause="unloaded")]
    assert corrected(events) == events
    again = [told("model.lost", 5, cause="unloaded"), told("model.lost", 4, cause="displaced")]
    assert corrected(again) == again
