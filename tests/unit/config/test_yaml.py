"""How YAML is read: plain values, and where each of them stands."""

import pytest

from ollama_keeper.config.syntax import decoded
from ollama_keeper.config.yaml import parse
from ollama_keeper.errors import ConfigError


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("off", "off"),
        ("on", "on"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("7:20", "7:20"),
        ("1e3", "1e3"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("2026-11-24", "2026-11-24"),
        (".inf", ".inf"),
        ("qwen3:8b", "qwen3:8b"),
        ("24h", "24h"),
        ("-1", -1),
        ("+7", 7),
        ("0.8", 0.8),
        ("true", True),
        ("'true'", "true"),
        ('"-1"', "-1"),
        ("!!str 5", "5"),
    ],
)
def test_a_plain_scalar_is_what_a_person_would_read(scalar: str, value: object) -> None:
    found = parse(f"key: {scalar}", "f").data["key"]
    assert (found, type(found)) == (value, type(value))


def test_values_and_keys_have_their_places() -> None:
    layer = parse("models:\n  - name: qwen3:8b\n    keep_alive: 30m\n", "f.yaml")
    value = layer.values["models", 0, "keep_alive"]
    key = layer.keys["models", 0, "keep_alive"]
    assert (value.line, value.column, value.key) == (3, 17, "models[0].keep_alive")
    assert (key.line, key.column) == (3, 5)
    assert str(value.mistake("what", "hint")) == "f.yaml:3:17: models[0].keep_alive: what; hint"


def test_columns_count_characters_not_bytes() -> None:
    assert parse("ключ: { моя: 1 }", "f").values["ключ", "моя"].column == 14


def test_an_alias_stands_for_what_its_anchor_marks() -> None:
    layer = parse("a: &o {num_gpu: 1}\nb: *o\n", "f")
    assert layer.data == {"a": {"num_gpu": 1}, "b": {"num_gpu": 1}}
    assert layer.values["b",].line == 2


def test_a_key_that_is_given_twice_keeps_its_first_value() -> None:
    layer = parse("a: 1\na: 2\n", "f")
    assert layer.data == {"a": 1}
    assert [str(mistake) for mistake in layer.mistakes] == ["f:2:1: a: is given twice, first on line 1; keep one"]


def test_a_key_of_the_empty_text_is_a_key() -> None:
    assert parse('"": 1', "f").data == {"": 1}


def test_windows_lines_and_a_byte_order_mark_are_read_as_meant() -> None:
    text = decoded("\N{ZERO WIDTH NO-BREAK SPACE}models:\r\n  - qwen3:8b\r\n".encode(), "f")
    assert parse(text, "f").data == {"models": ["qwen3:8b"]}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * 2**20, id="brackets"),
        pytest.param("{a: " * 2**18, id="braces"),
        pytest.param("- " * 2**19, id="dashes"),
        pytest.param("? " * 2**19, id="questions"),
        pytest.param("a: " + "&a " * 2**18, id="anchors"),
        pytest.param("%" * 2**20, id="directives"),
    ],
)
def test_a_hostile_megabyte_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text[: 2**20], "f")
