"""Runner options: which a request asks for, and whether they differ from a resident runner's (OLLAMA.md 3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ollama_keeper.simulator.state import Kind, Runner, RunnerOptions, Settings, StoredModel, Wanted

EMBEDDING_BATCH = 2048
LEAST_CONTEXT = 4
LEAST_VISION_CONTEXT = 2048
DEFAULT_BATCH = 512

_INTEGERS = (
    *("num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "draft_num_predict"),
    *("num_keep", "seed", "num_predict", "top_k", "repeat_last_n"),
)
_FLOATS = (
    *("top_p", "min_p", "typical_p", "temperature"),
    *("repeat_penalty", "presence_penalty", "frequency_penalty"),
)
_RUNNER_FIELDS = ("num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "draft_num_predict")


class BadOption(ValueError):
    """Raised for an option of the wrong type; Ollama answers 500 with this text (OLLAMA.md 7)."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Options of a request with all defaults in, and what of them nobody asked for."""

    options: RunnerOptions
    auto_context: bool
    auto_batch: bool


def resolve(asked: Mapping[str, object], model: StoredModel, settings: Settings) -> Resolved:
    """Defaults, then the Modelfile's parameters, then the request's; unknown options are ignored.

    Raises:
        BadOption: an option has the wrong type.
    """
    check_types(asked)
    given = {**dict(model.parameters), **{name: value for name, value in asked.items() if value is not None}}
    context = settings.context_length or settings.version.default_context(settings.vram)
    chosen = {name: _fixed(given[name]) for name in _RUNNER_FIELDS if name in given}
    options = replace(RunnerOptions(num_ctx=context), **chosen)  # type: ignore[arg-type]
    batch_given = "num_batch" in given
    if "embedding" in model.capabilities and not batch_given:
        options = replace(options, num_batch=_embedding_batch(options.num_ctx))
    return Resolved(
        options=replace(options, num_ctx=max(options.num_ctx, _least_context(model))),
        auto_context="num_ctx" not in given and not settings.context_length,
        auto_batch=not batch_given and "embedding" not in model.capabilities,
    )


def check_types(asked: Mapping[str, object]) -> None:
    """Refuse an option of the wrong type.

    Raises:
        BadOption: in Ollama's words.
    """
    for name, value in asked.items():
        if value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if name in _INTEGERS and not number:
            raise BadOption(_wrong(name, "integer"))
        if name in _FLOATS and not number:
            raise BadOption(_wrong(name, "float32"))
        if name == "use_mmap" and not isinstance(value, bool):
            raise BadOption(_wrong(name, "boolean"))
        if name == "stop" and not isinstance(value, list | tuple):
            raise BadOption(_wrong(name, "array"))


def clamped(context: int, model: StoredModel) -> int:
    """A context no longer than the trained one."""
    return min(context, model.trained_context) if model.trained_context else context


def settled(wanted: Wanted, settings: Settings) -> RunnerOptions:
    """The options as the new runner keeps them: from 0.30 clamped in context, automatic batch and mapping chosen."""
    options = wanted.options
    if not settings.version.llama_server or wanted.model.kind is Kind.MLX:
        return options
    context = clamped(options.num_ctx, wanted.model)
    if wanted.auto_batch and wanted.model.completes:
        options = replace(options, num_batch=automatic_batch(context * parallel(wanted.model, settings)))
    return replace(options, num_ctx=context, use_mmap=_mapping(options, settings))


def parallel(model: StoredModel, settings: Settings) -> int:
    """Slots of a runner; embedders have one."""
    return max(settings.num_parallel, 1) if model.completes else 1


def automatic_batch(total_context: int) -> int:
    """Batch that 0.30 and later choose for a context over all slots, where memory is no matter."""
    if total_context > 32768:
        return 2048
    return 1024 if total_context > 4096 else DEFAULT_BATCH


def difference(runner: Runner, wanted: Wanted, settings: Settings) -> str:
    """What of a request forces a reload of the runner; empty when it can be served (sched:needsReload)."""
    if runner.shift != wanted.shift and settings.version.llama_server and wanted.model.kind is not Kind.MLX:
        return "shift"
    if (runner.model.adapters, runner.model.projectors) != (wanted.model.adapters, wanted.model.projectors):
        return "adapters"
    if wanted.model.kind is Kind.MLX:
        return ""
    asked = _softened(runner, wanted, settings)
    fields = (name for name in _RUNNER_FIELDS if getattr(asked, name) != getattr(runner.options, name))
    return next(fields, "")


def _softened(runner: Runner, wanted: Wanted, settings: Settings) -> RunnerOptions:
    asked = wanted.options
    if asked.num_gpu < 0:
        asked = replace(asked, num_gpu=runner.options.num_gpu)
    if not settings.version.llama_server:
        return asked
    asked = replace(asked, num_ctx=clamped(asked.num_ctx, runner.model))
    if runner.auto_context and wanted.auto_context:
        asked = replace(asked, num_ctx=runner.options.num_ctx)
    if runner.auto_batch and wanted.auto_batch:
        asked = replace(asked, num_batch=runner.options.num_batch)
    if runner.auto_mmap and asked.use_mmap is None:
        asked = replace(asked, use_mmap=runner.options.use_mmap)
    return asked


def _mapping(options: RunnerOptions, settings: Settings) -> bool | None:
    """What nobody asked for is off without a GPU (sched:disableMmapDefaultReason)."""
    if options.use_mmap is None and (not settings.gpus or options.num_gpu == 0):
        return False
    return options.use_mmap


def _embedding_batch(context: int) -> int:
    return min(EMBEDDING_BATCH, context) if context > 0 else EMBEDDING_BATCH


def _least_context(model: StoredModel) -> int:
    return LEAST_VISION_CONTEXT if "vision" in model.capabilities else LEAST_CONTEXT


def _fixed(value: object) -> object:
    return int(value) if isinstance(value, float) else value


def _wrong(name: str, kind: str) -> str:
    return f'option "{name}" must be of type {kind}'
