"""What a simulated server has stored: the default models, and models files.

A models file is YAML or JSON, with a list of entries under `models`:

    - name: qwen3:8b              # required
      kind: completion            # completion, embedder, image, mlx, cloud
      size: 5.2GB                 # bytes of the weights, on disk
      load_time: 4s
      context_length: 40960       # the trained one
      num_ctx: 8192               # PARAMETER num_ctx of its Modelfile; none by default
      tokens_per_second: 40
      answer_tokens: 200          # how long it talks when nobody limits it
      weights_of: other:latest    # an alias: the same weights as an entry above
      load_error: out_of_memory   # crash, out_of_memory or stall: every load fails
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import TypeVar

from ollama_keeper.core.names import BadName, parse_name
from ollama_keeper.core.units import BadUnit, parse_duration, parse_size
from ollama_keeper.simulator.state import SECOND, Failure, Kind, StoredModel

BLOBS = "/usr/share/ollama/.ollama/models/blobs"
LONGEST_SHOWN = 60
FIRST_PULL = 1_767_225_600 * SECOND  # 2026-01-01
_CAPABILITIES = {
    Kind.COMPLETION: ("completion", "tools"),
    Kind.MLX: ("completion", "tools"),
    Kind.EMBEDDER: ("embedding",),
    Kind.IMAGE: ("image",),
    Kind.CLOUD: ("completion", "tools"),
}
_KEYS = frozenset(
    [
        "name",
        "kind",
        "size",
        "load_time",
        "context_length",
        "num_ctx",
        "tokens_per_second",
        "answer_tokens",
        "weights_of",
        "load_error",
    ]
)

Choice = TypeVar("Choice", Kind, Failure)


Place = tuple[str | int, ...]
"""Where an entry or a key of it stands: `("models", 2, "kind")`."""


class BadCatalogue(ValueError):
    """An entry of a models file is wrong.

    Attributes:
        place, what, hint: where, `'fast' is not a size`, `write 5.2GB or a number of bytes`.
    """

    def __init__(self, place: Place, what: str, hint: str) -> None:
        super().__init__(f"{place}: {what}; {hint}")
        self.place, self.what, self.hint = place, what, hint


def make_model(  # noqa: PLR0913 - one keyword a figure
    name: str,
    *,
    kind: Kind = Kind.COMPLETION,
    size: int = 2 * 10**9,
    load_s: float = 2.0,
    trained_context: int = 32768,
    layers: int = 32,
    embedding_length: int = 4096,
    heads: int = 32,
    kv_heads: int = 8,
    family: str = "llama",
    parameter_size: str = "8.0B",
    quantization: str = "Q4_K_M",
    capabilities: tuple[str, ...] | None = None,
    parameters: tuple[tuple[str, int], ...] = (),
    tokens_per_s: float = 40.0,
    answer_tokens: int = 200,
) -> StoredModel:
    """A stored model with everything that follows from these figures; digests follow from the name."""
    shown = str(parse_name(name))
    model = StoredModel(
        name=shown,
        digest=_hash(f"manifest {shown}"),
        blob=f"{BLOBS}/sha256-{_hash(f'weights {shown}')}",
        kind=kind,
        capabilities=capabilities or _CAPABILITIES[kind],
        format="safetensors" if kind is Kind.MLX else "gguf",
        family=family,
        families=(family,),
        parameter_size=parameter_size,
        quantization=quantization,
        trained_context=trained_context,
        embedding_length=embedding_length,
        layers=layers,
        size=size + 1500,
        weights=size,
        memory=size + size // 10,
        memory_per_token=0 if kind is Kind.EMBEDDER else 4 * layers * kv_heads * (embedding_length // heads),
        parameters=parameters,
        template="{{ .Prompt }}",
        remote_host="https://ollama.com:443" if kind is Kind.CLOUD else "",
        remote_model=shown if kind is Kind.CLOUD else "",
        modified_at=FIRST_PULL + int(_hash(shown)[:8], 16),
        load_s=load_s,
        tokens_per_s=tokens_per_s,
        answer_tokens=answer_tokens,
    )
    return replace(model, info=_info(model, heads, kv_heads))


def default_models() -> tuple[StoredModel, ...]:
    """What the simulator has stored when nobody says otherwise."""
    return (
        make_model(
            "qwen3:8b",
            size=5_225_374_144,
            load_s=4.0,
            trained_context=40960,
            layers=36,
            family="qwen3",
            parameter_size="8.2B",
            capabilities=("completion", "tools", "thinking"),
        ),
        make_model(
            "llama3.2:3b",
            size=2_019_377_376,
            load_s=2.0,
            trained_context=131072,
            layers=28,
            embedding_length=3072,
            heads=24,
            parameter_size="3.2B",
        ),
        make_model(
            "llava:13b",
            size=8_010_000_000,
            load_s=7.0,
            trained_context=4096,
            layers=40,
            embedding_length=5120,
            heads=40,
            kv_heads=40,
            parameter_size="13B",
            quantization="Q4_0",
            capabilities=("completion", "vision"),
        ),
        make_model(
            "nomic-embed-text:latest",
            kind=Kind.EMBEDDER,
            size=274_290_656,
            load_s=0.6,
            trained_context=2048,
            layers=12,
            embedding_length=768,
            heads=12,
            kv_heads=12,
            family="nomic-bert",
            parameter_size="137M",
            quantization="F16",
        ),
    )


def default_registry() -> tuple[StoredModel, ...]:
    """What can be pulled beside that."""
    return (make_model("gemma3:4b", size=3_338_801_804, load_s=3.0, family="gemma3", parameter_size="4.3B"),)


def read_models(entries: object) -> tuple[StoredModel, ...]:
    """The models that the entries of a models file describe, in its order.

    Raises:
        BadCatalogue: an entry is wrong, or there is none.
    """
    if not isinstance(entries, list) or not entries:
        raise BadCatalogue(("models",), "is not a list of at least one model", "write models: and the list below it")
    models: list[StoredModel] = []
    for index, entry in enumerate(entries):
        models.append(_read(entry, ("models", index), models))
    return tuple(models)


def _read(entry: object, place: Place, before: list[StoredModel]) -> StoredModel:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, Mapping):
        raise BadCatalogue(place, "is neither a model nor a name", "write name: qwen3:8b, and what else it has")
    for key in entry:
        if key not in _KEYS:
            raise BadCatalogue((*place, key), "is not a key here", f"there are {', '.join(sorted(_KEYS))}")
    model = _alias(entry, place, before) or _fresh(entry, place)
    num_ctx, failure = entry.get("num_ctx"), entry.get("load_error")
    if num_ctx is not None:
        model = replace(model, parameters=(("num_ctx", _number(num_ctx, (*place, "num_ctx"))),))
    if failure is not None:
        model = replace(model, failure=_one_of(Failure, failure, (*place, "load_error")))
    return model


def _fresh(entry: Mapping[str, object], place: Place) -> StoredModel:
    kind = _one_of(Kind, entry.get("kind", "completion"), (*place, "kind"))
    return make_model(
        _name(entry.get("name"), (*place, "name")),
        kind=kind,
        size=_size(entry.get("size", "2GB"), (*place, "size")),
        load_s=_seconds(entry.get("load_time", "2s"), (*place, "load_time")),
        trained_context=_number(entry.get("context_length", 32768), (*place, "context_length")),
        tokens_per_s=_number(entry.get("tokens_per_second", 40), (*place, "tokens_per_second")),
        answer_tokens=_number(entry.get("answer_tokens", 200), (*place, "answer_tokens")),
    )


def _alias(entry: Mapping[str, object], place: Place, before: list[StoredModel]) -> StoredModel | None:
    if "weights_of" not in entry:
        return None
    wanted = _name(entry["weights_of"], (*place, "weights_of"))
    original = next((model for model in before if parse_name(model.name) == parse_name(wanted)), None)
    if original is None:
        what = f"no entry above is named {_shown(wanted)}"
        raise BadCatalogue((*place, "weights_of"), what, "name one above, or move it there")
    shown = str(parse_name(_name(entry.get("name"), (*place, "name"))))
    digest = _hash(f"manifest {shown}") if "num_ctx" in entry else original.digest
    return replace(original, name=shown, digest=digest)


def _name(value: object, place: Place) -> str:
    try:
        parse_name(str(value) if value is not None else "")
    except BadName as bad:
        if value is None:
            raise BadCatalogue(place[:-1], "has no name", "write name: qwen3:8b") from bad
        raise BadCatalogue(place, f"{_shown(value)} is not a model name", "write for example qwen3:8b") from bad
    return str(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _one_of(choices: type[Choice], value: object, place: Place) -> Choice:
    try:
        return choices(str(value))
    except ValueError as bad:
        what = f"{_shown(value)} is not taken"
        raise BadCatalogue(place, what, f"write one of {', '.join(choices)}") from bad


def _number(value: object, place: Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise BadCatalogue(place, f"{_shown(value)} is not a positive whole number", "write for example 4096")
    return value


def _size(value: object, place: Place) -> int:
    try:
        return value if isinstance(value, int) else parse_size(str(value))
    except BadUnit as bad:
        what = f"{_shown(value)} is not a size"
        raise BadCatalogue(place, what, "write for example 5.2GB, or a number of bytes") from bad


def _seconds(value: object, place: Place) -> float:
    try:
        return float(value) if isinstance(value, int | float) else parse_duration(str(value))
    except BadUnit as bad:
        what = f"{_shown(value)} is not a duration"
        raise BadCatalogue(place, what, "write for example 4s, or a number of seconds") from bad


def _info(model: StoredModel, heads: int, kv_heads: int) -> tuple[tuple[str, str | int], ...]:
    family = model.family
    known: dict[str, str | int] = {
        "general.architecture": family,
        f"{family}.attention.head_count": heads,
        f"{family}.attention.head_count_kv": kv_heads,
        f"{family}.block_count": model.layers,
        f"{family}.context_length": model.trained_context,
        f"{family}.embedding_length": model.embedding_length,
    }
    if model.kind is Kind.EMBEDDER:
        known[f"{family}.pooling_type"] = 1
    return tuple(sorted(known.items()))


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
