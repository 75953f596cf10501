"""The text of `/status`, written piece by piece.

At 1,000 models it takes longer than a look may be late, so that others have their turn after some models each.
"""

import asyncio
from collections.abc import Sequence

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ServerMemory
from ollama_keeper.core.states import States
from ollama_keeper.core.view import VERSION, Warm, model_rows, plain, server_row, written
from ollama_keeper.web.escaped import as_json

AT_ONCE = 40  # models, about 1 ms


async def status_text(memories: Sequence[ServerMemory], now: Instant, *, states: States, warm: Warm) -> bytes:
    """The document of `core.view` as JSON on one line.

    Args:
        states: of all models of a server, where somebody has them already.
        warm: how much of its wanted time a model was warm.
    """
    pieces: list[bytes] = []
    since = 0
    for memory in memories:
        rows = [plain(row) for row in model_rows(memory, now, states=states, warm=warm)]
        pieces += [as_json(rows)[1:-1]] if rows else []
        since += len(rows) + 1
        if since >= AT_ONCE:
            since = 0
            await asyncio.sleep(0)
    servers = as_json([plain(server_row(memory)) for memory in memories])
    head = as_json({"version": VERSION, "at": written(now.wall)})[:-1]
    return head + b',"servers":' + servers + b',"models":[' + b",".join(pieces) + b"]}\n"
