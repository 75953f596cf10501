"""What outlives a restart of the keeper: plain documents out of the memory, and back into it.

Kept are our load records (what is ours), what clients and loads taught us, and the mark of a full server. What can be
seen again (residency) or would be stale (failures, open loads) is not. Instants are kept as wall time and dated back.
"""

from collections.abc import Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

from ollama_keeper.core.instant import Instant
from ollama_keeper.core.memory import Full, LearnedSize, LoadRecord, ModelMemory, Pause, ServerMemory
from ollama_keeper.core.names import parse_name
from ollama_keeper.core.policy import Options, Release, policy_for
from ollama_keeper.core.record import replace

Document = dict[str, Any]

_PLAIN = ("learned_context", "own_context", "best_gpu", "shortest_load_s", "longest_load_s", "left_alone")

_KEPT = attrgetter(*_PLAIN, "own_options", "pulled", "touched", "pause", "learned_size", "record", "policy.release")


def what_is_kept(model: ModelMemory) -> tuple[object, ...]:
    """What `model_document` is made of: while it is the same, so is the document."""
    kept: tuple[object, ...] = _KEPT(model)
    return kept


def model_document(model: ModelMemory) -> Document:
    """What to keep of one model."""
    kept: Document = {name: value for name in _PLAIN if (value := getattr(model, name))}
    if model.own_options is not None:
        kept["own_options"] = _written(model.own_options)
    if model.pulled is not None:
        kept["digest"] = model.pulled
    if model.touched is not None:
        kept["touched"] = model.touched.wall.isoformat()
    if model.pause is not None:
        kept["pause"] = _pause(model.pause)
    if model.learned_size is not None:
        learned = model.learned_size
        kept["learned_size"] = {"digest": learned.digest, "options": _written(learned.options), "size": learned.size}
    if model.record is not None:
        kept["record"] = _record(model.record)
        kept["release"] = model.policy.release.value
    return kept


def restored_model(model: ModelMemory, kept: Mapping[str, Any], now: Instant) -> ModelMemory:
    """The model with what was kept of it.

    Raises:
        ValueError, TypeError, KeyError: the document is not one of ours; nothing of it should be used.
    """
    plain = {name: kept[name] for name in _PLAIN if name in kept}
    own = _read(kept["own_options"]) if "own_options" in kept else None
    touched = _dated_back(kept["touched"], now) if "touched" in kept else None
    record = _restored_record(kept["record"]) if "record" in kept else None
    pause = _restored_pause(kept["pause"]) if "pause" in kept else None
    size = kept.get("learned_size")
    learned = LearnedSize(size["digest"], _read(size["options"]), int(size["size"])) if size else None
    return replace(model, **plain, own_options=own, touched=touched, record=record, pause=pause, learned_size=learned)


def left_behind(memory: ServerMemory, name: str, kept: Mapping[str, Any], now: Instant) -> ServerMemory:
    """The memory with a model that is wanted no more, where its load was ours and so is to be given back.

    Raises:
        ValueError, TypeError, KeyError: the document is not one of ours.
    """
    if "record" not in kept or any(model.policy.name == parse_name(name) for model in memory.known):
        return memory
    policy = replace(policy_for(name), release=Release(kept["release"]), lease_s=kept["record"]["lease_s"])
    model = restored_model(ModelMemory(policy), kept, now)
    return memory.with_leaving((*memory.leaving, model))


def server_document(memory: ServerMemory) -> Document:
    """What to keep of the server itself."""
    kept: Document = {}
    if memory.longest_load_s:
        kept["longest_load_s"] = round(memory.longest_load_s, 3)
    if memory.gpu_seen:
        kept["gpu_seen"] = True
    full = memory.full
    if full is not None:
        kept["full"] = {
            "since": full.since.wall.isoformat(),
            "winner": full.winner,
            "loser": full.loser,
            "sweep": full.sweep,
            "winner_size": full.winner_size,
            "loser_size": full.loser_size,
            "losers": list(full.losers),
        }
    return kept


def restored_server(memory: ServerMemory, kept: Mapping[str, Any], now: Instant) -> ServerMemory:
    """The memory with what was kept of the server; a mark of full stands only while both models are still wanted so.

    Raises:
        ValueError, TypeError, KeyError: the document is not one of ours.
    """
    memory = replace(memory, longest_load_s=kept.get("longest_load_s"), gpu_seen=kept.get("gpu_seen") is True)
    full = kept.get("full")
    ranks = {model.model: model.policy.rank for model in memory.models}
    if full is None or full["winner"] not in ranks or full["loser"] not in ranks:
        return memory
    mark = Full(
        _dated_back(full["since"], now),
        ranks[full["winner"]],
        full["winner"],
        full["loser"],
        winner_size=int(full["winner_size"]),
        loser_size=int(full["loser_size"]),
        sweep=bool(full["sweep"]),
        losers=tuple(name for name in full.get("losers", ()) if name in ranks),
    )
    over = now.mono >= mark.until or ranks[mark.winner] < ranks[mark.loser]
    return memory if over else replace(memory, full=mark)


def _pause(pause: Pause) -> Document:
    until = pause.until.isoformat() if pause.until else None
    return {
        "since": pause.since.isoformat(),
        "until": until,
        "by": pause.by,
        "note": pause.note,
        "unload": pause.unload,
    }


def _restored_pause(kept: Mapping[str, Any]) -> Pause:
    until = datetime.fromisoformat(kept["until"]) if kept["until"] else None
    return Pause(datetime.fromisoformat(kept["since"]), until, kept["by"], kept["note"], bool(kept["unload"]))


def _record(record: LoadRecord) -> Document:
    return {
        "digest": record.digest,
        "context_length": record.context_length,
        "size": record.size,
        "size_vram": record.size_vram,
        "lease_s": record.lease_s,
        "options": _written(record.options),
        "armed": record.armed.isoformat(),
    }


def _restored_record(kept: Mapping[str, Any]) -> LoadRecord:
    return LoadRecord(
        digest=kept["digest"],
        context_length=kept["context_length"],
        size=kept["size"],
        size_vram=kept["size_vram"],
        lease_s=kept["lease_s"],
        options=_read(kept["options"]),
        armed=datetime.fromisoformat(kept["armed"]),
    )


def _written(options: Options) -> list[list[object]]:
    return [list(pair) for pair in options]


def _read(options: list[list[Any]]) -> Options:
    return tuple((str(key), value) for key, value in options)


def _dated_back(text: str, now: Instant) -> Instant:
    age = max((now.wall - datetime.fromisoformat(text)).total_seconds(), 0.0)
    return now.later(-age)
