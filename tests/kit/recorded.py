"""The recorded answers of a real Ollama, and the models that it had."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ollama_keeper.core.names import DEFAULT_HOST
from ollama_keeper.simulator import Kind, StoredModel

FOLDER = Path(__file__).parents[1] / "data" / "ollama-answers"
MEMORY, MEMORY_PER_TOKEN = 110_939_339, 24_064  # of the llama models, from ps-pinned and ps-num-ctx-parameter
EMBEDDER_MEMORY = 1_038_089
MODELS = "/models"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded exchange."""

    name: str
    version: str
    method: str
    path: str
    sent: bytes
    status: int
    headers: dict[str, str]
    body: str


def recorded(name: str) -> Recorded:
    """The exchange in a file, with a real name for the registry and the folder of the models."""
    case = json.loads((FOLDER / f"{name}.json").read_text())
    request, body = case["request"], case["request"]["body"]
    sent = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    text = case["body"].replace("<registry>", DEFAULT_HOST).replace("<path>", MODELS)
    version = case["server_version"]
    return Recorded(name, version, request["method"], request["path"], sent, case["status"], case["headers"], text)


def all_names() -> list[str]:
    """Every file, without its ending."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded_models(version: str = "0.33.0-rc2") -> tuple[StoredModel, ...]:
    """What that server had stored."""
    tags = "v0.24-tags" if version.startswith("0.24") else "tags"
    shown = {name: _shown(f"show-{name}") for name in ("completion", "embedder", "num-ctx-parameter")}
    return tuple(_model(tag, shown, version) for tag in json.loads(recorded(tags).body)["models"])


def without_chance(text: str) -> str:
    """A body without what no two runs share: dates, digests, durations, what a model said and embedded, run numbers."""
    for pattern, to in _CHANCE:
        text = pattern.sub(to, text)
    return text


def _shown(name: str) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(recorded(name).body)
    return shown


def _model(tag: dict[str, Any], shown: dict[str, dict[str, Any]], version: str) -> StoredModel:
    embedder, name = tag["name"] == "emb:latest", tag["name"].split(":")[0]
    show = shown["embedder" if embedder else "completion"]
    info, details = show["model_info"], show["details"]
    model = StoredModel(
        name=tag["name"],
        digest=tag["digest"],
        blob=_blob(name, shown, embedder=embedder),
        kind=Kind.EMBEDDER if embedder else Kind.COMPLETION,
        capabilities=("embedding",) if embedder else ("completion",),
        family=details["family"],
        families=tuple(details["families"]),
        parent_model=tag["details"]["parent_model"],
        parameter_size=details["parameter_size"],
        quantization=details["quantization_level"],
        trained_context=512 if embedder else 8192,
        embedding_length=info[f"{details['family']}.embedding_length"],
        layers=info[f"{details['family']}.block_count"],
        size=tag["size"],
        weights=tag["size"],
        parameters=() if embedder else (("stop", ("<|im_end|>",)),),
        template=show["template"],
        info=tuple(info.items()),
        tensors=tuple((one["name"], one["type"], tuple(one["shape"])) for one in show["tensors"]),
        modified_at=_nanoseconds(tag["modified_at"]),
        load_s=0.3,
        tokens_per_s=100,
    )
    return _with_context(_with_memory(model, version), name)


def _with_memory(model: StoredModel, version: str) -> StoredModel:
    if model.kind is Kind.EMBEDDER:
        return replace(model, memory=EMBEDDER_MEMORY)
    if version.startswith("0.24"):
        return replace(model, memory=190_948_608)
    return replace(model, memory=MEMORY, memory_per_token=MEMORY_PER_TOKEN)


def _with_context(model: StoredModel, name: str) -> StoredModel:
    return replace(model, parameters=(("num_ctx", 1024), *model.parameters)) if name.endswith("1024") else model


def _blob(name: str, shown: dict[str, dict[str, Any]], *, embedder: bool) -> str:
    of = {"me1024": "num-ctx-parameter", "me": "num-ctx-parameter", "mb": "", "mc": "", "md": ""}
    kind = "embedder" if embedder else of.get(name, "completion")
    if not kind:
        return f"{MODELS}/blobs/sha256-{name:0<64}"
    found = re.search(r"^FROM (\S+)$", shown[kind]["modelfile"], re.MULTILINE)
    assert found
    return found[1]


def _nanoseconds(date: str) -> int:
    seconds, fraction = date.removesuffix("Z").split(".")
    return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * 10**9 + int(fraction.ljust(9, "0"))


_Replacement = str | Callable[[re.Match[str]], str]
_CHANCE: tuple[tuple[re.Pattern[str], _Replacement], ...] = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:]+(\.\d+)?Z"), "<date>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<digest>"),
    (re.compile(r'"(\w+_duration|prompt_eval_count|prompt_tokens|total_tokens|created)":\d+'), r'"\1":0'),
    (re.compile(r'"context":\[[\d,]+\]'), '"context":[]'),
    (re.compile(r"\[-?\d\.\d[-\d.,e]+\]"), "[<vector>]"),
    (re.compile(r'"(response|content)":"([^"\\]|\\.)+"'), r'"\1":"<words>"'),
    (re.compile(r'"id":"(\w+)-\d+"'), r'"id":"\1-0"'),
    (re.compile(r'(\{[^{}\n]*"<words>"[^\n]*\}\n){3,}'), "<tokens>\n"),
)
