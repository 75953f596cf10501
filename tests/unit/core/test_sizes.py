"""What a model will take: held against what real servers answered for the same model in `/api/show` and `/api/ps`."""

from dataclasses import replace

import pytest

from ollama_keeper.core.facts import Kind, Shown
from ollama_keeper.core.memory import ModelMemory
from ollama_keeper.core.policy import Policy
from ollama_keeper.core.sizes import From, estimated, size_of
from ollama_keeper.ollama.wire import parse_document, parse_ps, parse_show, parse_tags
from tests.kit.recorded import recorded
from tests.kit.story import GIB, Story, listed, wanted

LLAMA_8B = Shown(
    Kind.COMPLETION,
    "blob",
    131_072,
    layers=32,
    heads=32,
    kv_heads=8,
    width=4_096,
    feed_forward=14_336,
)


def known(policy: Policy, shown: Shown | None, *, disk_size: int = 4 * GIB) -> ModelMemory:
    return replace(Story((policy,)).begins().model(policy.model), shown=shown, disk_size=disk_size)


@pytest.mark.parametrize(
    ("show", "ps", "tags", "name", "error"),
    [
        pytest.param("show-completion", "ps-pinned", "tags", "ma", 0.001, id="a llama model with 4096 tokens"),
        pytest.param(
            "show-num-ctx-parameter", "ps-num-ctx-parameter", "tags", "ma-ctx1024", 0.001, id="its Modelfile's 1024"
        ),
        pytest.param("show-embedder", "ps-embedder", "tags", "emb", 0.16, id="a tiny embedder, which is all buffers"),
        pytest.param("show-completion", "v0.24-ps-pinned", "v0.24-tags", "ma", 0.10, id="the engine before 0.30"),
    ],
)
def test_an_estimate_is_near_what_a_real_server_listed(show: str, ps: str, tags: str, name: str, error: float) -> None:
    stored = {str(entry.name): entry for entry in parse_tags(parse_document(recorded(tags).body.encode()))}
    entries, _ = parse_ps(parse_document(recorded(ps).body.encode()))
    seen = next(entry for entry in entries if str(entry.name) == f"{name}:latest")
    shown = parse_show(parse_document(recorded(show).body.encode()))
    estimate = estimated(known(wanted(name), shown, disk_size=stored[f"{name}:latest"].size))
    assert estimate is not None
    assert estimate.context == seen.context_length
    assert estimate.size == pytest.approx(seen.size, rel=error)


@pytest.mark.parametrize(
    ("shown", "wishes", "cache"),
    [
        pytest.param(LLAMA_8B, {"context": 8_192}, GIB, id="2 x layers x kv heads x width / heads x context x 2 bytes"),
        pytest.param(replace(LLAMA_8B, trained_context=4_096), {"context": 8_192}, GIB // 2, id="at most as trained"),
        pytest.param(replace(LLAMA_8B, own_context=2_048), {}, GIB // 4, id="the context of its Modelfile"),
        pytest.param(LLAMA_8B, {}, GIB // 2, id="the default of a small server where nothing else is known"),
        pytest.param(
            replace(LLAMA_8B, width=2_048, key_width=128, value_width=128),
            {"context": 8_192},
            GIB,
            id="heads wider than the model's width over their number",
        ),
        pytest.param(replace(LLAMA_8B, kind=Kind.EMBEDDER), {}, 0, id="an embedder keeps no cache"),
        pytest.param(replace(LLAMA_8B, kv_heads=None), {}, None, id="heads that differ by layer come as null"),
    ],
)
def test_the_cache_follows_the_shape_of_the_attention(
    shown: Shown, wishes: dict[str, object], cache: int | None
) -> None:
    estimate = estimated(known(wanted("a", **wishes), shown))
    assert estimate is not None
    assert estimate.cache == cache


@pytest.mark.parametrize(
    ("wishes", "batch"),
    [
        pytest.param({"context": 4_096}, 512, id="512 up to 4096 tokens"),
        pytest.param({"context": 32_768}, 1_024, id="1024 up to 32768"),
        pytest.param({"context": 65_536}, 2_048, id="2048 above"),
        pytest.param({"context": 65_536, "options": (("num_batch", 256),)}, 256, id="as configured"),
    ],
)
def test_the_buffers_grow_with_the_batch_and_the_context(wishes: dict[str, object], batch: int) -> None:
    estimate = estimated(known(wanted("a", **wishes), LLAMA_8B))
    assert estimate is not None
    assert estimate.compute == batch * (2 * int(str(wishes["context"])) + 16 * 14_336)


def test_without_a_shape_only_the_weights_are_known() -> None:
    estimate = estimated(known(wanted("a"), None))
    assert estimate is not None
    assert (estimate.cache, estimate.compute, estimate.size) == (None, None, 4 * GIB)


def test_a_model_that_is_not_stored_has_no_size() -> None:
    assert size_of(known(wanted("a"), LLAMA_8B, disk_size=0)) is None


def test_what_is_listed_or_learned_goes_before_an_estimate() -> None:
    story = Story((wanted("a"),)).begins().warms("a", 4.0, listed("a", size=6 * GIB))
    size = size_of(story.model("a"))
    assert size is not None
    assert (size.size, size.known_from) == (6 * GIB, From.LISTED)
    gone = size_of(story.at(100).looks().model("a"))
    assert gone is not None
    assert (gone.size, gone.known_from, gone.learned) == (6 * GIB, From.LEARNED, True)
