"""The text of `/status`, written piece by piece.

At 1,000 models it takes longer than a look may be late, so that others have their turn after some models each. Most
models are ready, and what is told of a ready one is mostly what was told of it before: that is kept as text.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import ModelMemory, ServerMemory
from ollama_keeper.core.outlook import outlook
from ollama_keeper.core.ownership import pinned
from ollama_keeper.core.reasons import State
from ollama_keeper.core.states import States, Told
from ollama_keeper.core.view import VERSION, Warm, WarmShares, guest_rows, plain, server_row, told_row, written
from ollama_keeper.web.escaped import as_json

AT_ONCE = 40  # models, about 1 ms
OF_THE_MOMENT = ("remaining_s", "next", "next_s", "warm_day", "warm_month")


class StatusText:
    """Writes the document of `core.view` as JSON on one line, and keeps what will be the same the next time."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[object, bytes]] = {}

    async def of(self, memories: Sequence[ServerMemory], now: Instant, *, states: States, warm: Warm) -> bytes:
        """The text.

        Args:
            states: of all models of a server, where somebody has them already.
            warm: how much of its wanted time a model was warm.
        """
        self._forget(memories)
        pieces: list[bytes] = []
        since = 0
        for memory in memories:
            rows = list(self._rows(memory, now, states=states, warm=warm))
            pieces += rows
            since += len(rows) + 1
            if since >= AT_ONCE:
                since = 0
                await asyncio.sleep(0)
        servers = as_json([plain(server_row(memory)) for memory in memories])
        head = as_json({"version": VERSION, "at": written(now.wall)})[:-1]
        return b"".join((head, b',"servers":', servers, b',"models":[', b",".join(pieces), b"]}\n"))

    def _rows(self, memory: ServerMemory, now: Instant, *, states: States, warm: Warm) -> Iterator[bytes]:
        for model, told in zip(memory.models, states(memory, now), strict=True):
            shares = warm(memory.server, model.model)
            if told[0] is State.READY and model.listed is not None:
                yield self._ready(model, memory, now, told=told, warm=shares)
            else:
                yield as_json(plain(told_row(model, memory, now, told=told, warm=shares)))
        for row in guest_rows(memory, now):
            yield as_json(plain(row))

    def _ready(self, model: ModelMemory, memory: ServerMemory, now: Instant, *, told: Told, warm: WarmShares) -> bytes:
        """A ready model: what is kept of it, and what holds for the moment only."""
        left_s = None if model.listed is None else memory.remaining_s(model.listed, now)
        forever = left_s is not None and pinned(left_s)
        made_of = (told, model.present, forever, model.pending, model.policy, model.download)
        key = (memory.server, model.model)
        known, text = self._kept.get(key, (None, b""))
        if known != made_of:
            text = _lasting(plain(told_row(model, memory, now, told=told, warm=warm)))
            self._kept[key] = (made_of, text)
        coming = outlook(model, memory, now, state=State.READY)
        step, in_s = (f'"{coming.step}"', coming.in_s) if coming else ("null", None)
        return text + (
            f',"remaining_s":{_number(None if forever else left_s)},"next":{step},"next_s":{_number(in_s)}'
            f',"warm_day":{_exact(warm[0])},"warm_month":{_exact(warm[1])}}}'
        ).encode("ascii")

    def _forget(self, memories: Sequence[ServerMemory]) -> None:
        """Of models that are known no more, nothing is kept."""
        if len(self._kept) > sum(len(memory.models) for memory in memories):
            known = {(memory.server, model.model) for memory in memories for model in memory.models}
            self._kept = {key: kept for key, kept in self._kept.items() if key in known}


def _lasting(row: dict[str, Any]) -> bytes:
    """What of a row does not change by itself, as an object that is still open."""
    return as_json({key: value for key, value in row.items() if key not in OF_THE_MOMENT})[:-1]


def _number(value: float | None) -> str:
    return "null" if value is None else repr(round(value, 1))


def _exact(value: float | None) -> str:
    return "null" if value is None else repr(value)
