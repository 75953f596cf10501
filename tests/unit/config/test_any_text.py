"""Whatever stands in a file, a variable or a flag: a configuration comes of it, or its mistakes; nothing else."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from ollama_keeper.config import load
from ollama_keeper.config.schema import Log, ModelEntry, Options, ServerEntry, Settings
from ollama_keeper.config.show import show
from ollama_keeper.errors import ConfigError
from tests.kit.examples import examples

KEYS = sorted({key for table in (Settings, ModelEntry, ServerEntry, Options, Log) for key in table.model_fields})
WORDS = [
    "off",
    "-1",
    "0",
    "30m",
    "15s",
    "forever",
    "a",
    "qwen3:8b",
    "http://a:1",
    "http://[",
    "auto",
    "adopt",
    "~",
    "1e999",
]
SCALARS = st.one_of(st.sampled_from(WORDS), st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=8))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4)), inner, max_size=4),
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4)), TREES, max_size=6)
TRIED = examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(path: Path, environ: dict[str, str] | None = None, **more: object) -> None:
    try:
        show(load(path=path, environ=environ or {}, **more))  # type: ignore[arg-type]
    except ConfigError as error:
        mistakes = error.mistakes
    else:
        return
    assert mistakes
    assert all(str(mistake).isprintable() for mistake in mistakes)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "keeper.yaml"


@TRIED
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf")
@example(b"models: [a]\n\x00")
@example(b"%YAML 9.9\n---\nmodels: [a]")
def test_any_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    outcome(path)


@TRIED
@given(st.text(alphabet="models: [a]\n-{},&*!|>'\"#%@`?\t\\~<0", max_size=60))
def test_any_text_that_looks_like_yaml(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    outcome(path)


@TRIED
@given(DOCUMENTS)
@example({"models": [{"name": "a", "servers": [[]]}], "servers": [{"url": {}}, 3, {"name": []}]})
@example({"models": {"a": 1}, "log": [], "options": {"num_gpu": []}, "headers": {"a": {}}})
def test_any_tree(path: Path, tree: object) -> None:
    path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8", errors="replace")
    outcome(path)


@TRIED
@given(st.dictionaries(st.sampled_from(KEYS), SCALARS.map(str), max_size=4), st.lists(st.text(max_size=6), max_size=2))
def test_any_variables_and_arguments(path: Path, variables: dict[str, str], models: list[str]) -> None:
    path.write_text("models: [a]\n", encoding="utf-8")
    outcome(path, {f"OLLAMA_KEEPER_{key.upper()}": text for key, text in variables.items()}, models=models)


@TRIED
@given(
    st.dictionaries(
        st.sampled_from(["ollama", "keep_alive", "interval", "context_length", "log.level"]), st.text(max_size=8)
    )
)
def test_any_flags(path: Path, flags: dict[str, object]) -> None:
    path.write_text("models: [a]\n", encoding="utf-8")
    outcome(path, {"OLLAMA_HOST": "a"}, flags=flags)
