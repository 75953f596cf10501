"""What each kind of value takes."""

import pytest

from ollama_keeper.config import values
from ollama_keeper.config.values import Wrong
from ollama_keeper.core.policy import ContextRule

TOKEN = "4f1c0a86e2b97d355c8e0f6a1b3d7942"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5_400), (" 15s ", 15), ("500ms", 0.5), ("1.5h", 5_400), ("0s", 0)],
)
def test_a_duration_has_a_unit(written: str, seconds: float) -> None:
    assert values.duration()(written) == seconds


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5 min", "5m"),
        ("90sec", "90s"),
        ("1h 30m", "1h30m"),
        ("2 Hours", "2h"),
        ("1d", "24h"),
        ("30分钟", "30m"),
        ("1小时30分", "1h30m"),
        (90, "90s"),
        ("90", "90s"),
        (1.5, "1.5s"),
    ],
)
def test_a_duration_in_other_words_is_refused_with_ours(written: object, meant: str) -> None:
    with pytest.raises(Wrong) as caught:
        values.duration()(written)
    said = caught.value.hint.removeprefix("write ")
    assert values.duration()(said) == values.duration()(meant)


@pytest.mark.parametrize("written", ["", "soon", "12:30", "1e3", "s", "5x", "1h soon", [], {}, True, "∞"])
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        values.duration()(written)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(-1, -1), ("-1", -1), (-1.0, -1), ("30m", 1_800), (3_600, 3_600), ("3600", 3_600), (0.5, 0.5), ("24h", 86_400)],
)
def test_keep_alive_pins_with_minus_one_and_takes_seconds_without_a_unit(written: object, seconds: float) -> None:
    assert values.keep_alive(written) == seconds


@pytest.mark.parametrize(
    "written", [0, "0", "0s", -2, "-2", "-2m", "-1m", "forever", "never", False, None, "1000000h", []]
)
def test_a_keep_alive_that_would_not_mean_what_it_says_is_refused(written: object) -> None:
    with pytest.raises(Wrong) as caught:
        values.keep_alive(written)
    assert caught.value.hint == "write -1 to pin, or '30m'"


@pytest.mark.parametrize("written", ["off", "OFF", False, "false"])
def test_off_is_off_as_any_yaml_tool_writes_it(written: object) -> None:
    assert values.duration_or_off(1.0)(written) is None
    assert values.path_or_off(written) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [(256, 256), ("8192", 8_192), ("server", ContextRule.SERVER), ("adopt", ContextRule.ADOPT)],
)
def test_a_context_is_a_number_or_a_rule(written: object, meant: object) -> None:
    assert values.context_length(written) == meant


@pytest.mark.parametrize("written", [255, 0, -1, True, 8_192.5, "8_192", "auto", None, 2**31, [8_192]])
def test_what_is_no_context_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        values.context_length(written)


@pytest.mark.parametrize(("written", "meant"), [(0, 0.0), (1, 1.0), (0.8, 0.8), ("0.8", 0.8), ("auto", None)])
def test_a_share_is_between_none_and_all(written: object, meant: float | None) -> None:
    assert values.fraction(written) == meant


@pytest.mark.parametrize("written", [1.01, -0.1, "80%", "most", True, None])
def test_what_is_no_share_is_refused(written: object) -> None:
    with pytest.raises(Wrong):
        values.fraction(written)


@pytest.mark.parametrize("word", ["true", "yes", "on", "True", True])
def test_yes_is_said_in_many_words(word: object) -> None:
    assert values.boolean(word) is True


@pytest.mark.parametrize("word", ["maybe", 1, 0, None, ""])
def test_what_is_neither_yes_nor_no_is_refused(word: object) -> None:
    with pytest.raises(Wrong):
        values.boolean(word)


@pytest.mark.parametrize(
    "written", ["qwen3", "qwen3:8b", "me/mine:x", "hf.co/a/b:Q4_K_M", "gpt-oss:120b-cloud", " qwen3 "]
)
def test_a_model_is_named_as_ollama_names_it(written: str) -> None:
    assert values.model_name(written) == written.strip()


def test_a_value_is_shown_short_and_printable() -> None:
    assert values.shown("a\x1b[31m\n") == r"'a\x1b[31m\n'"
    assert len(values.shown("x" * 1_000)) == 60
    assert [values.shown(value) for value in ({"a": "secret"}, ["secret"], True)] == ["a table", "a list", "true"]


def test_the_value_of_a_header_is_never_shown() -> None:
    for bad in ("secret\nX: y", ["secret"], {"secret": 1}):
        with pytest.raises(Wrong) as caught:
            values.headers({"Authorization": bad})
        assert "secret" not in f"{caught.value.what} {caught.value.hint}"


@pytest.mark.parametrize(
    "text",
    [
        "team-url",
        "gpu-box-2.url",
        "our-feishu-robot-of-gpu-box-2",
        f"/run/secrets/{TOKEN}",
        f"./{TOKEN}",
        f"$CREDENTIALS_DIRECTORY/{TOKEN}",
    ],
)
def test_what_is_the_path_of_a_file_is_no_secret(text: str) -> None:
    assert values.secret_file(text) == text


@pytest.mark.parametrize("text", ["https://open.feishu.cn/hook/1", TOKEN, "SEC0123456789abcdefghij", "x" * 16 + "1234"])
def test_what_looks_like_a_secret_in_place_of_its_file_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(Wrong) as caught:
        values.secret_file(text)
    assert text not in f"{caught.value.what} {caught.value.hint}"
