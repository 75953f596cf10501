"""Documents into facts, where no recorded answer shows it: older versions, rarer models, bad entries; and bodies."""

from datetime import UTC, datetime
from typing import Any

import pytest

from ollama_keeper.core.facts import Kind, LoadRequest, ProbeRequest, Send
from ollama_keeper.core.names import parse_name
from ollama_keeper.ollama.wire import (
    EARLIEST,
    LATEST,
    BadShape,
    load_body,
    loaded,
    parse_instant,
    parse_probe,
    parse_ps,
    parse_show,
    parse_tags,
    parse_version,
    probe_body,
)

BLOB = "sha256-" + "0a" * 32
ENTRY: dict[str, Any] = {
    "name": "qwen3:8b",
    "model": "qwen3:8b",
    "digest": "ab" * 32,
    "size": 6_000_000_000,
    "size_vram": 6_000_000_000,
    "context_length": 4_096,
    "expires_at": "2026-11-24T12:05:00Z",
    "details": {"families": None},
    "what is new": [1, 2],
}


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in ENTRY.items() if name != field}


# --- entries of a look ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(None, id="null"),
        pytest.param("qwen3:8b", id="a-text"),
        pytest.param([], id="a-list"),
        pytest.param({}, id="empty"),
        pytest.param({**ENTRY, "name": "", "model": ""}, id="no-name"),
        pytest.param({**ENTRY, "name": 3}, id="a-number-as-name"),
        pytest.param({**ENTRY, "name": "a b"}, id="a-name-that-is-none"),
        pytest.param(without("expires_at"), id="no-date"),
        pytest.param({**ENTRY, "expires_at": None}, id="date-null"),
        pytest.param({**ENTRY, "expires_at": "soon"}, id="no-such-date"),
        pytest.param({**ENTRY, "expires_at": "2026-11-24T12:05:00"}, id="date-without-zone"),
        pytest.param({**ENTRY, "size": "6 GB"}, id="size-as-text"),
        pytest.param({**ENTRY, "size": True}, id="size-true"),
        pytest.param({**ENTRY, "size": -1}, id="size-negative"),
        pytest.param({**ENTRY, "size_vram": 1.5}, id="size-with-a-fraction"),
        pytest.param({**ENTRY, "size_vram": 2**63}, id="size-beyond-the-server's-numbers"),
        pytest.param({**ENTRY, "digest": 3}, id="digest-as-number"),
        pytest.param({**ENTRY, "digest": "\x1b[31m"}, id="digest-with-control-characters"),
    ],
)
def test_a_bad_entry_is_left_out_and_counted_and_the_others_stay(entry: Any) -> None:
    """FAULTS B7."""
    models, skipped = parse_ps({"models": [ENTRY, entry, {**ENTRY, "name": "llama3.2:3b"}]})
    assert [model.text for model in models] == ["qwen3:8b", "llama3.2:3b"]
    assert skipped == 1


@pytest.mark.parametrize("value", [None, 0, -1, 4.5, "4096", True, 2**31], ids=repr)
def test_a_context_that_makes_no_sense_is_unknown(value: Any) -> None:
    """A 0 would become a context of four tokens (OLLAMA.md 3)."""
    (model,), skipped = parse_ps({"models": [{**ENTRY, "context_length": value}]})
    assert (model.context_length, skipped) == (None, 0)


def test_before_0_10_0_no_context_is_told() -> None:
    (model,), _ = parse_ps({"models": [without("context_length")]})
    assert model.context_length is None


@pytest.mark.parametrize("field", ["name", "digest", "size", "size_vram"])
def test_an_entry_without_a_field_that_can_be_done_without_is_kept(field: str) -> None:
    (model,), skipped = parse_ps({"models": [without(field)]})
    assert (model.name, skipped) == (parse_name("qwen3:8b"), 0)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T12:05:00Z", datetime(2026, 11, 24, 12, 5, tzinfo=UTC)),
        ("2026-11-24T12:05:00.123456789Z", datetime(2026, 11, 24, 12, 5, 0, 123_456, tzinfo=UTC)),
        ("2026-11-24T12:05:00.1-07:00", datetime(2026, 11, 24, 19, 5, 0, 100_000, tzinfo=UTC)),
        ("2318-06-01T00:00:00+14:00", datetime(2318, 5, 31, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", EARLIEST),
        ("0001-01-01T00:00:00+14:00", EARLIEST),
        ("9999-12-31T23:59:59-14:00", LATEST),
    ],
)
def test_a_date_is_read_in_any_zone_and_clamped(text: str, moment: datetime) -> None:
    """FAULTS B11."""
    assert parse_instant(text) == moment


# --- tags, versions ---------------------------------------------------------------------------------------------------


def test_bad_entries_of_tags_are_left_out() -> None:
    models = [{"name": "qwen3:8b"}, None, {"name": "a b"}, {"model": "llava"}, {"name": "x", "digest": 3}]
    assert [pulled.name.model for pulled in parse_tags({"models": models})] == ["qwen3", "llava"]


@pytest.mark.parametrize("field", ["remote_host", "remote_model"])
def test_a_stub_of_a_cloud_model_is_remote(field: str) -> None:
    (pulled,) = parse_tags({"models": [{"name": "gpt-oss:120b", field: "https://ollama.com"}]})
    assert pulled.remote


@pytest.mark.parametrize("version", ["0.32.15", "0.33.0-rc2", "0.0.0", "v1.2.3", "0.5.1-0-g1f2a3b4+dirty"])
def test_a_version_is_read(version: str) -> None:
    assert parse_version({"version": version}) == version


@pytest.mark.parametrize(
    "version", [None, 3, "", "main", "0", "0.1 <html>", "0.1\n", "1" * 5_000 + ".0", "0.1" + "x" * 90]
)
def test_what_is_no_version_is_no_ollama(version: Any) -> None:
    with pytest.raises(BadShape):
        parse_version({"version": version})


# --- show -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        ({"capabilities": ["completion", "vision"]}, Kind.COMPLETION),
        ({"capabilities": ["embedding"]}, Kind.EMBEDDER),
        ({"capabilities": ["completion", "embedding"]}, Kind.COMPLETION),
        ({"capabilities": ["image"]}, Kind.IMAGE),
        ({"capabilities": ["what is new"]}, Kind.COMPLETION),
        ({"capabilities": ["completion"], "remote_host": "https://ollama.com"}, Kind.CLOUD),
        ({"remote_model": "gpt-oss:120b"}, Kind.CLOUD),
        ({"model_info": {"general.architecture": "bert", "bert.pooling_type": 1}}, Kind.EMBEDDER),
        ({"model_info": {"general.architecture": "llama"}}, Kind.COMPLETION),
        ({"capabilities": [], "model_info": None}, Kind.COMPLETION),
        ({}, Kind.COMPLETION),
    ],
    ids=str,
)
def test_the_kind_of_a_model(document: dict[str, Any], kind: Kind) -> None:
    """Before 0.6.4 there are no capabilities; an embedder shows by its pooling (OLLAMA.md 6)."""
    assert parse_show({"details": {}, **document}).kind is kind


@pytest.mark.parametrize(
    ("modelfile", "weights"),
    [
        pytest.param(f"# FROM x\n\nFROM /root/.ollama/models/blobs/{BLOB}\nTEMPLATE x", BLOB, id="linux"),
        pytest.param(f"FROM C:\\Users\\A B\\.ollama\\models\\blobs\\{BLOB}\r\nTEMPLATE x", BLOB, id="windows"),
        pytest.param(f'FROM "/with a space/{BLOB}"\n', BLOB, id="quoted"),
        pytest.param(f"# FROM /x/{BLOB}\nFROM llama3.2\n", None, id="commented-out"),
        pytest.param(f"FROM /x/{BLOB}\nFROM /x/sha256-{'0b' * 32}\n", BLOB, id="the-first-of-two"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="null"),
    ],
)
def test_the_weights_are_the_first_blob_that_is_not_commented_out(modelfile: Any, weights: str | None) -> None:
    assert parse_show({"details": {}, "modelfile": modelfile}).weights == weights


@pytest.mark.parametrize(
    ("parameters", "context"),
    [
        ('stop    "<|im_end|>"\nnum_ctx                        1024', 1_024),
        ("num_ctx 0", None),
        ("num_ctx 99999999999", None),
        ('stop "num_ctx 12"', None),
        (None, None),
    ],
)
def test_the_context_of_its_own_is_a_parameter(parameters: Any, context: int | None) -> None:
    assert parse_show({"details": {}, "parameters": parameters}).own_context == context


def test_a_model_of_safetensors_runs_on_mlx() -> None:
    assert parse_show({"details": {"format": "safetensors"}}).mlx


def test_numbers_per_layer_come_as_null_and_are_unknown() -> None:
    info = {"general.architecture": "gemma4", "gemma4.block_count": 30, "gemma4.attention.head_count_kv": None}
    shown = parse_show({"details": {}, "model_info": info})
    assert (shown.layers, shown.kv_heads) == (30, None)


# --- requests ---------------------------------------------------------------------------------------------------------

OPTIONS = (("num_batch", 512), ("num_ctx", 8_192))


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        pytest.param(
            LoadRequest(Send.WARM, "m", Kind.COMPLETION, -1, OPTIONS),
            "/api/generate",
            {"model": "m", "stream": False, "keep_alive": -1, "options": {"num_batch": 512, "num_ctx": 8_192}},
            id="warm",
        ),
        pytest.param(
            LoadRequest(Send.WARM, "m", Kind.EMBEDDER, 3_600),
            "/api/embed",
            {"model": "m", "input": [], "keep_alive": 3_600},
            id="warm-an-embedder",
        ),
        pytest.param(
            LoadRequest(Send.PING, "m", Kind.COMPLETION), "/api/generate", {"model": "m", "stream": False}, id="ping"
        ),
        pytest.param(
            LoadRequest(Send.PING, "m", Kind.EMBEDDER), "/api/embed", {"model": "m", "input": []}, id="ping-it"
        ),
        pytest.param(
            LoadRequest(Send.UNLOAD, "m", Kind.EMBEDDER, 0),
            "/api/generate",
            {"model": "m", "stream": False, "keep_alive": 0},
            id="unload-an-embedder",
        ),
    ],
)
def test_a_load_has_no_prompt_and_nothing_that_is_not_asked_for(
    request_: LoadRequest, path: str, body: dict[str, object]
) -> None:
    assert load_body(request_) == (path, body)


def test_a_probe_generates_one_raw_token() -> None:
    body = {"model": "m", "prompt": "1", "raw": True, "stream": False, "options": {"num_ctx": 8_192, "num_predict": 1}}
    assert probe_body(ProbeRequest("m", Kind.COMPLETION, (("num_ctx", 8_192),))) == ("/api/generate", body)
    assert probe_body(ProbeRequest("m", Kind.EMBEDDER)) == ("/api/embed", {"model": "m", "input": "1"})


@pytest.mark.parametrize(
    ("document", "took_s"),
    [
        ({"done": True, "total_duration": 19_000_000}, 0.019),
        ({"embeddings": [[0.1]], "total_duration": 4_400_000}, 0.0044),
        ({"done": True}, None),
        ({"done": True, "total_duration": True}, None),
        ({"done": True, "total_duration": 10**400}, None),
    ],
)
def test_a_probe_tells_what_it_took_where_the_server_does(document: dict[str, Any], took_s: float | None) -> None:
    assert parse_probe(document) == took_s


@pytest.mark.parametrize(
    "document", [{}, {"done": False}, {"embeddings": []}, {"done": True, "error": "boom"}], ids=str
)
def test_a_probe_without_a_token_failed(document: dict[str, Any]) -> None:
    with pytest.raises(BadShape):
        parse_probe(document)


def test_an_error_wrapped_as_by_v1_is_an_error() -> None:
    warm = LoadRequest(Send.WARM, "m", Kind.COMPLETION, -1)
    assert loaded(warm, b'{"error":{"message":"boom","type":"api_error"}}') == "boom"
