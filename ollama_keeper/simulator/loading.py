"""Loads: begun, done, failed, aborted (sched:load; lls:1290)."""

from dataclasses import replace

from ollama_keeper.simulator.completed import expire
from ollama_keeper.simulator.effects import Granted, LoadEnded, LoadStarted, Refused
from ollama_keeper.simulator.memory import footprint, on_gpu, vacant
from ollama_keeper.simulator.options import settled
from ollama_keeper.simulator.state import (
    SECOND,
    Doom,
    Failure,
    Grant,
    Kind,
    Loading,
    Phase,
    Runner,
    State,
    StoredModel,
    Turn,
    Wanted,
)

FAILED = Doom("load_failed")
CRASH_TEXT = "error loading model: tensor data corrupted"
OOM_TEXT = (
    "cudaMalloc failed: out of memory\n"
    "alloc_tensor_range: failed to allocate CUDA0 buffer of size 4294967296\n"
    "error loading model: unable to allocate CUDA0 buffer"
)


def begin(state: State, turn: Turn, now: int) -> State:
    """Start a child for the request of the turn; a client that has gone meanwhile aborts it at once."""
    wanted = turn.wanted
    loading = Loading(wanted, now, _end(state, wanted.model, now), wanted.model.failure)
    started = LoadStarted(now, wanted.id, wanted.model.name, wanted.key, wanted.who, turn.reload)
    state = state.emit(started)
    if in_map(state, wanted.model):
        runner = replace(new_runner(state, wanted), loading=loading)
        state = replace(state, runners=(*state.runners, runner), next_pid=state.next_pid + 1, turn=None)
    else:
        state = state.with_turn(replace(turn, phase=Phase.LOAD, loading=loading))
    return abort(state, wanted.id, now) if wanted.gone else state


def in_map(state: State, model: StoredModel) -> bool:
    """Whether a model is in the scheduler's map, and listed, while it loads (OLLAMA.md 0)."""
    version = state.version
    older_engine = model.engine and not version.llama_server
    return model.kind is Kind.MLX or not version.fast_path or older_engine


def new_runner(state: State, wanted: Wanted) -> Runner:
    """The runner that a request gets by loading; without keep_alive it has the server's default (sched:512)."""
    options = settled(wanted, state.settings)
    return Runner(
        pid=state.next_pid,
        model=wanted.model,
        options=options,
        duration=state.settings.keep_alive if wanted.keep_alive is None else wanted.keep_alive,
        size=footprint(wanted.model, options, state),
        size_vram=on_gpu(wanted, options, state),
        auto_context=wanted.auto_context,
        auto_batch=wanted.auto_batch,
        auto_mmap=wanted.options.use_mmap is None and options.use_mmap is not None,
        free_at_load=vacant(state) if state.version.llama_server and wanted.model.kind is not Kind.MLX else None,
        shift=wanted.shift,
    )


def done(state: State, turn: Turn, loading: Loading, now: int) -> State:
    """The load of the turn has ended by itself."""
    wanted = turn.wanted
    if loading.failure is not None:
        return failed(state, turn, loading.failure, now)
    runner = replace(new_runner(state, wanted), uses=1)
    state = replace(state, runners=(*state.runners, runner), next_pid=state.next_pid + 1, turn=None)
    return _hand_over(state, runner, wanted, now)


def done_in_map(state: State, runner: Runner, loading: Loading, now: int) -> State:
    """A load in the map has ended by itself."""
    wanted, failure = loading.wanted, loading.failure
    if failure is None:
        runner = replace(runner, loading=None, uses=1)
        return _hand_over(state.with_runner(runner), runner, wanted, now)
    text = failure_text(wanted.model, failure, state)
    state = state.with_runner(replace(runner, loading=None))
    state = state.emit(LoadEnded(now, wanted.id, failure.value), Refused(now, wanted.id, 500, text))
    return expire(state, runner, FAILED, now)


def failed(state: State, turn: Turn, failure: Failure, now: int) -> State:
    """A load has failed: out of memory is tried once more from 0.30, and all others go for it (OLLAMA.md 4.2)."""
    wanted = turn.wanted
    state = state.emit(LoadEnded(now, wanted.id, failure.value))
    if failure is Failure.OUT_OF_MEMORY and not turn.retried and state.version.llama_server:
        smaller = _smaller_context(wanted)
        if smaller is not None or state.runners:
            return state.with_turn(
                Turn(smaller or wanted, retried=True, reload=turn.reload, unloads=len(state.runners))
            )
    text = failure_text(wanted.model, failure, state)
    return state.with_turn(None).emit(Refused(now, wanted.id, 500, text))


def abort(state: State, request: int, now: int) -> State:
    """The client of a request has hung up: a load for it dies with it (lls:1300); the turn goes on without it."""
    runner = next((runner for runner in state.runners if runner.loading and runner.loading.wanted.id == request), None)
    if runner is not None:
        state = state.with_runner(replace(runner, loading=None)).emit(LoadEnded(now, request, "aborted"))
        return expire(state, runner, FAILED, now)
    turn = state.turn
    if turn is None or turn.wanted.id != request:
        return state
    if turn.phase is Phase.LOAD:
        return state.with_turn(None).emit(LoadEnded(now, request, "aborted"))
    return state.with_turn(replace(turn, wanted=replace(turn.wanted, gone=True)))


def failure_text(model: StoredModel, failure: Failure, state: State) -> str:
    """The text of the 500, by version (OLLAMA.md 7)."""
    child = "llama-server" if state.version.llama_server else "llama runner"
    if failure is Failure.STALL:
        return f"timed out waiting for {child} to start - {model.failure_text}"
    words = model.failure_text or (OOM_TEXT if failure is Failure.OUT_OF_MEMORY else CRASH_TEXT)
    if state.version.llama_server:
        return f"llama-server process has terminated: exit status 1: {words}"
    return f"llama runner process has terminated: {words}"


def _end(state: State, model: StoredModel, now: int) -> int | None:
    if model.failure is Failure.STALL:
        return now + state.settings.load_timeout if state.settings.load_timeout > 0 else None
    seconds = model.load_s if model.failure is None or model.failure_after_s is None else model.failure_after_s
    return now + round(seconds * SECOND)


def _hand_over(state: State, runner: Runner, wanted: Wanted, now: int) -> State:
    given = Grant(wanted.id, runner.key, runner.pid, wanted.who)
    return replace(state, grants=(*state.grants, given)).emit(
        LoadEnded(now, wanted.id, "loaded"), Granted(now, wanted.id)
    )


def _smaller_context(wanted: Wanted) -> Wanted | None:
    """An automatic context one tier lower, where there is one below (sched:reduceAutoNumCtxForLoadOOM)."""
    context = min(wanted.options.num_ctx, wanted.model.trained_context or wanted.options.num_ctx)
    lower = next((tier for tier in (32768, 4096) if context > tier), None)
    if not wanted.auto_context or lower is None:
        return None
    return replace(wanted, options=replace(wanted.options, num_ctx=lower))
