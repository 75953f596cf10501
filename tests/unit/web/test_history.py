"""`/history`: what it tells of the last 24 hours, how often the file is read for it, and what a broken file costs."""

import json
import sqlite3
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.timeline import Span
from ollama_keeper.store import Entry
from ollama_keeper.web.app import web_app
from ollama_keeper.web.history import EVENTS, FRESH_S, SPANS_OF_A_MODEL, History
from ollama_keeper.web.hosts import Hosts
from tests.kit.story import NOON, Story, instant, listed, wanted

BASE = "http://127.0.0.1:11480"


def ago(seconds: float) -> datetime:
    return NOON - timedelta(seconds=seconds)


def span(state: str, begin_s: float, end_s: float, *, model: str = "a", reason: str | None = None) -> Span:
    """A stretch from so many seconds before noon to so many."""
    return Span(state, reason, state == "ready", ago(begin_s), ago(end_s), "gpu", model)


def lost(seconds: float, **fields: object) -> Entry:
    return Entry(ago(seconds), "model.lost", "warning", "gpu", "a", fields, "a on gpu was lost")


@dataclass
class Written:
    """What has been written, and how often it was read."""

    spans_: list[Span] = field(default_factory=list)
    events_: list[Entry] = field(default_factory=list)
    read: int = 0
    broken: bool = False

    def events(self, *, since: datetime | None = None, limit: int = 10_000) -> list[Entry]:
        self.read += 1
        return self.events_[-limit:]

    def spans(self, *, since: datetime | None = None, until: datetime | None = None) -> list[Span]:
        if self.broken:
            raise sqlite3.DatabaseError
        return [one for one in self.spans_ if since is None or one.end >= since]


@dataclass
class Asked:
    """A surface over records, at a moment that the test moves."""

    written: Written
    at: float = 0.0
    memory: ServerMemory = field(default_factory=lambda: Story((wanted("a"),)).begins(listed("a")).memory)

    async def __call__(self) -> httpx.Response:
        async with self._web as web:
            return await web.get("/history")

    def __post_init__(self) -> None:
        self._history = History(self.written, lambda: [self.memory], lambda: instant(self.at))

    @property
    def _web(self) -> httpx.AsyncClient:
        app: Any = web_app(list, lambda: instant(self.at), Hosts("127.0.0.1"), more=[self._history.route()])
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE)


@pytest.fixture
async def asked() -> Asked:
    return Asked(Written())


async def test_a_model_is_told_by_stretches_without_a_gap(asked: Asked) -> None:
    asked.written.spans_ = [span("ready", 90_000, 3_600), span("yielding", 3_600, 1_800), span("ready", 1_700, 0)]
    (model,) = (await asked()).json()["models"]
    assert (model["server"], model["model"]) == ("gpu", "a")
    assert [(round(end - begin), state) for begin, end, state in model["spans"]] == [
        (86_400 - 3_600, "ready"),
        (1_800, "yielding"),
        (100, "unknown"),
        (1_700, "ready"),
    ]


async def test_a_loss_is_told_with_its_cause_and_what_was_given_back_is_none(asked: Asked) -> None:
    asked.written.spans_ = [span("ready", 40_000, 0)]
    asked.written.events_ = [
        lost(20_000, cause="displaced", displaced_by="llava:13b"),
        lost(10_000, cause="expired", reason="released"),
        lost(5_000, cause="unloaded"),
    ]
    (model,) = (await asked()).json()["models"]
    assert [(loss["cause"], loss["displaced_by"]) for loss in model["losses"]] == [
        ("displaced", "llava:13b"),
        ("unloaded", None),
    ]
    assert model["losses"][1]["at"] == ago(5_000).timestamp()


async def test_events_are_the_newest_without_those_for_debugging(asked: Asked) -> None:
    asked.written.events_ = [
        Entry(ago(1_000 - one), "model.renewed", "debug" if one % 2 else "info", "gpu", "a", {"hint": str(one)}, "said")
        for one in range(3 * EVENTS)
    ]
    events = (await asked()).json()["events"]
    assert [event["hint"] for event in events] == [str(one) for one in range(EVENTS, 3 * EVENTS, 2)]
    assert {"ts", "level", "event", "server", "model", "text"} <= set(events[0])


async def test_what_flickers_all_day_is_told_by_its_end(asked: Asked) -> None:
    asked.written.spans_ = [span("ready" if one % 2 else "cold", 4_000 - one, 3_999 - one) for one in range(4_000)]
    asked.written.events_ = [lost(4_000 - one, cause="unloaded") for one in range(4_000)]
    (model,) = (await asked()).json()["models"]
    assert len(model["spans"]) == len(model["losses"]) == SPANS_OF_A_MODEL
    assert model["spans"][-1][1] == NOON.timestamp()


async def test_however_many_ask_the_file_is_read_once_in_a_while(asked: Asked) -> None:
    first = [await asked() for _ in range(20)]
    assert asked.written.read == 1
    assert len({answer.content for answer in first}) == 1
    asked.at += FRESH_S
    await asked()
    assert asked.written.read == 2


async def test_a_file_that_cannot_be_read_is_told_and_read_again_later(asked: Asked) -> None:
    asked.written.broken = True
    answer = await asked()
    assert (answer.status_code, answer.json()["error"]) == (503, "the history cannot be read")
    asked.written.broken = False
    assert (await asked()).status_code == 200


async def test_what_is_known_now_goes_on_where_the_records_end(asked: Asked) -> None:
    """While all is well nothing is written for an hour."""
    asked.written.spans_ = [span("cold", 9_000, 8_000), span("ready", 8_000, 3_600)]
    asked.memory = Story((wanted("a"),)).begins(listed("a")).memory
    asked.at = 10.0
    (model,) = (await asked()).json()["models"]
    assert [(round(end - begin), state) for begin, end, state in model["spans"]][-3:] == [
        (8_000 - 3_600, "ready"),
        (3_600, "unknown"),
        (10, "ready"),
    ]
    asked.written.spans_ = [span("cold", 9_000, 8_000), span("ready", 8_000, 0)]
    asked.at = 30.0
    (model,) = (await asked()).json()["models"]
    assert model["spans"][-1] == [ago(8_000).timestamp(), instant(30).wall.timestamp(), "ready"]


async def test_a_model_that_is_kept_no_more_is_not_told(asked: Asked) -> None:
    asked.written.spans_ = [span("ready", 9_000, 0, model="gone")]
    assert [model["model"] for model in (await asked()).json()["models"]] == ["a"]


async def test_what_a_model_is_called_is_escaped(asked: Asked) -> None:
    hostile = "<script>&\u2028"
    asked.written.events_ = [Entry(ago(5), "server.up", "info", hostile, None, {"hint": hostile}, hostile)]
    asked.memory = replace(asked.memory, server=hostile)
    answer = await asked()
    document = json.loads(answer.text)
    assert document["models"][0]["server"] == document["events"][0]["text"] == hostile
    assert not set("<>&\u2028") & set(answer.text)
