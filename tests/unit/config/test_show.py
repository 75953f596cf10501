"""The configuration as text: what is shown, described and begun."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ollama_keeper.config import load
from ollama_keeper.config.example import example
from ollama_keeper.config.schema import Alerts, Log, ModelDefaults, Options, ServerDefaults, ServerEntry, Settings, Sink
from ollama_keeper.config.show import Found, initial, json_schema, show

Write = Callable[[str], Path]
EXAMPLE = Path(__file__).parents[3] / "config.example.yaml"

FULL = """
servers:
  - {name: gpu, url: "https://gpu.example", token_file: token, ca_file: ca.pem}
  - {url: "http://127.0.0.1:11434", headers: {X-Key: hunter2}, proxy: "http://me:hunter2@proxy:3128"}
models:
  - {name: a, servers: [gpu], keep_alive: 30m, ping_every: off, options: {num_gpu: 3}, min_gpu_fraction: 0.5}
  - {name: b, priority: 200, context_length: 8192, contention: observe}
  - {name: a, servers: ["127.0.0.1:11434"], on_expire: release, interval: 1m30s}
shutdown_grace: 500ms
state_dir: off
log: {level: debug}
alerts:
  sinks:
    - {name: team, type: feishu, url_file: team-url, secret_file: team-secret, template: "$title"}
    - {name: hook, type: webhook, url_file: hook-url}
  for: {degraded: 20m, cold_start: off}
  language: zh
  heartbeat_url_file: beat-url
"""


def test_what_is_shown_can_be_loaded_and_means_the_same(write: Write) -> None:
    config = load(
        path=write(FULL.replace("headers: {X-Key: hunter2}, proxy: ", "proxy: ").replace("me:hunter2@", "")), environ={}
    )
    again = load(path=write(show(config)), environ={})
    assert show(again) == show(config)
    assert again.alerts == config.alerts
    assert again.servers[0].policies[0] == replace(config.servers[0].policies[0], interval_configured=True)


def test_secrets_are_shown_only_as_the_files_they_are_read_from(write: Write) -> None:
    text = show(load(path=write(FULL), environ={}))
    assert "hunter2" not in text
    assert "/token" in text
    assert "X-Key: '[not shown]'" in text
    assert "proxy: http://[not shown]@proxy:3128" in text


def test_secrets_are_in_no_repr_of_the_configuration(write: Write) -> None:
    assert "hunter2" not in repr(load(path=write(FULL), environ={}))


def test_it_says_which_file_was_taken(write: Write) -> None:
    path = write("models: [a]")
    assert show(load(path=path, environ={})).startswith(f"# from {path}\n")
    assert show(load(path=None, models=["a"], environ={})).startswith("# from defaults, variables and flags")


# --- schema -----------------------------------------------------------------------------------------------------------


def test_the_schema_has_every_key_with_its_default_and_what_it_is_for() -> None:
    schema = json_schema()
    keys = schema["properties"]
    assert set(keys) == set(Settings.model_fields)
    assert keys["interval"]["default"] == "15s"
    assert keys["keep_alive"]["default"] == -1
    assert all(key["description"] for key in keys.values())
    json.dumps(schema)


def test_the_schema_takes_a_name_for_a_model_and_no_unknown_key() -> None:
    schema = json_schema()
    assert {"type": "string"} in schema["properties"]["models"]["anyOf"][0]["items"]["anyOf"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("table", [Settings, ModelDefaults, ServerDefaults, ServerEntry, Log, Options, Alerts, Sink])
def test_every_key_says_what_it_is_for(table: type) -> None:
    assert all(field.description for field in table.model_fields.values())  # type: ignore[attr-defined]


# --- example ----------------------------------------------------------------------------------------------------------


def uncommented(text: str) -> Iterator[str]:
    """The example with the `#` before every key taken away: before prose it is followed by one space, or by three."""
    for line in text.splitlines():
        yield line.replace("#", "", 1) if re.match(r" *#(|  |    |      )[^ #]", line) else line


def test_the_example_is_what_the_schema_says() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example()


def test_the_example_loads_with_all_defaults() -> None:
    config = load(path=EXAMPLE, environ={})
    assert config.servers == load(path=None, models=["qwen3:8b", "nomic-embed-text"], environ={}).servers


def test_every_key_of_the_example_is_a_key_with_that_default(write: Write) -> None:
    lines = set(example().splitlines())
    for name, field in (ModelDefaults.model_fields | ServerDefaults.model_fields).items():
        if field.default is not None:
            default = str(field.default).lower() if isinstance(field.default, bool) else field.default
            assert f"#{name}: {default}" in lines
    written = {line.lstrip("# -").partition(":")[0] for line in lines}
    assert written >= {*Settings.model_fields, *Options.model_fields, *Log.model_fields, *ServerEntry.model_fields}


def test_the_example_with_all_its_keys_is_taken(write: Write) -> None:
    whole = "\n".join(uncommented(example()))
    one = re.sub(r"\nservers:(\n  .*)+", "", whole).replace("    servers: [gpu]", "#")
    config = load(path=write(one), environ={})
    assert [policy.interval_s for policy in config.servers[0].policies] == [15, 15]
    several = whole.replace("\nollama:", "\n#").replace("token_file:", "#")
    assert load(path=write(several), environ={}).servers[0].address.name == "gpu"


# --- a first file -----------------------------------------------------------------------------------------------------

MODELS = [
    Found("qwen3:8b", resident=True),
    Found("llava:13b", resident=False),
    Found("7:20", resident=True),
    Found("gpt-oss:120b-cloud", resident=False, remote=True),
]


def test_a_first_file_wants_what_is_resident(write: Write) -> None:
    text = initial(url="http://gpu-box:11434", version="0.33.0", found=MODELS)
    config = load(path=write(text), environ={})
    assert [policy.model for policy in config.servers[0].policies] == ["qwen3:8b", "7:20"]
    assert config.servers[0].address.url == "http://gpu-box:11434"
    assert "\n  # - llava:13b\n" in text
    assert "cloud" not in text


def test_a_first_file_without_a_resident_model_says_what_to_do(write: Write) -> None:
    text = initial(url="http://127.0.0.1:11434", version="0.33.0", found=[Found("llava:13b", resident=False)])
    assert load(path=write(text), models=["x"], environ={}).servers
    assert load(path=write(text.replace("# - ", "- ", 1)), environ={}).servers[0].policies


def test_a_first_file_of_an_empty_server_names_the_command_that_fills_it() -> None:
    assert "ollama pull qwen3:8b" in initial(url="http://127.0.0.1:11434", version="0.33.0", found=[])


def test_a_hostile_server_writes_no_lines_into_the_first_file(write: Write) -> None:
    text = initial(
        url="http://127.0.0.1:11434", version="1\nmodels: [evil]", found=[Found('x"\nevil: 1', resident=True)]
    )
    assert "\nmodels: [evil]" not in text
    assert "\nevil" not in text
