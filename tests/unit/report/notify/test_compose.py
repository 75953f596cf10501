"""What a message says: in two languages, what happened, since when, what the keeper does, and what can be done."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_keeper.core.alert_rules import TEMPLATE_FIELDS
from ollama_keeper.core.delivery import Kind
from ollama_keeper.core.reasons import Alert, Cause, Failure, Reason, Undelivered
from ollama_keeper.report.notify import chinese
from ollama_keeper.report.notify.compose import LANGUAGES, compose, fields_of, trial
from ollama_keeper.report.notify.letter import Letter, size
from tests.kit.letters import NOON, item

LATER = NOON + timedelta(minutes=5)
OF_MODEL = [
    Alert.MODEL_LOST,
    Alert.COLD_START,
    Alert.CONTENDED,
    Alert.DEGRADED,
    Alert.STUCK,
    Alert.MISSING,
    Alert.BREAKER_OPEN,
    Alert.OPTIONS_DISAGREE,
]


def text(*items: object, language: str = "en") -> str:
    letter = compose(items, LATER, language)  # type: ignore[arg-type]
    return "\n".join([letter.title, *letter.parts])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("alert", Alert)
def test_every_alert_can_be_told(alert: Alert, kind: Kind, language: str) -> None:
    model = "qwen3:8b" if alert in OF_MODEL else ""
    told = text(item(kind, alert=alert, model=model), language=language)
    assert "None" not in told
    assert "{" not in told
    assert (model or "gpu") in told or alert in {Alert.CONFIG_REJECTED, Alert.KEEPER_UNHEALTHY}
    assert language == "en" or re.search(r"[\u4e00-\u9fff]", told)
    assert kind is Kind.RESOLVED or "2026-11-24" in told


@pytest.mark.parametrize("values", [Cause, Failure, Reason, Undelivered])
def test_every_reason_has_chinese_words(values: type) -> None:
    known = {value.value for value in values}  # type: ignore[attr-defined]
    assert known <= set(chinese.REASONS)


def test_chinese_is_written_with_full_width_punctuation() -> None:
    words = [*chinese.REASONS.values(), *chinese.ADVICE.values(), *chinese.DOING.values(), *chinese.DEGRADED.values()]
    assert not [word for word in words if re.search(r"[\u4e00-\u9fff][,;?!()]|[,;?!(][\u4e00-\u9fff]", word)]


STORIES = {
    "displaced": (
        {"displaced_by": "llava:13b", "state": "yielding", "cause": "displaced"},
        [
            "qwen3:8b on gpu is not resident: displaced by llava:13b",
            "The keeper waits until llava:13b is idle or gone, then loads it again",
            "What you can do: if both are to stay: a smaller model or context_length",
        ],
        ["gpu 上的 qwen3:8b 未驻留：被 llava:13b 挤出", "等待 llava:13b 空闲或离开，然后重新加载"],
    ),
    "unloaded": (
        {"cause": "unloaded", "state": "cold", "next_s": 42},
        ["it was unloaded", "loads it again in 42s", "ollama-keeper pause qwen3:8b"],
        ["被卸载", "42 秒后重新加载", "ollama-keeper pause qwen3:8b"],
    ),
    "load-failed": (
        {"failure": "out_of_memory", "failures": 2, "state": "backing_off", "next_s": 90},
        ["its load failed, out of memory", "tries again in 1m 30s"],
        ["加载失败，显存或内存不足", "1 分钟 30 秒后重试"],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_a_lost_model_is_told_by_what_it_was_lost_to(story: str) -> None:
    details, english, mandarin = STORIES[story]
    told = text(item(**details))
    assert all(words in told for words in english), told
    told = text(item(**details), language="zh")
    assert all(words in told for words in mandarin), told


def test_two_that_do_not_fit_are_both_told_with_their_sizes() -> None:
    details = {"size_bytes": 5 * 2**30, "with_": "llama3.2:3b", "with_size_bytes": 3 * 2**30, "state": "contended"}
    told = text(item(alert=Alert.CONTENDED, **details))
    assert "qwen3:8b (5.0 GiB) does not fit beside llama3.2:3b (3.0 GiB) on gpu" in told
    assert "The keeper keeps llama3.2:3b" in told


def test_both_contexts_of_a_quarrel_are_told() -> None:
    details = {"reloads": 4, "context_length": 8192, "context_length_before": 32768}
    told = text(item(alert=Alert.OPTIONS_DISAGREE, **details))
    assert "clients reload qwen3:8b on gpu 4 times within an hour" in told
    assert "8192 and 32768 tokens" in told


def test_what_comes_and_goes_is_called_so() -> None:
    assert "It comes and goes: 7 times since then" in text(item(times=7))
    assert "期间反复出现 7 次" in text(item(times=7), language="zh")


def test_what_is_alike_is_told_once_with_its_names() -> None:
    told = text(*(item(model=f"m{number}:1b") for number in range(12)))
    assert "12 models on gpu are not resident" in told
    assert "m9:1b and 2 more" in told
    assert told.count("What you can do") == 1


def test_an_end_is_told_with_how_long_it_lasted_and_why_it_ended() -> None:
    assert "qwen3:8b on gpu: resident again; the trouble lasted 12m" in text(item(Kind.RESOLVED))
    assert "no longer wanted" in text(item(Kind.RESOLVED, how="not_wanted"))
    assert "gpu 上的 qwen3:8b 已恢复驻留，故障持续 12 分钟" in text(item(Kind.RESOLVED), language="zh")


def test_a_message_of_many_leads_with_what_fires() -> None:
    letter = compose([item(Kind.RESOLVED, model="a"), item(model="b")], LATER, "en")
    assert letter.title == "ollama-keeper: 1 alert, 1 over on gpu"
    assert letter.parts[0].startswith("🔴 b on gpu")


@given(st.text(max_size=200))
def test_no_foreign_name_breaks_a_message(name: str) -> None:
    letter = compose([item(model=name, displaced_by=name)], LATER, "en")
    shown = "".join([letter.title, *letter.parts]).replace("\n", "")
    assert shown.isprintable()
    assert "\n" not in letter.title


@given(st.lists(st.text(max_size=300), max_size=30), st.integers(20, 4_000))
def test_a_body_is_never_longer_than_it_may_be(parts: list[str], limit: int) -> None:
    letter = Letter("title", tuple(parts), (), NOON, more="… {count} more")
    assert size(letter.body(limit)) <= limit


# --- templates --------------------------------------------------------------------------------------------------------


def test_a_template_may_use_exactly_what_is_documented() -> None:
    assert set(fields_of(compose([item()], LATER, "en"), LANGUAGES["en"])) == set(TEMPLATE_FIELDS)


def test_a_template_reaches_no_attribute() -> None:
    wild = "${title.__class__} {0.__class__} %(title)s $title"
    assert compose([item()], LATER, "en", wild).templated == (
        "${title.__class__} {0.__class__} %(title)s ollama-keeper: qwen3:8b on gpu is not resident"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_trial_says_who_sent_it(language: str) -> None:
    letter = trial(NOON, language, None)
    assert letter.title.startswith("ollama-keeper: ")
    assert "test-alert" in letter.parts[0]
