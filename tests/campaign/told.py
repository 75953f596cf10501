"""A day told minute by minute: what the server's record has, and what the keeper said of it."""

from collections.abc import Iterator

from tests.campaign.day import Record
from tests.kit.checks import LOADS


def told(record: Record) -> list[str]:
    """The lines of a day, in order of time."""
    scene = record.scene
    wishes = ", ".join(
        f"{one.model} (rank {one.rank}, {'pin' if one.pins else f'lease {one.lease_s:.0f} s'}, {one.contention})"
        for one in scene.wishes
    )
    settings = scene.settings
    head = [
        f"room {settings.vram / 2**30:.1f} GiB, at most {settings.max_loaded_models or 'any number of'} models",
        f"wanted: {wishes}; each {scene.wishes[0].interval_s:.0f} s",
    ]
    return head + [f"{_clock(at)} {what}" for at, what in sorted(_lines(record), key=lambda line: line[0])]


def _lines(record: Record) -> Iterator[tuple[float, str]]:
    for mishap in record.scene.mishaps:
        yield mishap.at, f"MISHAP {mishap.name} {dict(mishap.given)}"
    for request in record.history.all_requests:
        if request.path in LOADS or request.who == "client":
            ended = "open" if request.ended is None else f"{request.ended - request.at:.3f} s"
            yield request.at, f"{request.who} asks {request.path} {request.body} -> {request.status} in {ended}"
    for load in record.history.all_loads:
        yield load.start, f"load of {load.model} for {load.who} {load.reload} begins"
        if load.end is not None:
            yield load.end, f"load of {load.model} for {load.who}: {load.outcome}"
    for gone in record.history.all_unloads:
        yield gone.at, f"{gone.model} leaves: {gone.cause} {gone.by}"
    for at, change in record.told.changes:
        if change.event not in {"keeper.summary", "model.renewed"}:
            yield at, f"    told: {change}"


def _clock(at: float) -> str:
    hours, rest = divmod(at, 3_600)
    return f"{int(hours):02}:{int(rest // 60):02}:{rest % 60:06.3f}"
