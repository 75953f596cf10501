"""Every recorded answer of a real Ollama: the fact, or the failure, that the client makes of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from ollama_keeper.core.facts import Kind, Listed, LoadRequest, Pulled, Send, Shown
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.reasons import Failure
from ollama_keeper.errors import OllamaError
from ollama_keeper.ollama.client import OllamaClient
from tests.kit.recorded import all_names, recorded
from tests.unit.ollama.asking import Raw

NEVER_ASKED = {"/", "/api/chat", "/api/embeddings", "/api/nosuch", "/v1/chat/completions"}
LOADED = "loaded"


class Replay(httpx.AsyncBaseTransport):
    """A network on which every request is answered with one recorded answer."""

    def __init__(self, name: str) -> None:
        self._case = recorded(name)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == self._case.path
        return httpx.Response(self._case.status, headers=self._case.headers, stream=Raw(self._case.body.encode()))


async def told(make_client: Callable[..., OllamaClient], name: str, *, send: Send = Send.WARM) -> Any:
    """What the client makes of a recorded answer: the fact, or the reason of the failure."""
    client, case = make_client(transport=Replay(name)), recorded(name)
    kind = Kind.EMBEDDER if case.path == "/api/embed" else Kind.COMPLETION
    try:
        match case.path:
            case "/api/ps":
                return await client.look()
            case "/api/version":
                return await client.version()
            case "/api/tags":
                return await client.tags()
            case "/api/show":
                return await client.show("ma")
        await client.load(LoadRequest(send, "ma", kind))
    except OllamaError as error:
        return error.reason
    return LOADED


def date_of(name: str) -> datetime:
    """When the server answered, by its own clock, cut to seconds."""
    return parsedate_to_datetime(httpx.Headers(recorded(name).headers)["date"])


def asked_of(*paths: str) -> set[str]:
    return {name for name in all_names() if recorded(name).path in paths}


# --- loads ------------------------------------------------------------------------------------------------------------

LOADS: dict[str, str | Failure] = {
    "embed-empty-completion-model": LOADED,
    "embed-empty-input": LOADED,
    "embed-empty-input-warm": LOADED,
    "embed-empty-keepalive-0-cold": LOADED,
    "embed-empty-model": Failure.NOT_FOUND,
    "embed-empty-string": LOADED,
    "embed-list-empty-string": Failure.BAD_SHAPE,
    "embed-missing-input": LOADED,
    "embed-null-input": LOADED,
    "embed-queue-full-503": Failure.SERVER_BUSY,
    "embed-string-minus-one": Failure.BAD_REQUEST,
    "embed-text": Failure.BAD_SHAPE,
    "embed-unknown-404": Failure.NOT_FOUND,
    "generate-0.5s": LOADED,
    "generate-bad-json-400": Failure.BAD_REQUEST,
    "generate-bad-name-400": Failure.BAD_REQUEST,
    "generate-cloud-403": Failure.HTTP_4XX,
    "generate-embedder-400": Failure.BAD_REQUEST,
    "generate-empty-body-400": Failure.BAD_REQUEST,
    "generate-empty-model": Failure.NOT_FOUND,
    "generate-keepalive-1e11": LOADED,
    "generate-keepalive-1e300": LOADED,
    "generate-keepalive-24h-lease": LOADED,
    "generate-keepalive-bool-400": Failure.BAD_REQUEST,
    "generate-load-crash-500": Failure.LOAD_FAILED,
    "generate-load-only": LOADED,
    "generate-load-only-cold": LOADED,
    "generate-load-only-stream-true": LOADED,
    "generate-load-only-streamed": LOADED,
    "generate-load-timeout-500": Failure.LOAD_STALLED,
    "generate-null-keepalive": LOADED,
    "generate-one-token": Failure.BAD_SHAPE,
    "generate-oom-500": Failure.OUT_OF_MEMORY,
    "generate-oom-500-streaming": Failure.OUT_OF_MEMORY,
    "generate-option-type-500": Failure.BAD_REQUEST,
    "generate-queue-full-503": Failure.SERVER_BUSY,
    "generate-runner-died-500": Failure.RUNNER_DIED,
    "generate-runner-died-stream": Failure.RUNNER_DIED,
    "generate-stream": Failure.BAD_SHAPE,
    "generate-string-1d-400": Failure.BAD_REQUEST,
    "generate-string-24h": LOADED,
    "generate-string-300-400": Failure.BAD_REQUEST,
    "generate-string-empty-400": Failure.BAD_REQUEST,
    "generate-string-forever-400": Failure.BAD_REQUEST,
    "generate-string-minus-1m": LOADED,
    "generate-string-minus-1s": LOADED,
    "generate-string-minus-one": Failure.BAD_REQUEST,
    "generate-think-400": Failure.BAD_REQUEST,
    "generate-unknown-404": Failure.NOT_FOUND,
    "generate-unload": Failure.BAD_SHAPE,
    "generate-unload-busy": Failure.BAD_SHAPE,
    "generate-unload-embedder": Failure.BAD_SHAPE,
    "generate-unload-not-loaded": Failure.BAD_SHAPE,
    "generate-unload-string-0": Failure.BAD_SHAPE,
    "generate-unload-unknown-404": Failure.NOT_FOUND,
    "v0.24-generate-load-only": LOADED,
}
"""As answers to a load: what generated, computed or unloaded did not do what was asked."""


@pytest.mark.parametrize(("name", "expected"), LOADS.items(), ids=LOADS)
async def test_a_recorded_answer_to_a_load(
    name: str, expected: str | Failure, make_client: Callable[..., OllamaClient]
) -> None:
    assert await told(make_client, name) == expected


@pytest.mark.parametrize("name", [name for name in LOADS if name.startswith("generate-unload")])
async def test_a_recorded_answer_to_an_unload(name: str, make_client: Callable[..., OllamaClient]) -> None:
    expected = Failure.NOT_FOUND if name.endswith("404") else LOADED
    assert await told(make_client, name, send=Send.UNLOAD) == expected


async def test_an_unload_that_was_answered_as_a_load_did_not_happen(make_client: Callable[..., OllamaClient]) -> None:
    assert await told(make_client, "generate-load-only", send=Send.UNLOAD) is Failure.BAD_SHAPE


# --- looks ------------------------------------------------------------------------------------------------------------

FOREVER = timedelta(seconds=9_223_372_036.854775)  # the server's largest duration, cut to microseconds
MA = Listed(
    name=parse_name("ma"),
    text="ma:latest",
    digest="a95684f8606ce544b456d5bc26d053a1b0a5f0f6fb68ac8029f653b201d14e02",
    size=209_505_483,
    size_vram=0,
    context_length=4_096,
    expires_at=datetime(2319, 3, 5, 3, 42, 48, 31_555, tzinfo=UTC),
)
LISTED = {
    "ps-after-oom-sweep": [],
    "ps-after-unload": [],
    "ps-dead-runner": ["mb:latest", "ma:latest"],
    "ps-during-generation": ["ma:latest"],
    "ps-during-load": [],
    "ps-embedder": ["emb:latest"],
    "ps-empty": [],
    "ps-lease": ["ma:latest"],
    "ps-lease-past-while-generating": ["ma:latest"],
    "ps-num-ctx-parameter": ["ma-ctx1024:latest", "mc:latest", "mb:latest"],
    "ps-pinned": ["ma:latest"],
    "ps-same-name-twice": ["tmp:latest", "tmp:latest"],
    "ps-scheduler-hung": ["ma:latest"],
    "ps-stopping-busy": ["ma:latest"],
    "ps-three-models": ["ma:latest", "emb:latest", "mb:latest"],
    "v0.24-ps-during-load": [],
    "v0.24-ps-pinned": ["ma:latest"],
}
REFUSED_LOOKS = {"ps-bad-host-403": Failure.HOST_REJECTED, "wrong-method-405": Failure.HTTP_4XX}


@pytest.mark.parametrize(("name", "names"), LISTED.items(), ids=LISTED)
async def test_a_recorded_look_lists_what_was_resident(
    name: str, names: list[str], make_client: Callable[..., OllamaClient]
) -> None:
    looked = await told(make_client, name)
    assert [entry.text for entry in looked.models] == names
    assert [entry.name for entry in looked.models] == [parse_name(name) for name in names]
    assert (looked.skipped, looked.reconnected) == (0, False)
    assert all(entry.size > 0 and entry.gpu_fraction == 0.0 and len(entry.digest) == 64 for entry in looked.models)


@pytest.mark.parametrize(("name", "reason"), REFUSED_LOOKS.items(), ids=REFUSED_LOOKS)
async def test_a_recorded_refusal_of_a_look(
    name: str, reason: Failure, make_client: Callable[..., OllamaClient]
) -> None:
    assert await told(make_client, name) is reason


async def test_a_pinned_model_is_read_to_the_last_field(make_client: Callable[..., OllamaClient]) -> None:
    assert (await told(make_client, "ps-pinned")).models == (MA,)


@pytest.mark.parametrize(
    ("name", "context"),
    [("ps-embedder", 512), ("ps-num-ctx-parameter", 1_024), ("ps-pinned", 4_096), ("v0.24-ps-pinned", 4_096)],
)
async def test_the_context_is_the_one_that_was_listed(
    name: str, context: int, make_client: Callable[..., OllamaClient]
) -> None:
    assert (await told(make_client, name)).models[0].context_length == context


@pytest.mark.parametrize("name", ["ps-pinned", "ps-dead-runner", "ps-scheduler-hung", "ps-embedder"])
async def test_a_pin_ends_a_largest_duration_after_the_last_request(
    name: str, make_client: Callable[..., OllamaClient]
) -> None:
    answered = date_of(name)
    last_request = (await told(make_client, name)).models[-1].expires_at - FOREVER
    assert timedelta(seconds=-1) < answered - last_request < timedelta(minutes=1)


@pytest.mark.parametrize("name", ["ps-lease-past-while-generating", "ps-stopping-busy"])
async def test_a_date_in_the_past_is_a_date(name: str, make_client: Callable[..., OllamaClient]) -> None:
    answered = date_of(name)
    assert (await told(make_client, name)).models[0].expires_at < answered + timedelta(seconds=1)


async def test_the_clock_of_the_server_is_compared_by_its_date(make_client: Callable[..., OllamaClient]) -> None:
    """Virtual time begins at noon on the day after the recording."""
    date = date_of("ps-empty")
    ahead_s = (date - datetime(2026, 11, 24, 12, tzinfo=UTC)).total_seconds()
    assert (await told(make_client, "ps-empty")).skew_s == pytest.approx(ahead_s, abs=1)


# --- what is pulled, kinds, versions ----------------------------------------------------------------------------------

GGUF = "sha256-fa65c3cc3ec97c8aafb99eac201554705b5ed12308cbc2f10b7a282421f29e43"
COMPLETION = Shown(
    Kind.COMPLETION, GGUF, trained_context=8_192, layers=30, heads=9, kv_heads=3, width=576, feed_forward=1536
)
SHOWN = {
    "show-completion": COMPLETION,
    "show-alias": COMPLETION,
    "show-embedder": Shown(
        Kind.EMBEDDER,
        "sha256-5ce5e145a74a82bc58d11c9881b380e0e8ffbdd8def024d7d86b13442cb9bf8e",
        trained_context=512,
        layers=2,
        heads=2,
        width=32,
        feed_forward=64,
    ),
    "show-num-ctx-parameter": replace(
        COMPLETION,
        weights="sha256-87de5a2d073634cfa80511ae49042ce50544dcb242066c98bb1e16faf15b4319",
        own_context=1_024,
    ),
    "show-unknown-404": Failure.NOT_FOUND,
}


@pytest.mark.parametrize(("name", "shown"), SHOWN.items(), ids=SHOWN)
async def test_a_recorded_show(name: str, shown: Shown | Failure, make_client: Callable[..., OllamaClient]) -> None:
    assert await told(make_client, name) == shown


@pytest.mark.parametrize(
    ("name", "pulled"),
    [
        ("tags", ["emb", "me", "me1024", "md", "mc", "mb", "ma-ctx1024", "ma-alias", "ma"]),
        ("v0.24-tags", ["emb", "mc", "mb", "ma"]),
    ],
)
async def test_recorded_tags(name: str, pulled: list[str], make_client: Callable[..., OllamaClient]) -> None:
    models: tuple[Pulled, ...] = (await told(make_client, name)).models
    assert sorted(model.name.model for model in models) == sorted(pulled)
    assert not any(model.remote for model in models)
    assert all(len(model.digest) == 64 for model in models)


@pytest.mark.parametrize(("name", "version"), [("version", "0.33.0-rc2"), ("v0.24-version", "0.24.0")])
async def test_a_recorded_version(name: str, version: str, make_client: Callable[..., OllamaClient]) -> None:
    assert await told(make_client, name) == version


def test_every_recorded_answer_that_the_keeper_can_get_has_a_test() -> None:
    assert asked_of("/api/generate", "/api/embed") == set(LOADS)
    assert asked_of("/api/ps") == {*LISTED, *REFUSED_LOOKS}
    assert asked_of("/api/show") == set(SHOWN)
    assert asked_of("/api/tags", "/api/version") == {"tags", "v0.24-tags", "version", "v0.24-version"}
    assert {recorded(name).path for name in all_names()} - NEVER_ASKED == {
        "/api/embed",
        "/api/generate",
        "/api/ps",
        "/api/show",
        "/api/tags",
        "/api/version",
    }
