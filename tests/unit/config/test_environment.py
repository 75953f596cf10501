"""`OLLAMA_KEEPER_*` and `OLLAMA_HOST`."""

import pytest

from ollama_keeper.config import Config, load
from ollama_keeper.errors import ConfigError


def config(**environ: str) -> Config:
    return load(path=None, environ={"OLLAMA_KEEPER_MODELS": "qwen3:8b", "HOME": "/nowhere", **environ})


def refused(**environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config(**environ)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("text", ["a,b,c", "a b c", " a, b ,c ", "a,,b c,", "a\nb\nc"])
def test_models_are_a_list_by_comma_or_space(text: str) -> None:
    assert [policy.model for policy in config(OLLAMA_KEEPER_MODELS=text).servers[0].policies] == ["a", "b", "c"]


def test_a_variable_sets_a_key_of_the_top_level() -> None:
    (policy,) = config(OLLAMA_KEEPER_INTERVAL="30s", OLLAMA_KEEPER_KEEP_ALIVE="-1").servers[0].policies
    assert (policy.interval_s, policy.interval_configured, policy.lease_s) == (30, True, None)


def test_two_underscores_lead_into_a_table() -> None:
    taken = config(
        OLLAMA_KEEPER_LOG__LEVEL="debug", OLLAMA_KEEPER_OPTIONS__NUM_GPU="20", OLLAMA_KEEPER_OPTIONS__USE_MMAP="no"
    )
    assert taken.log.level == "debug"
    assert taken.servers[0].policies[0].options == (("num_gpu", 20), ("use_mmap", False))


def test_a_header_is_named_behind_two_underscores() -> None:
    assert config(OLLAMA_KEEPER_HEADERS__X_TEAM="search").servers[0].address.headers == (("X-TEAM", "search"),)


def test_an_empty_variable_is_not_set() -> None:
    assert (
        config(OLLAMA_KEEPER_INTERVAL="", OLLAMA_KEEPER_OLLAMA=" ", OLLAMA_KEEPER_CONFIG="", OLLAMA_HOST="") == config()
    )


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("OLLAMA_KEEPER_INTRVAL", "means nothing here; did you mean OLLAMA_KEEPER_INTERVAL?"),
        ("OLLAMA_KEEPER_LOG_LEVEL", "means nothing here; did you mean OLLAMA_KEEPER_LOG__LEVEL?"),
        ("OLLAMA_KEEPER_LOG__LEVL", "means nothing here; did you mean OLLAMA_KEEPER_LOG__LEVEL?"),
        ("OLLAMA_KEEPER_MODEL", "means nothing here; did you mean OLLAMA_KEEPER_MODELS?"),
        ("OLLAMA_KEEPER_ZZZ", "means nothing here; take it out"),
        ("OLLAMA_KEEPER_LOG", "is a table, which is set key by key; write OLLAMA_KEEPER_LOG__KEY"),
        ("OLLAMA_KEEPER_HEADERS", "is a table, which is set key by key; write OLLAMA_KEEPER_HEADERS__KEY"),
        (
            "OLLAMA_KEEPER_SERVERS",
            "is a list of tables, which no variable can hold; write OLLAMA_KEEPER_OLLAMA for one server, or a file",
        ),
        ("OLLAMA_KEEPER_ALERTS__SINKS", "is a list of tables, which no variable can hold; write it in a file"),
        ("OLLAMA_KEEPER_METRICS", "is a table, which is set key by key; write OLLAMA_KEEPER_METRICS__KEY"),
    ],
)
def test_a_variable_that_means_nothing_is_a_mistake(variable: str, message: str) -> None:
    assert refused(**{variable: "hunter2"}) == [f"environment: {variable}: {message}"]


def test_a_bad_value_is_told_by_the_name_of_its_variable() -> None:
    assert refused(OLLAMA_KEEPER_INTERVAL="90", OLLAMA_KEEPER_LOG__LEVEL="loud", OLLAMA_KEEPER_MODELS="qwen_3:") == [
        "environment: OLLAMA_KEEPER_INTERVAL: '90' has no unit; write 90s",
        "environment: OLLAMA_KEEPER_LOG__LEVEL: 'loud' is not one of the choices; write debug, info, warning or error",
        "environment: OLLAMA_KEEPER_MODELS: 'qwen_3:' is not a model name; write it as ollama list does: qwen3:8b",
    ]


def test_variables_of_the_tests_and_of_kubernetes_are_no_keys() -> None:
    service = {
        "OLLAMA_KEEPER_SERVICE_HOST": "10.0.0.1",
        "OLLAMA_KEEPER_SERVICE_PORT": "11480",
        "OLLAMA_KEEPER_SERVICE_PORT_HTTP": "11480",
        "OLLAMA_KEEPER_PORT": "tcp://10.0.0.1:11480",
        "OLLAMA_KEEPER_PORT_11480_TCP": "tcp://10.0.0.1:11480",
        "OLLAMA_KEEPER_PORT_11480_TCP_ADDR": "10.0.0.1",
        "OLLAMA_KEEPER_WEB_SERVICE_HOST": "10.0.0.2",
    }
    assert config(OLLAMA_KEEPER_LIVE_URL="http://x", OLLAMA_KEEPER_LIVE_MODELS="a b", **service) == config()


def test_ollama_host_names_the_server_where_nothing_else_does() -> None:
    assert config(OLLAMA_HOST="gpu-box").servers[0].address.url == "http://gpu-box:11434"
    both = config(OLLAMA_HOST="gpu-box", OLLAMA_KEEPER_OLLAMA="http://other:1")
    assert both.servers[0].address.url == "http://other:1"


def test_a_bad_ollama_host_is_told_without_its_password() -> None:
    (message,) = refused(OLLAMA_HOST="http://me:hunter2@gpu")
    assert message == "environment: OLLAMA_HOST: is not the address of a server; write HOST:PORT or http://HOST:PORT"


def test_a_bad_ollama_host_does_not_matter_where_another_server_is_named() -> None:
    assert config(OLLAMA_HOST="ftp://x", OLLAMA_KEEPER_OLLAMA="http://a:1").servers[0].address.name == "a:1"
