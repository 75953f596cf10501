"""The demo in a pipe: one JSON line an event, as the log of `run` has them, and lines of its own.

`demo.started` (seed), `demo.mishap` (mishap, model, what) for each mishap, which befalls both servers, and at the end
`demo.tally`: what became of the models with the keeper, and without, counted from the servers' own records.
"""

import asyncio
import sys
from collections.abc import Mapping
from functools import partial

from ollama_keeper.commands.demo_play import Play
from ollama_keeper.commands.demo_run import Audience, perform
from ollama_keeper.commands.demo_script import Turn
from ollama_keeper.commands.demo_tally import Tally
from ollama_keeper.commands.start import EXIT_FAULT, EXIT_OK
from ollama_keeper.daemon import Broken
from ollama_keeper.report import Reports
from ollama_keeper.report.log import Log, open_log

FLUSH_S = 2.0


def in_lines(seed: int, seconds: float, *, as_json: bool) -> int:
    """Plays, a line an event."""
    log = open_log(level="info", format="json" if as_json else "auto", stream=sys.stdout)
    log.message("info", "demo.started", seed=seed)
    code = EXIT_OK
    try:
        play = asyncio.run(perform(Audience(Reports(log), partial(_tell, log), _nothing), seed=seed, seconds=seconds))
        log.message("info", "demo.tally", seed=seed, **fields_of(*play.tallies()))
    except* Broken as group:
        for error in group.exceptions:
            log.message("error", "keeper.broken", error=str(error))
        code = EXIT_FAULT
    finally:
        log.close(FLUSH_S)
    return code


def fields_of(kept: Tally, alone: Tally) -> Mapping[str, object]:
    """The fields of `demo.tally`: seconds since all models were there once; `cold_s` is of all models together."""
    models = len(kept.resident)
    return {
        "models": models,
        "watched_s": round(kept.watched_s / max(models, 1), 1),
        "losses": kept.losses,
        "healed": kept.healed,
        "cold_s": round(kept.cold_s, 1),
        "asked": kept.asked,
        "waited": kept.waited,
        "losses_without": alone.losses,
        "healed_without": alone.healed,
        "cold_without_s": round(alone.cold_s, 1),
        "waited_without": alone.waited,
    }


def _tell(log: Log, turn: Turn) -> None:
    if turn.troubles:
        about = {"model": turn.model} if turn.model else {}
        log.message("info", "demo.mishap", **about, mishap=turn.mishap.value, what=turn.words)


async def _nothing(_: Play) -> None:
    """Nothing moves in a pipe."""
