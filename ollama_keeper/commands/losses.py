"""What a loss turned out to be: a guest is listed only once it is loaded, so its victim is told as unloaded before."""

import dataclasses
from collections.abc import Iterable

from ollama_keeper.core.reasons import UNEXPLAINED, Cause
from ollama_keeper.store import Entry

LOST = "model.lost"


def corrected(events: Iterable[Entry]) -> list[Entry]:
    """The events, oldest first, with the cause that a later one of the same model gives for its loss."""
    found: list[Entry] = []
    open_losses: dict[tuple[str | None, str | None], int] = {}
    for one in events:
        key, cause = (one.server, one.model), one.fields.get("cause")
        if one.event == LOST and cause in UNEXPLAINED:
            open_losses[key] = len(found)
        elif cause is not None and key in open_losses:
            place = open_losses.pop(key)
            if cause == Cause.DISPLACED and one.event != LOST:
                found[place] = _displaced(found[place], one.fields.get("to"))
        found.append(one)
    return found


def _displaced(lost: Entry, by: object) -> Entry:
    fields = {**lost.fields, "cause": Cause.DISPLACED.value}
    return dataclasses.replace(lost, fields=fields if by is None else {**fields, "displaced_by": by})
