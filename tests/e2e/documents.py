"""Documents such as `/status` and `/history` answer, for what a simulated server cannot show at will."""

from datetime import UTC, datetime, timedelta
from typing import Any

GIB = 2**30
ANNA = {"paused_by": "anna", "paused_note": "a game"}
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</td><script>alert(2)</script>",
    "\x1b[31mred\x1b[0m\nline\r\x07",
    "\u202egnp.exe\u2028\u2066",
    "${alert(3)}{{7*7}}",
    "x" * 10_000,
    "постель-\u0301\u0301\u0301",
)


def at(seconds: float = 0.0) -> str:
    """An instant, so many seconds from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def model(
    name: str, state: str = "ready", reason: str | None = None, *, server: str = "gpu", **more: Any
) -> dict[str, Any]:
    """A row; resident where its state says so."""
    there = state in {"ready", "degraded", "guest"}
    row = {"server": server, "model": name, "state": state, "reason": reason, "resident": there}
    row |= {"required": state != "guest", "since": at(-4_000), "until": "forever" if there else None}
    row |= {"remaining_s": None, "context_length": 8_192 if there else None, "gpu_fraction": 1.0 if there else None}
    row |= {"size_bytes": 5 * GIB if there else None, "vram_bytes": 5 * GIB if there else None}
    row |= {"next": None, "next_s": None, "pulled_fraction": None}
    row |= {"paused_by": None, "paused_until": None, "paused_note": None}
    return row | {"warm_day": 0.9634 if state != "guest" else None, "warm_month": 0.9987} | more


def server(name: str = "gpu", state: str = "up", **more: Any) -> dict[str, Any]:
    """A server."""
    row = {"name": name, "state": state, "version": "0.33.0", "reason": None if state == "up" else "connect_refused"}
    row |= {"since": at(-90_000), "looked": at(-2), "budget_bytes": 22 * GIB, "budget_models": None}
    return row | more


def status(hostile: tuple[str, ...] = ()) -> dict[str, Any]:
    """One of every state; or models of such names, and a server of the first of them."""
    if hostile:
        rows = [model(name, "cold", "unload_grace", server=hostile[0], next="warm", next_s=9.0) for name in hostile]
        return {"version": 1, "at": at(), "servers": [server(hostile[0])], "models": rows}
    models = [
        model("qwen3:8b", next="ping", next_s=140.0),
        model("nomic-embed-text", until=at(1_500), remaining_s=1_500.0, next="ping", next_s=700.0, size_bytes=GIB // 2),
        model("hf.co/bartowski/Llama-3.3-70B-Instruct-GGUF:Q4_K_M", "degraded", "partly_on_cpu", gpu_fraction=0.62),
        model("gemma3:27b", "loading", "expired", since=at(-14)),
        model("llama3.2:3b", "yielding", "guest_active", next="warm", next_s=44.0),
        model("mistral:7b", "cold", "unload_grace", next="warm", next_s=21.0),
        model("phi4:14b", "missing", "not_pulled"),
        model("deepseek-r1:14b", "paused", "by_command", next="resume", next_s=5_400.0, required=False, **ANNA),
        model("llava:34b", "backing_off", "out_of_memory", next="warm", next_s=77.0),
        model("other:1b", "queued", "behind_load", next="warm"),
        model("big:120b", "over_budget", "memory_budget"),
        model("night:7b", "off_hours", "outside_hours", next="warm", next_s=30_000.0),
        model("two:7b", "contended", "evicts_wanted"),
        model("deaf:7b", "stuck", "never_answers"),
        model("cloud:480b", "refused", "cloud_model"),
        model("llava:13b", "guest", until=at(180), remaining_s=180.0, size_bytes=4 * GIB),
        model("qwen3:0.6b", "unknown", "server_down", server="cpu"),
    ]
    down = server("cpu", "down", looked=at(-700), budget_bytes=None, budget_models=3)
    return {"version": 1, "at": at(), "servers": [server(), down], "models": models}


def fleet(
    *, servers: int, models: int = 0, down: set[int] | None = None, cold: set[tuple[int, int]] | None = None
) -> dict[str, Any]:
    """Many servers, each with as many models; those in `down` do not answer, and of `cold` each is a lost model."""
    names = [f"node-{number:03}" for number in range(servers)]

    def state(number: int, one: int) -> tuple[str, ...]:
        if number in (down or set()):
            return "unknown", "server_down"
        return ("cold", "unload_grace") if (number, one) in (cold or set()) else ()

    rows = [
        model(f"m{one}:7b", *state(number, one), server=name)
        for number, name in enumerate(names)
        for one in range(models)
    ]
    machines = [server(name, "down" if number in (down or set()) else "up") for number, name in enumerate(names)]
    return {"version": 1, "at": at(), "servers": machines, "models": rows}


def history(shown: dict[str, Any], *, hours: float = 24.0) -> dict[str, Any]:
    """A past of each wanted model: lost twice, once by itself and once displaced, and not seen at first."""
    now = datetime.now(UTC).timestamp()
    models = [_past(row, now, place) for place, row in enumerate(shown["models"]) if row["state"] != "guest"]
    return {"version": 1, "from": now - hours * 3_600, "to": now, "models": models, "events": _events()}


def _past(row: dict[str, Any], now: float, place: int) -> dict[str, Any]:
    first, second = now - 70_000 + place * 900, now - 20_000 - place * 400
    spans = [
        [now - 80_000, first, "ready"],
        [first, first + 600, "cold"],
        [first + 600, first + 660, "loading"],
        [first + 660, second, "ready"],
        [second, second + 2_400, "yielding"],
        [second + 2_400, second + 2_460, "loading"],
        [second + 2_460, now, "ready"],
    ]
    losses = [
        {"at": first, "cause": "unloaded", "displaced_by": None},
        {"at": second, "cause": "displaced", "displaced_by": "llava:13b"},
    ]
    return {"server": row["server"], "model": row["model"], "spans": spans, "losses": losses}


def _events() -> list[dict[str, Any]]:
    told = [
        (
            "info",
            "model.ready",
            "qwen3:8b on gpu is ready: loaded in 9.8s, absent for 1m 11s because another model displaced it",
        ),
        ("info", "warm.started", "loading qwen3:8b on gpu: another model displaced it"),
        ("warning", "model.lost", "qwen3:8b on gpu was lost: displaced by llava:13b; last seen 3.0s ago, now yielding"),
        ("error", "warm.failed", "loading llava:34b on gpu failed after 3.1s: out of memory, HTTP 500, again in 10s"),
        ("warning", "model.missing", "phi4:14b on gpu cannot be loaded: not pulled"),
    ]
    hints = {"model.missing": "ollama pull phi4:14b"}
    return [
        {
            "ts": at(-70.0 * number),
            "level": level,
            "event": event,
            "server": "gpu",
            "text": text,
            "hint": hints.get(event),
        }
        for number, (level, event, text) in enumerate(told, start=1)
    ]
