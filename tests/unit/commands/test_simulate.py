"""What is wrong in a models file is told as what is wrong in the configuration: place, what, and what to write."""

from pathlib import Path

import pytest

from ollama_keeper.commands.simulate import simulate


def refused(file: Path) -> int:
    return simulate("127.0.0.1:0", file, version="0.33.0", max_loaded=0, memory=None, load_time=None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("models: [a: b", "1:9: a bracket is not closed, or a comma is missing; write", id="syntax"),
        pytest.param("models: []", "1:1: models: is not a list of at least one model; write", id="no-model"),
        pytest.param("- a", "1:1: is a list, not a table of keys; write models: and the list below it", id="a-list"),
        pytest.param("model: [a]", "1:1: model: is not a key here; write models:", id="another-key"),
        pytest.param("models:\n- nam: a", "2:3: models[0].nam: is not a key here; there are", id="key-misspelt"),
        pytest.param("models:\n- name: a\n  name: b", "3:3: models[0].name: is given twice", id="key-twice"),
        pytest.param("models:\n- size: 3", "2:3: models[0]: has no name; write name: qwen3:8b", id="no-name"),
        pytest.param("models: ['a b']", "1:10: models[0].name: 'a b' is not a model name; write", id="bad-name"),
        pytest.param("models: [3]", "1:10: models[0]: is neither a model nor a name; write name:", id="a-number"),
        pytest.param("models: [{name: a, kind: cat}]", "models[0].kind: 'cat' is not taken; write one", id="kind"),
        pytest.param("models: [{name: a, size: big}]", "models[0].size: 'big' is not a size; write", id="size"),
        pytest.param("models: [{name: a, load_time: x}]", "load_time: 'x' is not a duration; write", id="duration"),
        pytest.param("models: [{name: a, num_ctx: 0}]", "num_ctx: 0 is not a positive whole number; write", id="zero"),
        pytest.param("models: [{name: a, weights_of: b}]", "no entry above is named 'b'; name one above", id="alias"),
    ],
)
def test_a_mistake_in_a_models_file_is_told_with_its_place(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text)
    assert refused(file) == 78
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ollama-keeper: {file}:")
    assert told in line


def test_a_models_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(tmp_path / "models.yaml") == 78
    assert capsys.readouterr().err.endswith("models.yaml: does not exist; write the path of a models file\n")


def test_of_a_long_path_both_ends_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(tmp_path / ("x" * 10_000) / "models.yaml") == 78
    told = capsys.readouterr().err
    assert f"{tmp_path}/xxx" in told
    assert "xxx/models.yaml: " in told
    assert len(told) < 350
