"""The tally is counted from a server's record: loads that ended well, departures, and deaths it does not list."""

import pytest

from ollama_keeper.commands.demo_tally import STEP_S, STEPS, USER, Death, Tally, tally, warm_spans, warmth
from ollama_keeper.simulator.history import History, Load, Request, Unload

KEY = "weights"
FOREVER = float("inf")


def record(*events: Load | Unload | Request) -> History:
    history = History()
    for event in events:
        kept: list[Load] | list[Unload] | list[Request] = {
            Load: history.all_loads,
            Unload: history.all_unloads,
            Request: history.all_requests,
        }[type(event)]  # type: ignore[assignment]
        kept.append(event)  # type: ignore[arg-type]
    return history


def loaded(start: float, end: float | None, outcome: str = "loaded") -> Load:
    return Load(1, "m", KEY, "client", start, end=end, outcome=outcome)


def left(at: float) -> Unload:
    return Unload(at, "m", KEY, "unload", "client")


def asked(at: float, who: str = USER) -> Request:
    return Request(1, at, "POST", "/api/generate", who, who, {"model": "m"})


def counted(
    *events: Load | Unload | Request, since: float = 10.0, now: float = 20.0, deaths: tuple[Death, ...] = ()
) -> Tally:
    return tally(record(*events), {"m": KEY}, since=since, now=now, deaths=deaths)


@pytest.mark.parametrize(
    ("events", "spans"),
    [
        pytest.param((), [], id="never-loaded"),
        pytest.param((loaded(1, 3),), [(3, FOREVER)], id="still-there"),
        pytest.param((loaded(1, 3), left(5)), [(3, 5)], id="left"),
        pytest.param((loaded(1, 3), left(5), loaded(6, 8)), [(3, 5), (8, FOREVER)], id="came-back"),
        pytest.param((loaded(1, 3, "out_of_memory"),), [], id="a-failed-load-is-no-load"),
        pytest.param((loaded(1, None, ""),), [], id="an-open-load-is-none-yet"),
    ],
)
def test_a_model_is_warm_from_the_end_of_its_load_until_it_leaves(
    events: tuple[Load | Unload, ...], spans: list[tuple[float, float]]
) -> None:
    assert warm_spans(record(*events), KEY) == spans


def test_a_dead_runner_is_cold_until_its_model_is_loaded_anew() -> None:
    events = (loaded(1, 3), left(8), loaded(8, 9))
    assert warm_spans(record(*events), KEY, (Death(5, KEY),)) == [(3, 5), (9, FOREVER)]


def test_the_loads_of_others_are_not_ours() -> None:
    assert warm_spans(record(loaded(1, 3)), "other") == []


def test_a_model_that_stays_costs_nothing() -> None:
    assert counted(loaded(1, 3)) == Tally(watched_s=10, resident=(True,))


def test_cold_seconds_are_those_between_leaving_and_being_ready_again() -> None:
    seen = counted(loaded(1, 3), left(12), loaded(13, 15))
    assert (seen.losses, seen.healed, seen.cold_s, seen.cold_share) == (1, 1, 3, 0.3)


def test_a_model_that_is_still_away_counts_up_to_now() -> None:
    seen = counted(loaded(1, 3), left(16))
    assert (seen.losses, seen.healed, seen.cold_s, seen.resident) == (1, 0, 4, (False,))


def test_what_was_before_does_not_count() -> None:
    seen = counted(loaded(1, 3), left(4), loaded(5, 7), asked(4.5))
    assert (seen.losses, seen.healed, seen.cold_s, seen.asked) == (0, 0, 0, 0)


def test_a_question_waits_that_meets_a_cold_model() -> None:
    seen = counted(loaded(1, 3), asked(11), left(12), asked(13), loaded(13, 15), asked(16), asked(14, "client"))
    assert (seen.asked, seen.waited) == (3, 1)


def test_nothing_watched_is_no_share() -> None:
    assert Tally().cold_share == 0


def test_the_strip_has_a_step_for_each_time_and_no_more_than_a_minute() -> None:
    history = record(loaded(1, 3), left(12), loaded(13, 15))
    assert warmth(history, {"m": KEY}, since=10, now=10 + 2 * STEP_S) == (1, 0, 1)
    assert len(warmth(history, {"m": KEY}, since=10, now=4_000)) == STEPS
