"""Which of several sources holds, and what comes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_keeper.config import Config, LogSettings, load
from ollama_keeper.core.policy import Contention, ContextRule, OnExpire, Policy, policy_for, ranked
from ollama_keeper.errors import ConfigError

Write = Callable[[str], Path]
NOWHERE = {"HOME": "/nowhere"}


def only(config: Config) -> Policy:
    ((policy,),) = (server.policies for server in config.servers)
    return policy


def names(config: Config, server: int = 0) -> list[str]:
    return [policy.model for policy in config.servers[server].policies]


def refused(path: Path | None, **more: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path=path, environ=NOWHERE, **more)  # type: ignore[arg-type]
    return [f"{mistake.key}: {mistake.what}" for mistake in caught.value.mistakes]


# --- without a file ---------------------------------------------------------------------------------------------------


def test_a_model_is_all_that_is_needed() -> None:
    config = load(path=None, models=["qwen3:8b"], environ=NOWHERE)
    assert only(config) == ranked([policy_for("qwen3:8b")])[0]
    assert config.servers[0].address.url == "http://127.0.0.1:11434"
    assert (config.shutdown_grace_s, config.log, config.path) == (20, LogSettings("info", "auto"), None)
    assert config.state_dir is not None


def test_without_a_model_there_is_nothing_to_do() -> None:
    assert refused(None) == ["MODEL: is missing, and there is no configuration file"]


def test_a_command_may_do_without_models() -> None:
    assert names(load(path=None, environ=NOWHERE, models_required=False)) == []


def test_a_model_named_twice_on_the_command_line_is_kept_once() -> None:
    assert names(load(path=None, models=["qwen3", "a", "qwen3:latest"], environ=NOWHERE)) == ["qwen3", "a"]


def test_a_lease_on_the_command_line_is_held_against_the_interval_like_one_of_the_file() -> None:
    short = ["--keep-alive: 20s is less than two intervals of 15s"]
    assert refused(None, models=["a", "b"], flags={"keep_alive": "20s"}) == short
    assert refused(None, models=["a"], flags={"keep_alive": "1m", "interval": "31s"}) == [
        "--keep-alive: 1m is less than two intervals of 31s"
    ]
    assert load(path=None, models=["a"], flags={"keep_alive": "30s"}, environ=NOWHERE).servers[0].policies


def test_a_model_in_the_cloud_is_refused_later_by_name() -> None:
    assert names(load(path=None, models=["gpt-oss:120b-cloud"], environ=NOWHERE)) == ["gpt-oss:120b-cloud"]


# --- which source holds -----------------------------------------------------------------------------------------------


def test_flags_lie_over_variables_over_the_file(write: Write) -> None:
    path = write("models: [a]\ninterval: 10s\nping_every: 1m\nyield_for: 1m\nlog: {level: debug, format: json}\n")
    environ = {"OLLAMA_KEEPER_INTERVAL": "20s", "OLLAMA_KEEPER_PING_EVERY": "2m", "OLLAMA_KEEPER_LOG__LEVEL": "error"}
    config = load(path=path, flags={"interval": "30s", "log.level": "warning"}, environ=environ)
    policy = only(config)
    assert (policy.interval_s, policy.ping_every_s, policy.yield_for_s) == (30, 120, 60)
    assert config.log == LogSettings("warning", "json")


def test_the_own_key_of_a_model_holds_over_the_top_level_and_its_variable(write: Write) -> None:
    path = write("keep_alive: 1h\nmodels:\n  - {name: a, keep_alive: -1}\n  - b\n")
    config = load(path=path, environ={"OLLAMA_KEEPER_KEEP_ALIVE": "2h"})
    assert [policy.lease_s for policy in config.servers[0].policies] == [None, 7_200]


def test_a_flag_holds_over_the_own_key_of_a_model(write: Write) -> None:
    path = write("models:\n  - {name: a, keep_alive: -1, context_length: 4096}\n")
    policy = only(load(path=path, flags={"keep_alive": "30m", "context_length": "8192"}, environ={}))
    assert (policy.lease_s, policy.context) == (1_800, 8_192)


def test_a_lease_by_flag_is_held_against_the_interval_of_the_file(write: Write) -> None:
    path = write("models: [a]\ninterval: 1m\n")
    assert refused(path, flags={"keep_alive": "90s"}) == ["--keep-alive: 1m30s is less than two intervals of 1m"]


def test_arguments_replace_models_and_keep_what_the_file_says_of_them(write: Write) -> None:
    path = write("priority: 7\nmodels:\n  - {name: qwen3, interval: 1m}\n  - other\n")
    config = load(path=path, models=["new", "Qwen3:latest"], environ={})
    found = {policy.model: (policy.interval_s, policy.priority) for policy in config.servers[0].policies}
    assert found == {"new": (15, 7), "qwen3": (60, 7)}


def test_the_variable_of_models_does_the_same(write: Write) -> None:
    path = write("models:\n  - {name: qwen3, interval: 1m}\n  - other\n")
    assert only(load(path=path, environ={"OLLAMA_KEEPER_MODELS": "qwen3"})).interval_s == 60


def test_arguments_hold_over_the_variable_of_models() -> None:
    assert names(load(path=None, models=["a"], environ={"OLLAMA_KEEPER_MODELS": "b c"})) == ["a"]


def test_a_mistake_of_a_model_that_is_not_asked_for_is_told_all_the_same(write: Write) -> None:
    path = write("models:\n  - {name: a, keep_alive: forever}\n")
    assert refused(path, models=["b"]) == ["models[0].keep_alive: 'forever' is not a duration"]


def test_a_variable_that_hides_a_mistake_of_the_file_is_told_with_it(write: Write) -> None:
    path = write("models: [a]\ninterval: 90\n")
    with pytest.raises(ConfigError) as caught:
        load(path=path, flags={"interval": "x"}, environ={"OLLAMA_KEEPER_INTERVAL": "y"})
    assert [mistake.source for mistake in caught.value.mistakes] == ["command line", "environment", str(path)]


def test_a_broken_file_is_told_beside_a_misspelt_variable(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path=write("- a"), environ={"OLLAMA_KEEPER_ZZZ": "1"})
    assert [mistake.key for mistake in caught.value.mistakes] == ["OLLAMA_KEEPER_ZZZ", ""]


# --- servers ----------------------------------------------------------------------------------------------------------

TWO = """
servers:
  - {name: gpu, url: http://gpu:11434, look_timeout: 20s}
  - url: http://cpu:11434
models:
  - {name: a, servers: [gpu]}
  - {name: b, servers: ["cpu:11434"]}
  - c
"""


def test_a_model_is_kept_on_the_servers_it_names_else_on_all(write: Write) -> None:
    config = load(path=write(TWO), environ={})
    assert [server.address.name for server in config.servers] == ["gpu", "cpu:11434"]
    assert (names(config, 0), names(config, 1)) == (["a", "c"], ["b", "c"])


def test_a_server_has_its_own_keys_over_those_of_the_top_level(write: Write) -> None:
    config = load(path=write(f"look_timeout: 30s\n{TWO}"), environ={})
    assert [server.address.look_timeout_s for server in config.servers] == [20, 30]


def test_a_server_named_by_flag_replaces_those_of_the_file(write: Write) -> None:
    config = load(path=write(TWO), flags={"ollama": "http://127.0.0.1:11999"}, environ={})
    assert [server.address.url for server in config.servers] == ["http://127.0.0.1:11999"]
    assert names(config) == ["a", "b", "c"]


def test_a_server_named_by_flag_that_the_file_describes_keeps_its_settings_and_models(write: Write) -> None:
    config = load(path=write(TWO), flags={"ollama": "http://GPU:11434/"}, environ={"OLLAMA_HOST": "x"})
    assert [(server.address.name, server.address.look_timeout_s) for server in config.servers] == [("gpu", 20)]
    assert names(config) == ["a", "c"]


def test_a_server_that_no_model_is_for_is_told(write: Write) -> None:
    path = write("servers:\n  - url: http://a:1\n  - url: http://b:1\nmodels:\n  - {name: m, servers: ['a:1']}\n")
    assert refused(path, flags={"ollama": "http://b:1"}) == ["models: none of them is for b:1"]


def test_one_model_may_have_other_settings_on_another_server(write: Write) -> None:
    path = write(
        "servers:\n  - {name: a, url: http://a:1}\n  - {name: b, url: http://b:1}\n"
        "models:\n  - {name: m, servers: [a], context_length: 4096}\n"
        "  - {name: m, servers: [b], context_length: 8192}\n"
    )
    config = load(path=path, models=["m"], environ={})
    assert [server.policies[0].context for server in config.servers] == [4_096, 8_192]


def test_ollama_of_the_file_holds_over_ollama_host(write: Write) -> None:
    path = write("ollama: http://gpu:11434\nmodels: [a]\n")
    assert load(path=path, environ={"OLLAMA_HOST": "other"}).servers[0].address.name == "gpu:11434"


def test_headers_and_proxy_of_the_top_level_are_for_all_servers(write: Write) -> None:
    config = load(path=write(f"headers: {{X-A: 1}}\nproxy: http://p:1\n{TWO}"), environ={})
    assert {(server.address.headers, server.address.proxy) for server in config.servers} == {
        ((("X-A", "1"),), "http://p:1")
    }


@pytest.mark.parametrize("url", ["https://gpu.example", "http://127.0.0.1:11434", "http://localhost:11434"])
def test_a_token_may_travel_over_https_or_on_this_machine(write: Write, url: str) -> None:
    config = load(path=write(f"ollama: {url}\ntoken_file: token\nmodels: [a]\n"), environ={})
    assert config.servers[0].address.token_file is not None


def test_a_token_of_the_file_does_not_follow_a_flag_to_an_open_server(write: Write) -> None:
    path = write("ollama: https://gpu.example\ntoken_file: token\nmodels: [a]\n")
    assert refused(path, flags={"ollama": "http://gpu:11434"}) == [
        "token_file: the token would be readable on the way to http://gpu:11434"
    ]


def test_relative_paths_of_the_file_begin_at_its_folder(write: Write) -> None:
    path = write("token_file: secrets/token\nca_file: ~/ca.pem\nstate_dir: state\nmodels: [a]\n")
    config = load(path=path, environ={"HOME": "/home/me"})
    address = config.servers[0].address
    assert (address.token_file, address.ca_file) == (path.parent / "secrets/token", Path("/home/me/ca.pem"))
    assert config.state_dir == path.parent / "state"


def test_relative_paths_of_variables_begin_at_the_working_directory(write: Write) -> None:
    assert load(path=write("models: [a]"), environ={"OLLAMA_KEEPER_STATE_DIR": "state"}).state_dir == Path("state")


# --- models -----------------------------------------------------------------------------------------------------------


def test_every_key_of_a_model_reaches_its_policy(write: Write) -> None:
    path = write("""
models:
  - name: Qwen3:8b
    keep_alive: 30m
    on_expire: release
    interval: 20s
    ping_every: off
    priority: 7
    required: no
    context_length: server
    options: {num_gpu: 20, main_gpu: 1, use_mmap: true, num_batch: 512, num_thread: 4, draft_num_predict: 2}
    load_timeout: 1h
    slow_load: 5s
    contention: insist
    yield_for: 2m
    unload_grace: 3m
    min_gpu_fraction: 0.5
""")
    policy = only(load(path=path, environ={}))
    plain = policy_for("Qwen3:8b")
    assert policy == Policy(
        model="Qwen3:8b",
        name=plain.name,
        lease_s=1_800,
        keep_alive=1_800,
        rank=0,
        priority=7,
        on_expire=OnExpire.RELEASE,
        interval_s=20,
        interval_configured=True,
        ping_every_s=None,
        required=False,
        context=ContextRule.SERVER,
        options=(
            ("draft_num_predict", 2),
            ("main_gpu", 1),
            ("num_batch", 512),
            ("num_gpu", 20),
            ("num_thread", 4),
            ("use_mmap", True),
        ),
        load_timeout_s=3_600,
        slow_load_s=5,
        contention=Contention.INSIST,
        yield_for_s=120,
        unload_grace_s=180,
        min_gpu_fraction=0.5,
    )


def test_the_order_is_that_of_the_priorities_then_of_the_file(write: Write) -> None:
    path = write("models:\n  - a\n  - {name: b, priority: 200}\n  - c\n")
    policies = load(path=path, environ={}).servers[0].policies
    assert [(policy.model, policy.rank, policy.keep_alive) for policy in policies] == [
        ("b", 0, -1),
        ("a", 1, "875000h"),
        ("c", 2, "875000h"),
    ]


def test_options_of_a_model_replace_those_of_the_top_level(write: Write) -> None:
    path = write("options: {num_gpu: 1}\nmodels:\n  - {name: a, options: {num_batch: 64}}\n")
    assert only(load(path=path, environ={})).options == (("num_batch", 64),)


@pytest.mark.parametrize(
    ("text", "kept"), [("off", None), ("'off'", None), ("false", None), ("/srv/x", Path("/srv/x"))]
)
def test_state_dir_may_be_off(write: Write, text: str, kept: Path | None) -> None:
    assert load(path=write(f"models: [a]\nstate_dir: {text}\n"), environ={}).state_dir == kept


# --- which file -------------------------------------------------------------------------------------------------------


def test_the_file_is_looked_for_where_xdg_says(tmp_path: Path) -> None:
    (tmp_path / "ollama-keeper").mkdir()
    path = tmp_path / "ollama-keeper" / "config.yaml"
    path.write_text("models: [a]", encoding="utf-8")
    config = load(path=None, environ={"XDG_CONFIG_HOME": str(tmp_path)})
    assert (config.path, names(config)) == (path, ["a"])


def test_the_file_of_the_variable_holds_over_the_usual_places(write: Write, tmp_path: Path) -> None:
    path = write("models: [a]")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "nowhere"), "OLLAMA_KEEPER_CONFIG": str(path)}
    assert load(path=None, environ=environ).path == path


def test_a_file_that_the_variable_names_must_exist() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(path=None, models=["a"], environ={"OLLAMA_KEEPER_CONFIG": "/nowhere/config.yaml"})


def test_the_file_of_the_command_line_holds_over_the_variable(write: Write) -> None:
    path = write("models: [a]")
    assert load(path=path, environ={"OLLAMA_KEEPER_CONFIG": "/nowhere"}).path == path


def test_a_thousand_models_have_a_thousand_ranks(write: Write) -> None:
    text = "models:\n" + "".join(f"  - {{name: m{number}, keep_alive: 30m}}\n" for number in range(1_000))
    policies = load(path=write(text), environ={}).servers[0].policies
    assert [policy.rank for policy in policies] == list(range(1_000))
