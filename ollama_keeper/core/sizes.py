"""How large a model will be when it is loaded: as it is or was, else estimated from what `/api/show` tells."""

from enum import StrEnum

from ollama_keeper.core.facts import Kind, Shown
from ollama_keeper.core.memory import LearnedSize, ModelMemory
from ollama_keeper.core.policy import ContextRule
from ollama_keeper.core.record import record
from ollama_keeper.core.requests import warm_options

DEFAULT_CONTEXT = 4_096  # of a server below 23 GiB of GPU memory; larger ones take more (OLLAMA.md 3)
ELEMENT_BYTES = 2  # f16: of the cache, and of the attention mask
EMBEDDER_BATCH = 2_048
BATCHES = ((4_096, 512), (32_768, 1_024))  # most tokens of context, and the batch that the server takes for them
LARGEST_BATCH = 2_048
BATCH_OPTION = "num_batch"
FLOAT_ROWS = 4  # of the feed-forward's width, in f32: fitted to the recorded ps-pinned and ps-num-ctx-parameter
FLOAT_BYTES = 4


class From(StrEnum):
    """What a size is known from."""

    LISTED = "listed"
    LEARNED = "learned"
    ESTIMATED = "estimated"


@record
class Estimate:
    """What a model would take, part by part, in bytes.

    Attributes:
        weights: of its files.
        cache: for keys and values; None where the server does not tell enough.
        compute: buffers of one batch; None likewise.
        context: tokens of it; `assumed` where nothing tells, so that the least default of a server stands for it.
    """

    weights: int
    cache: int | None
    compute: int | None
    context: int
    assumed: bool = False

    @property
    def size(self) -> int:
        """All of what is known."""
        return self.weights + (self.cache or 0) + (self.compute or 0)


@record
class Size:
    """Bytes of one model, what they are known from, and the parts of an estimate."""

    size: int
    known_from: From
    estimate: Estimate | None = None

    @property
    def learned(self) -> bool:
        """Whether it was seen, and is no estimate."""
        return self.known_from is not From.ESTIMATED


def size_of(model: ModelMemory) -> Size | None:
    """What a model takes, or would take with its next load; None where nothing is known of it."""
    if model.listed is not None and model.listed.size:
        return Size(model.listed.size, From.LISTED)
    learned = model.learned_size
    if learned is not None and learned == learned_now(model, learned.size):
        return Size(learned.size, From.LEARNED)
    estimate = estimated(model)
    return Size(estimate.size, From.ESTIMATED, estimate) if estimate else None


def learned_now(model: ModelMemory, size: int) -> LearnedSize:
    """A size as it was learned of the weights that are pulled and the options of the next warm."""
    return LearnedSize(model.pulled or "", warm_options(model), size)


def estimated(model: ModelMemory) -> Estimate | None:
    """Weights, KV cache and compute buffers of the next load; None before the server has told the size of the files.

    The cache is 2 x layers x kv heads x width / heads x context (OLLAMA.md 6), but with the true widths of a head where
    the model has its own: the server's formula halves the cache of such models. For one slot: `OLLAMA_NUM_PARALLEL`
    is 1 since 0.10.0, and no endpoint tells another. Sliding windows and a quantized cache are not known, and make it
    too large. The error against recorded answers is in `tests/unit/core/test_sizes.py`.
    """
    if not model.disk_size:
        return None
    context, shown, assumed = context_of(model), model.shown, _told_context(model) is None
    if shown is None:
        return Estimate(model.disk_size, None, None, context, assumed)
    return Estimate(model.disk_size, _cache(shown, context), _compute(model, shown, context), context, assumed)


def context_of(model: ModelMemory) -> int:
    """The context that the next load gets, as far as that can be told before: tokens."""
    context = _told_context(model) or DEFAULT_CONTEXT
    trained = model.shown.trained_context if model.shown else None
    return min(context, trained) if trained else context


def _told_context(model: ModelMemory) -> int | None:
    """The context that somebody has chosen, or that our own load got; None where the server's default decides."""
    context = model.policy.context
    if not isinstance(context, ContextRule):
        return context
    own = model.shown.own_context if model.shown else None
    return model.learned_context or model.own_context or own


def _cache(shown: Shown, context: int) -> int | None:
    """Keys and values of all layers; an embedder keeps none."""
    if shown.kind is Kind.EMBEDDER:
        return 0
    head = shown.width // shown.heads if shown.width and shown.heads else None
    key, value = shown.key_width or head, shown.value_width or head
    if not (shown.layers and shown.kv_heads and key and value):
        return None
    return shown.layers * shown.kv_heads * (key + value) * context * ELEMENT_BYTES


def _compute(model: ModelMemory, shown: Shown, context: int) -> int | None:
    """Buffers of one batch: the attention mask over the context, and some rows of the widest layer."""
    if not shown.feed_forward or shown.mlx:
        return None
    batch = _batch(model, shown, context)
    return batch * (context * ELEMENT_BYTES + shown.feed_forward * FLOAT_ROWS * FLOAT_BYTES)


def _batch(model: ModelMemory, shown: Shown, context: int) -> int:
    """Tokens of a batch: as configured, else as the server chooses by the context (OLLAMA.md 3)."""
    chosen = dict(model.policy.options).get(BATCH_OPTION)
    if chosen:
        return int(chosen)
    if shown.kind is Kind.EMBEDDER:
        return min(EMBEDDER_BATCH, context)
    return next((batch for most, batch in BATCHES if context <= most), LARGEST_BATCH)
