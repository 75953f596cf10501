"""What the headers of an answer tell."""

import pytest

from ollama_keeper.ollama.headers import clock_skew_s, redirect_host, retry_after_s
from tests.kit.virtual import NOON


@pytest.mark.parametrize(
    ("date", "skew_s"),
    [
        pytest.param("Tue, 24 Nov 2026 12:00:00 GMT", 0.5, id="cut-to-seconds-so-half-a-second-is-added"),
        pytest.param("Tue, 24 Nov 2026 12:05:00 GMT", 300.5, id="ahead"),
        pytest.param("Tue, 24 Nov 2026 11:59:00 GMT", -59.5, id="behind"),
        pytest.param("Tue, 24 Nov 2026 13:00:00 +0100", 0.5, id="another-zone"),
        pytest.param("Tue, 24 Nov 2026 12:00:00", 0.5, id="no-zone"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", None, id="absurd"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", None, id="absurdly-late"),
        pytest.param("noon", None, id="no-date"),
        pytest.param("", None, id="empty"),
    ],
)
def test_the_skew_is_what_date_tells(date: str, skew_s: float | None) -> None:
    """FAULTS B13."""
    assert clock_skew_s({"date": date}, NOON) == skew_s


def test_without_a_date_no_skew_is_known() -> None:
    assert clock_skew_s({}, NOON) is None


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        pytest.param("0", 0.0, id="at-once"),
        pytest.param(" 30 ", 30.0, id="seconds"),
        pytest.param("999999999", 3_600.0, id="an-hour-at-most"),
        pytest.param("Tue, 24 Nov 2026 12:02:00 GMT", 120.0, id="a-date"),
        pytest.param("Tue, 24 Nov 2026 11:00:00 GMT", 0.0, id="a-date-gone-by"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", 3_600.0, id="a-date-far-off"),
        pytest.param("-1", None, id="negative"),
        pytest.param("1.5", None, id="a-fraction"),
        pytest.param("\N{SUPERSCRIPT TWO}", None, id="a-digit-that-is-none"),
        pytest.param("", None, id="empty"),
    ],
)
def test_the_wait_is_what_retry_after_asks_for(text: str, wait_s: float | None) -> None:
    assert retry_after_s({"retry-after": text}, NOON) == wait_s


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://me:secret@other.example/login?token=x", "other.example"),
        ("//other.example", "other.example"),
        ("/login?token=x", "another path of the same host"),
        ("", "another path of the same host"),
        ("http://[::", "an address that makes no sense"),
    ],
)
def test_of_a_redirect_only_the_host_is_told(location: str, host: str) -> None:
    assert redirect_host({"location": location}) == host
