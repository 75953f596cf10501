"""What the headers of an answer tell: the server's clock, how long to wait, where a redirect leads."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

ABSURD_SKEW_S = 10 * 365.25 * 86_400.0  # a clock so wrong tells nothing
LONGEST_WAIT_S = 3_600.0  # a server may ask for patience, not for ever
DATE_ROUNDING_S = 0.5  # `Date` is cut to seconds: on average half of one is missing

_SECONDS = re.compile(r"[0-9]{1,9}")


def clock_skew_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds by which the server's clock is ahead of ours; None where `Date` is missing, no date or absurd."""
    date = _date(headers.get("date", ""))
    if date is None:
        return None
    skew_s = (date - now).total_seconds() + DATE_ROUNDING_S
    return skew_s if abs(skew_s) < ABSURD_SKEW_S else None


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date, at most an hour; None where it asks nothing."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_S)
    date = _date(text)
    return None if date is None else min(max((date - now).total_seconds(), 0.0), LONGEST_WAIT_S)


def redirect_host(headers: Mapping[str, str]) -> str:
    """The host that a redirect leads to, and nothing else of its address, which may hold secrets."""
    try:
        return urlsplit(headers.get("location", "")).hostname or "another path of the same host"
    except ValueError:
        return "an address that makes no sense"


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return date.replace(tzinfo=date.tzinfo or UTC)
