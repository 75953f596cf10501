"""`alerts` of the configuration: rules, files, and the secrets that systemd hands over."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_keeper.config import load
from ollama_keeper.config.effective import AlertSettings, SinkSettings
from ollama_keeper.core.alert_rules import FOR_S
from ollama_keeper.core.reasons import Alert

Write = Callable[[str], Path]
SINK = "alerts: {sinks: [{name: team, type: feishu%s}]}\nmodels: [a]\n"


def alerts(write: Write, text: str, **environ: str) -> AlertSettings:
    return load(path=write(text), environ=environ).alerts


def sink(write: Write, more: str = "", **environ: str) -> SinkSettings:
    return alerts(write, SINK % more, **environ).sinks[0]


def test_without_a_word_nothing_is_sent(write: Write) -> None:
    told = alerts(write, "models: [a]")
    assert told == AlertSettings()
    assert dict(told.rules.for_s) == dict(FOR_S)


def test_one_duration_is_for_all_that_lasts(write: Write) -> None:
    told = alerts(write, "models: [a]\nalerts: {for: 2m}").rules.for_s
    assert told[Alert.MODEL_LOST] == told[Alert.DEGRADED] == told[Alert.SERVER_DOWN] == 120
    assert told[Alert.COLD_START] == 0


def test_a_table_is_for_those_that_it_names(write: Write) -> None:
    told = alerts(write, "models: [a]\nalerts: {for: {degraded: 1h, cold_start: off}}").rules.for_s
    assert (told[Alert.DEGRADED], told[Alert.COLD_START], told[Alert.MODEL_LOST]) == (3_600, None, 300)


def test_a_variable_sets_a_key_of_it(write: Write) -> None:
    environ = {"OLLAMA_KEEPER_ALERTS__FOR": "1m", "OLLAMA_KEEPER_ALERTS__LANGUAGE": "zh"}
    told = alerts(write, "models: [a]", **environ)
    assert (told.rules.for_s[Alert.STUCK], told.language) == (60, "zh")


def test_files_lie_beside_the_configuration(write: Write) -> None:
    found = sink(write, ", url_file: team-url, secret_file: /run/secret")
    assert found.url_file.name == "team-url"
    assert found.url_file.is_absolute()
    assert found.secret_file == Path("/run/secret")


def test_files_are_taken_from_where_systemd_puts_them(write: Write, tmp_path: Path) -> None:
    for name in ("team-url", "team-secret"):
        (tmp_path / name).write_text("x")
    found = sink(write, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert (found.url_file, found.secret_file) == (tmp_path / "team-url", tmp_path / "team-secret")


def test_the_place_of_systemd_may_be_written_out(write: Write) -> None:
    found = sink(write, ", url_file: $CREDENTIALS_DIRECTORY/hook", CREDENTIALS_DIRECTORY="/run/credentials/keeper")
    assert found.url_file == Path("/run/credentials/keeper/hook")


@pytest.mark.parametrize("kind", ["webhook", "feishu", "lark", "wecom", "dingtalk", "apprise"])
def test_every_kind_is_taken(write: Write, kind: str) -> None:
    text = f"models: [a]\nalerts: {{sinks: [{{name: s, type: {kind}, url_file: u}}]}}"
    assert alerts(write, text).sinks[0].type == kind
