"""Consumers and their guard."""

from collections.abc import Sequence
from datetime import UTC, datetime

from ollama_keeper.core.changes import Change, ServerUp
from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.report import Reports

AT = datetime(2026, 11, 24, tzinfo=UTC)
UP = ServerUp(server="gpu", version="0.33.0")


class Taker:
    """Remembers what it took, and fails where it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.took: list[Change] = []
        self.fails = fails

    def take(self, change: Change, at: datetime) -> None:
        self.took.append(change)
        if self.fails:
            raise RuntimeError("no\nspace")


class FakeLog(Taker):
    """A log that keeps its lines."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(fails=fails)
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def message(self, level: str, event: str, **fields: object) -> None:
        if self.fails:
            raise RuntimeError
        self.lines.append((level, event, fields))


def test_every_consumer_gets_every_change() -> None:
    log, other = FakeLog(), Taker()
    Reports(log, other).take(UP, AT)  # type: ignore[arg-type]
    assert (log.took, other.took) == ([UP], [UP])


def test_a_consumer_that_raises_is_told_of_once_and_disturbs_nobody() -> None:
    log, bad, good = FakeLog(), Taker(fails=True), Taker()
    reports = Reports(log, bad, good)  # type: ignore[arg-type]
    for _ in range(3):
        reports.take(UP, AT)
    assert [len(consumer.took) for consumer in (log, bad, good)] == [3, 3, 3]
    (level, event, fields), *more = log.lines
    assert (level, event, more) == ("error", "consumer.failed", [])
    assert fields["consumer"] == "Taker"
    assert fields["error"] == "RuntimeError('no\\nspace')"
    assert str(fields["where"]).startswith("test_reports.py:")


def test_each_consumer_that_raises_is_told_of() -> None:
    log = FakeLog()
    Reports(log, Taker(fails=True), Taker(fails=True)).take(UP, AT)  # type: ignore[arg-type]
    assert len(log.lines) == 2


def test_even_the_log_may_fail() -> None:
    other = Taker()
    Reports(FakeLog(fails=True), other).take(UP, AT)  # type: ignore[arg-type]
    assert other.took == [UP]


class Sees:
    """Remembers what it saw, and fails where it is told to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.saw: list[Sequence[ServerMemory]] = []
        self.fails = fails

    def see(self, servers: Sequence[ServerMemory], now: Instant) -> None:
        self.saw.append(servers)
        if self.fails:
            raise RuntimeError


async def test_a_watcher_that_fails_is_told_of_once_and_the_others_still_see() -> None:
    log, bad, good = FakeLog(), Sees(fails=True), Sees()
    reports = Reports(log, watchers=(bad, good))  # type: ignore[arg-type]
    now = Instant(AT, 0.0)
    await reports.see((), now)
    await reports.see((), now)
    assert len(good.saw) == 2
    assert [line[1] for line in log.lines] == ["consumer.failed"]
