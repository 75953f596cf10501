"""How much a model takes, where it goes, and whether it fits (OLLAMA.md 4, 5, 9)."""

from ollama_keeper.simulator.options import automatic_batch, clamped, parallel
from ollama_keeper.simulator.state import Kind, RunnerOptions, State, StoredModel, Wanted

_GIB = 2**30
HEADROOM = 80  # percent of the free memory that a prediction may take (sched:load)


def footprint(model: StoredModel, options: RunnerOptions, state: State) -> int:
    """Bytes of a loaded runner."""
    context = clamped(options.num_ctx, model) * parallel(model, state.settings)
    return model.memory + model.memory_per_token * context


def vacant(state: State) -> int:
    """Bytes of GPU memory that nobody has."""
    settings = state.settings
    return max(settings.vram - settings.vram_taken - sum(runner.size_vram for runner in state.runners), 0)


def free(state: State) -> int:
    """Bytes of GPU memory that the scheduler believes free.

    From 0.30 no more than what a runner on the GPU saw free at its own load, without itself: what has left since does
    not count while that one stays (lls:GetDeviceInfos). The server asks any one of them; here it is the most cautious.
    """
    on_it = (one for one in state.runners if one.size_vram and one.free_at_load is not None)
    seen = (max((one.free_at_load or 0) - one.size_vram, 0) for one in on_it)
    return min((vacant(state), *seen))


def on_gpu(wanted: Wanted, options: RunnerOptions, state: State) -> int:
    """Bytes of a new runner that go to the GPUs."""
    size = footprint(wanted.model, options, state)
    if options.num_gpu == 0 or not state.settings.gpus:
        return 0
    if wanted.model.kind is Kind.MLX:
        return size
    if partial(wanted):
        size = size * options.num_gpu // (wanted.model.layers + 1)
    return min(size, vacant(state))


def partial(wanted: Wanted) -> bool:
    """Whether the request itself leaves layers to the CPU."""
    return 0 < wanted.options.num_gpu < wanted.model.layers + 1


def fits(wanted: Wanted, state: State) -> bool:
    """Whether it may be loaded beside what is loaded; asked only when something is (sched:load, 544)."""
    settings = state.settings
    if not settings.gpus or wanted.options.num_gpu == 0:
        return True
    if wanted.model.kind is Kind.MLX:
        return wanted.model.weights <= free(state)
    if partial(wanted) and settings.version.llama_server:
        return True
    share = HEADROOM if settings.version.llama_server else 100
    return predicted(wanted, state) <= free(state) * share // 100


def predicted(wanted: Wanted, state: State) -> int:
    """Bytes foretold before a load: weights, the cache of all slots, and the surcharge of a large batch."""
    model = wanted.model
    context = clamped(wanted.options.num_ctx, model) * parallel(model, state.settings)
    batch = automatic_batch(context) if wanted.auto_batch else wanted.options.num_batch
    surcharge = _surcharge(batch) if model.completes and state.version.llama_server else 0
    return model.weights + model.memory_per_token * context + surcharge


def _surcharge(batch: int) -> int:
    if batch >= 2048:
        return 2 * _GIB
    return 768 * 2**20 if batch >= 1024 else 0
