"""The same days for the keeper, for nobody, for the line in a crontab, and for who knows the future; as a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.campaign.cron import CURL, curl_in_cron
from tests.campaign.day import Record, run_day
from tests.campaign.oracle import ORACLE, oracle, oracle_of_wanted
from tests.campaign.rules import breaches
from tests.campaign.scene import scene
from tests.campaign.waits import Wait, waits
from tests.kit.keeper import US

KEEPER, ORACLE_ROW, WANTED_ORACLE_ROW = "ollama-keeper", "oracle", "oracle of the wanted models"
SERVING: Mapping[str, Mapping[str, Any]] = {
    "nobody": {"kept": False},
    "curl in cron": {"kept": False, "beside": curl_in_cron},
    KEEPER: {},
    WANTED_ORACLE_ROW: {"kept": False, "beside": oracle_of_wanted},
    ORACLE_ROW: {"kept": False, "beside": oracle},
}
HELPERS = (US, CURL, ORACLE)
BROKEN = "broken:"
NOT_WANTED = "not in the configuration"


@dataclass(frozen=True, slots=True)
class Share:
    """Of some requests: how many were answered or refused, how many met a cold model, and the seconds they waited."""

    requests: int = 0
    cold: int = 0
    wait_s: float = 0.0

    @classmethod
    def of(cls, some: Iterable[Wait]) -> "Share":
        """Of those that were not cut off with the server."""
        answered = [one for one in some if one.answered]
        return cls(len(answered), sum(one.cold for one in answered), sum(one.wait_s for one in answered))

    def __add__(self, other: "Share") -> "Share":
        return Share(self.requests + other.requests, self.cold + other.cold, self.wait_s + other.wait_s)

    @property
    def percent(self) -> float:
        """Of them, that met a cold model."""
        return 100 * self.cold / max(self.requests, 1)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a model was not there, and what the keeper showed of it; both in words."""

    wanted: bool
    why: str
    shown: str


@dataclass(frozen=True, slots=True)
class Lived:
    """What one day was like under one of them, small enough to be sent between processes.

    Attributes:
        all, wanted: of all requests, and of those for models that are in the configuration all day.
        slot_s: seconds that clients waited behind others on a runner.
        tokens: generated for who keeps the models.
        causes: seconds waited for cold models.
        broken: rules that the keeper broke, as text.
        has_room: whether the server of that day holds all that is wanted at once.
    """

    serving: str
    all: Share
    wanted: Share
    slot_s: float
    loads: int
    tokens: int
    causes: Mapping[Cause, float]
    broken: tuple[str, ...]
    has_room: bool = True


def lived(asked: tuple[str, int, int]) -> Lived:
    """One day of a seed, under one of `SERVING`."""
    serving, seed, day = asked
    today = scene(seed, day)
    record = run_day(today, **SERVING[serving])
    some = waits(record)
    again = f"day {day} (again: python -m tests.campaign --seed {seed} --day {day})"
    return Lived(
        serving,
        Share.of(some),
        Share.of(one for one in some if one.wanted),
        sum(one.slot_s for one in some),
        len(record.history.all_loads),
        sum(record.history.tokens(who=helper) for helper in HELPERS),
        _causes(some),
        tuple(f"{again}: {breach}" for breach in breaches(record)) if serving == KEEPER else _trouble(record),
        today.has_room,
    )


def table(days: Iterable[Lived], *, seed: int, first: int, count: int) -> Iterator[str]:
    """The lines of the document's tables, in Markdown."""
    days = tuple(days)
    sums = _sums(days)
    asked = sums[KEEPER]
    named = f"{asked.all.requests} requests, {asked.wanted.requests} of them for wanted models"
    yield f"Seed {seed}, days {first} to {first + count - 1}: {named}.\n"
    yield "| | cold | seconds a day | × oracle | cold, wanted | seconds a day, wanted | × its oracle |" + MORE
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in sums.values():
        yield _row(one, sums, count)
    yield from _by_room(days)
    yield from _why_cold(sums, count)
    yield from _what_was_shown(asked, count)
    yield from (f"{BROKEN} {told}" for one in sums.values() for told in one.broken)


MORE = " loads a day | own tokens a day | seconds behind others a day |"


def _row(one: Lived, sums: Mapping[str, Lived], days: int) -> str:
    cells = (
        f"{one.all.percent:.1f} %",
        f"{one.all.wait_s / days:.1f}",
        _times(one.all.wait_s, sums[ORACLE_ROW].all.wait_s),
        f"{one.wanted.percent:.1f} %",
        f"{one.wanted.wait_s / days:.1f}",
        _times(one.wanted.wait_s, sums[WANTED_ORACLE_ROW].wanted.wait_s),
        f"{one.loads / days:.1f}",
        f"{one.tokens / days:,.0f}",
        f"{one.slot_s / days:.1f}",
    )
    return f"| {one.serving} | {' | '.join(cells)} |"


def _times(seconds: float, least: float) -> str:
    return f"{seconds / least:.1f}" if least else "–"


def _by_room(days: tuple[Lived, ...]) -> Iterator[str]:
    """Seconds a day that wanted models are waited for, by whether the server holds all of them at once."""
    yield f"\n| wanted models, seconds a day | days | {' | '.join(SERVING)} | keeper × its oracle |"
    yield f"|---|---|{'---|' * len(SERVING)}---|"
    for has_room, words in ((True, "all that is wanted fits"), (False, "not all that is wanted fits")):
        some = [one for one in days if one.has_room is has_room]
        count, sums = sum(one.serving == KEEPER for one in some), _sums(some)
        cells = " | ".join(f"{one.wanted.wait_s / max(count, 1):.1f}" for one in sums.values())
        times = _times(sums[KEEPER].wanted.wait_s, sums[WANTED_ORACLE_ROW].wanted.wait_s)
        yield f"| {words} | {count} | {cells} | {times} |"


def _why_cold(sums: Mapping[str, Lived], days: int) -> Iterator[str]:
    """Seconds a day by why the model was not there, for each of them."""
    by_serving = {serving: _added(one.causes, lambda cause: cause.why) for serving, one in sums.items()}
    yield f"\n| seconds a day, by why the model was cold | {' | '.join(sums)} |"
    yield f"|---|{'---|' * len(sums)}"
    names = {name for found in by_serving.values() for name in found}
    for name in sorted(names, key=lambda name: -by_serving[KEEPER].get(name, 0.0)):
        cells = " | ".join(f"{found.get(name, 0.0) / days:.1f}" for found in by_serving.values())
        yield f"| {name} | {cells} |"


def _what_was_shown(keeper: Lived, days: int) -> Iterator[str]:
    """Where the seconds of wanted models go: what the keeper showed of the model when the request came."""
    yield "\n| the keeper, wanted models: what it showed | why the model was cold | seconds a day | share |"
    yield "|---|---|---|---|"
    mine = {cause: seconds for cause, seconds in keeper.causes.items() if cause.wanted}
    total = sum(mine.values()) or 1.0
    for cause, seconds in sorted(mine.items(), key=lambda item: -item[1]):
        yield f"| {cause.shown} | {cause.why} | {seconds / days:.1f} | {100 * seconds / total:.0f} % |"


def _added(causes: Mapping[Cause, float], name: Callable[[Cause], str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for cause, seconds in causes.items():
        found[name(cause)] = found.get(name(cause), 0.0) + seconds
    return found


def _sums(days: Iterable[Lived]) -> dict[str, Lived]:
    found = {serving: Lived(serving, Share(), Share(), 0.0, 0, 0, {}, ()) for serving in SERVING}
    for one in days:
        found[one.serving] = _sum(found[one.serving], one)
    return found


def _sum(one: Lived, other: Lived) -> Lived:
    names = [*one.causes, *(name for name in other.causes if name not in one.causes)]
    causes = {name: one.causes.get(name, 0.0) + other.causes.get(name, 0.0) for name in names}
    return Lived(
        one.serving,
        one.all + other.all,
        one.wanted + other.wanted,
        one.slot_s + other.slot_s,
        one.loads + other.loads,
        one.tokens + other.tokens,
        causes,
        one.broken + other.broken,
    )


def _causes(some: Iterable[Wait]) -> dict[Cause, float]:
    found: dict[Cause, float] = {}
    for one in some:
        if one.cold and one.answered:
            cause = Cause(one.wanted, one.why if one.wanted else NOT_WANTED, one.shown)
            found[cause] = found.get(cause, 0.0) + one.wait_s
    return found


def _trouble(record: Record) -> tuple[str, ...]:
    return tuple(record.trouble)


def work(seed: int, days: Iterable[int]) -> list[tuple[str, int, int]]:
    """What there is to live for a table."""
    return [(serving, seed, day) for day in days for serving in SERVING]
