"""Entries of `/api/ps` that make no sense: what may stand behind them is not lost (FAULTS B7)."""

from ollama_keeper.core.facts import Looked, LookFailed
from ollama_keeper.core.pace import fresh_for_s
from ollama_keeper.core.reasons import Failure
from tests.kit.story import Story, listed, wanted

QWEN, LLAMA, GUEST = "qwen3:8b", "llama3.2:3b", "llava:13b"


def kept() -> Story:
    return Story((wanted(QWEN), wanted(LLAMA))).begins(listed(QWEN), listed(LLAMA))


def looks_with_unread(story: Story, *names: str, unread: int) -> Story:
    models = tuple(listed(name) for name in names)
    return story.at(story.seconds + 15).learns(Looked(models, unread, asked=story.now))


def test_a_model_whose_entry_makes_no_sense_is_not_lost() -> None:
    story = looks_with_unread(kept(), LLAMA, unread=1)
    story = looks_with_unread(story, LLAMA, unread=1)
    assert story.state(QWEN)[0] == "ready"
    assert "model.lost" not in story.events()


def test_a_model_that_leaves_beside_an_old_strange_entry_is_lost() -> None:
    story = looks_with_unread(kept(), QWEN, LLAMA, unread=1)
    story = looks_with_unread(story, LLAMA, unread=1)
    assert story.last("model.lost").model == QWEN


def test_a_model_that_is_still_missing_when_all_makes_sense_again_is_lost() -> None:
    story = looks_with_unread(kept(), LLAMA, unread=1)
    story = looks_with_unread(story, LLAMA, unread=0)
    assert story.last("model.lost").model == QWEN


def test_a_server_that_asks_for_patience_is_not_asked_by_checks() -> None:
    """FAULTS B3: Retry-After counts for whoever would look."""
    story = kept().learns(LookFailed(Failure.SERVER_BUSY, retry_after_s=30.0))
    assert fresh_for_s(story.memory) == 30
