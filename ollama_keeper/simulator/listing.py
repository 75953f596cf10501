"""What `/api/ps` shows of a state (OLLAMA.md 1, 5): bookkeeping, not health."""

from dataclasses import dataclass

from ollama_keeper.simulator.options import clamped
from ollama_keeper.simulator.state import SECOND, Kind, Runner, State, StoredModel


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry: wall-clock nanoseconds, bytes, and a context that old versions do not have."""

    model: StoredModel
    expires_at: int
    size: int
    size_vram: int
    context: int | None


def blocked(state: State) -> bool:
    """Whether `/api/ps` waits for a lock, from 0.32.4: a health check's, a load's in the map, an unload's."""
    taking_down = state.closing is not None and not state.closing.settling
    locks = taking_down or any(state.locked(runner.key) for runner in state.runners)
    return state.version.locked_listing and locks


def listing(state: State, now: int) -> tuple[Listed, ...]:
    """The entries, the longest remaining first, by the second."""
    entries = [_entry(runner, state, now) for runner in state.runners]
    return tuple(sorted(entries, key=lambda entry: -(entry.expires_at // SECOND)))


def _entry(runner: Runner, state: State, now: int) -> Listed:
    expires_at = runner.expires_at
    if expires_at is None:  # nobody has finished with it yet: the date slides with every look (sched:1778)
        expires_at = now + state.wall_offset + runner.duration
    return Listed(runner.model, expires_at, runner.size, runner.size_vram, _context(runner, state))


def _context(runner: Runner, state: State) -> int | None:
    if not state.version.lists_context:
        return None
    clamp = state.version.clamps_listed_context and runner.model.kind is not Kind.MLX
    return clamped(runner.options.num_ctx, runner.model) if clamp else runner.options.num_ctx
