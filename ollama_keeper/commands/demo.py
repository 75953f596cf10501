"""`demo`: a simulated Ollama on which everything goes wrong, and the real keeper on it."""

import secrets

from ollama_keeper.commands.start import interactive

PIPE_S = 60.0


def demo(*, seconds: float | None, seed: int | None, as_json: bool) -> int:
    """Plays until the time is over or somebody stops it; see `ollama-keeper demo --help`."""
    seed = secrets.randbelow(1_000) if seed is None else seed
    if interactive() and not as_json:
        from ollama_keeper.commands.demo_screen import can_draw, on_screen

        if can_draw():
            return on_screen(seed, seconds)
    from ollama_keeper.commands.demo_lines import in_lines

    return in_lines(seed, PIPE_S if seconds is None else seconds, as_json=as_json)
