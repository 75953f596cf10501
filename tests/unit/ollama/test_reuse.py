"""A kept connection that the server closed is the sign of a restart, but not where a proxy closes what is idle."""

import pytest

from ollama_keeper.ollama.reuse import KeptConnection


class Stream:
    """An end of a connection, as httpcore shows it."""

    def __init__(self) -> None:
        self.closed_there = False
        self.closed_here = False

    def get_extra_info(self, info: str) -> object:
        return {"is_readable": self.closed_there or self.closed_here, "socket": self}.get(info)

    def fileno(self) -> int:
        return -1 if self.closed_here else 3


@pytest.fixture
def kept() -> KeptConnection:
    """One that was left idle for 15 s once, and is open since 100."""
    kept, stream = KeptConnection(), Stream()
    kept.end(stream, 85.0)
    kept.begin(100.0)
    return kept


@pytest.mark.parametrize(
    ("idle_s", "told"),
    [
        pytest.param(3.0, True, id="sooner-than-it-was-idle-before"),
        pytest.param(15.9, True, id="about-as-soon"),
        pytest.param(17.0, True, id="later"),
    ],
)
def test_a_closed_connection_is_told_by_how_long_it_was_idle(kept: KeptConnection, idle_s: float, told: bool) -> None:
    stream = Stream()
    kept.end(stream, 100.0)
    stream.closed_there = True
    kept.begin(100.0 + idle_s)
    assert kept.closed is told


def told_of_closing(kept: KeptConnection, *, after: float) -> bool:
    """Whether a connection that was closed within `after` idle seconds is told."""
    closed = Stream()
    closed.closed_there, kept.closed = True, False
    kept.end(closed, 0.0)
    kept.begin(after)
    return kept.closed


def test_the_first_closed_connection_of_all_is_told() -> None:
    assert told_of_closing(KeptConnection(), after=15.0)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        pytest.param(15.0, False, id="as-late-so-it-may-be-a-proxy"),
        pytest.param(14.2, False, id="about-as-late"),
        pytest.param(60.0, False, id="later"),
        pytest.param(5.0, True, id="much-sooner"),
    ],
)
def test_a_second_closed_connection_is_told_only_where_it_was_closed_sooner(after: float, told: bool) -> None:
    kept = KeptConnection()
    told_of_closing(kept, after=15.0)
    assert told_of_closing(kept, after=after) is told


def test_where_one_was_left_open_for_longer_since_it_is_no_proxy() -> None:
    kept = KeptConnection()
    told_of_closing(kept, after=15.0)
    kept.end(Stream(), 0.0)
    kept.begin(20.0)
    assert told_of_closing(kept, after=60.0)


def test_what_was_told_stays_until_it_is_taken(kept: KeptConnection) -> None:
    stream = Stream()
    kept.end(stream, 100.0)
    stream.closed_there = True
    kept.begin(101.0)
    kept.end(Stream(), 101.0)
    kept.begin(102.0)
    assert kept.closed


def test_a_connection_that_we_closed_says_nothing(kept: KeptConnection) -> None:
    stream = Stream()
    kept.end(stream, 100.0)
    stream.closed_here = True
    kept.begin(101.0)
    assert not kept.closed


@pytest.mark.parametrize("stream", [None, Stream()], ids=["none", "open"])
def test_an_open_or_unknown_connection_says_nothing(kept: KeptConnection, stream: Stream | None) -> None:
    kept.end(stream, 100.0)
    kept.begin(101.0)
    assert not kept.closed
