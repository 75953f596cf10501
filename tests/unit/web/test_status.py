"""The text of `/status`: the document of `core.view`, whatever of it is kept from one time to the next."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from ollama_keeper.core.facts import Paused
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.states import states_of
from ollama_keeper.core.view import document, never_counted, snapshot
from ollama_keeper.web.status import StatusText
from tests.kit.story import GIB, Story, instant, listed, wanted


async def written(text: StatusText, memories: Sequence[ServerMemory], seconds: float, **given: Any) -> Any:
    return json.loads(await text.of(memories, instant(seconds), **{"states": states_of, "warm": never_counted} | given))


def story_of_two() -> Story:
    """A story in which `a` was warmed by us and `b` is absent."""
    return Story((wanted("a"), wanted("b"))).begins().warms("a", 4.0, listed("a"))


def moved(story: Story) -> None:
    story.at(60).looks(listed("a"))


def smaller(story: Story) -> None:
    story.at(60).looks(listed("a", size=4 * GIB, vram=GIB))


def joined_by_a_guest(story: Story) -> None:
    story.at(60).looks(listed("a"), listed("guest", 300))


def lost(story: Story) -> None:
    story.at(60).looks()


def given_a_lease(story: Story) -> None:
    story.at(60).looks(listed("a", 400))


def paused(story: Story) -> None:
    story.at(60).learns(Paused(("a",), None, "anna", "a game"))


@pytest.mark.parametrize("happens", [moved, smaller, joined_by_a_guest, lost, given_a_lease, paused])
async def test_what_is_kept_of_before_never_differs_from_what_is_so(happens: Callable[[Story], None]) -> None:
    text, story = StatusText(), story_of_two()
    for change in (None, None, happens):
        if change is not None:
            change(story)
        for seconds in (story.seconds, story.seconds + 7.3):
            now = instant(seconds)
            assert await written(text, [story.memory], seconds) == document(snapshot([story.memory], now))


async def test_the_shares_are_those_of_now() -> None:
    text, story = StatusText(), story_of_two()
    for share in (None, 0.25, 0.5):
        told = await written(text, [story.memory], 10, warm=lambda *_, share=share: (share, None))
        assert [(row["warm_day"], row["warm_month"]) for row in told["models"]] == [(share, None)] * 2


async def test_two_servers_with_a_model_of_one_name_are_told_apart() -> None:
    text, memory = StatusText(), story_of_two().memory
    memories = [memory, replace(memory, server="other")]
    told = [await written(text, memories, 10) for _ in range(2)]
    assert told == [document(snapshot(memories, instant(10)))] * 2


async def test_nothing_is_kept_of_who_is_gone() -> None:
    text, memory = StatusText(), story_of_two().memory
    await written(text, [replace(memory, server=f"s{number}") for number in range(50)], 10)
    assert len(text._kept) == 50
    await written(text, [memory], 10)
    assert list(text._kept) == [("gpu", "a")]
    await written(text, [], 10)
    assert text._kept == {}
