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
        pytest.param(17.0, False, id="later-so-it-may-be-a-proxy"),
    ],
)
def test_a_closed_connection_is_told_by_how_long_it_was_idle(kept: KeptConnection, idle_s: float, told: bool) -> None:
    stream = Stream()
    kept.end(stream, 100.0)
    stream.closed_there = True
    kept.begin(100.0 + idle_s)
    assert kept.closed is told


def test_the_first_closed_connection_of_all_says_nothing() -> None:
    kept, stream = KeptConnection(), Stream()
    kept.end(stream, 0.0)
    stream.closed_there = True
    kept.begin(15.0)
    assert not kept.closed


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
