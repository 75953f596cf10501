"""The guard against floods, on given instants."""

from datetime import UTC, datetime, timedelta

from ollama_keeper.core.changes import CheckFailed, ModelRenewed, ServerDown
from ollama_keeper.report.flood import LINES_A_MINUTE, Flood

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def failed(number: int = 0, server: str = "gpu") -> CheckFailed:
    return CheckFailed(server=server, error=str(number))


def test_a_few_lines_of_the_same_trouble_pass() -> None:
    flood = Flood()
    for number in range(LINES_A_MINUTE):
        assert flood.told(failed(number), at(number)) == [(failed(number), at(number), 0)]
    assert flood.rest() == []


def test_fault_e12_the_rest_of_the_minute_is_one_line_with_its_count() -> None:
    flood = Flood()
    for number in range(LINES_A_MINUTE):
        flood.told(failed(number), at(0))
    assert [flood.told(failed(number), at(number)) for number in range(10, 20)] == [[]] * 10
    assert flood.told(failed(99), at(60)) == [(failed(19), at(19), 10), (failed(99), at(60), 0)]


def test_the_count_comes_out_with_whatever_is_told_next() -> None:
    flood = Flood()
    for number in range(LINES_A_MINUTE + 1):
        flood.told(failed(number), at(0))
    renewed = ModelRenewed(server="cpu", model="qwen3:8b", took_s=0.1)
    assert flood.told(renewed, at(59)) == [(renewed, at(59), 0)]
    assert flood.told(renewed, at(61)) == [(failed(LINES_A_MINUTE), at(0), 1), (renewed, at(61), 0)]
    assert flood.told(renewed, at(62)) == [(renewed, at(62), 0)]


def test_what_is_held_back_comes_out_at_the_end() -> None:
    flood = Flood()
    for number in range(LINES_A_MINUTE + 3):
        flood.told(failed(number), at(0))
    assert flood.rest() == [(failed(LINES_A_MINUTE + 2), at(0), 3)]
    assert flood.rest() == []


def test_events_and_servers_are_counted_apart() -> None:
    flood = Flood()
    for number in range(LINES_A_MINUTE):
        flood.told(failed(number), at(0))
    assert flood.told(failed(server="cpu"), at(1))
    assert flood.told(ServerDown(server="gpu", failures=3), at(1))


def test_what_is_neither_warning_nor_error_always_passes() -> None:
    flood = Flood()
    renewed = ModelRenewed(server="gpu", model="qwen3:8b", took_s=0.1)
    assert [flood.told(renewed, at(0)) for _ in range(100)] == [[(renewed, at(0), 0)]] * 100


def test_a_clock_set_back_ends_the_minute() -> None:
    flood = Flood()
    for number in range(LINES_A_MINUTE + 1):
        flood.told(failed(number), at(0))
    assert flood.told(failed(99), at(-3_600)) == [(failed(LINES_A_MINUTE), at(0), 1), (failed(99), at(-3_600), 0)]
