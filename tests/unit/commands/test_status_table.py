"""The table of `status`: what is in its columns, and what is said below."""

from collections.abc import Sequence

from ollama_keeper.commands.status_table import table
from ollama_keeper.core.view import GUEST, ModelRow, ServerRow, Status

AT = "2026-11-24T12:00:00+00:00"
UP = ServerRow("gpu", "up", "0.33.0")


def row(model: str, state: str, reason: str | None = None, *, server: str = "gpu", **more: object) -> ModelRow:
    resident = state in {"ready", "degraded", GUEST}
    return ModelRow(server, model, state, reason, resident=resident, required=True, **more)  # type: ignore[arg-type]


def lines(*rows: ModelRow, servers: Sequence[ServerRow] = (UP,), live: bool = True) -> list[str]:
    return table(Status(1, AT, tuple(servers), rows), live=live).splitlines()


READY = row(
    "qwen3:8b",
    "ready",
    since="2026-11-24T11:57:00+00:00",
    until="forever",
    next="ping",
    next_s=120.0,
    context_length=4096,
    gpu_fraction=1.0,
    size_bytes=5 * 2**30,
)


def test_a_daemon_tells_since_when_and_what_comes_next() -> None:
    assert lines(READY) == [
        "MODEL     STATE  SINCE  NEXT        UNTIL    CONTEXT  GPU   SIZE",
        "qwen3:8b  ready  3m     ping in 2m  forever  4096     100%  5.0 GiB",
    ]


def test_one_look_tells_neither() -> None:
    assert lines(READY, live=False)[0].split() == ["MODEL", "STATE", "UNTIL", "CONTEXT", "GPU", "SIZE"]


def test_several_servers_are_named() -> None:
    assert lines(READY, servers=(UP, ServerRow("cpu", "up", "0.33.0")))[0].startswith("SERVER  MODEL")
    assert lines(READY, servers=(UP, ServerRow("cpu", "up", "0.33.0")))[-1] == "cpu: Ollama 0.33.0, nothing resident"


def test_a_wait_names_its_reason_and_a_step_without_a_time_its_turn() -> None:
    waiting = row("a", "cold", "unload_grace", next="warm", next_s=30.0)
    queued = row("b", "queued", "behind_load", next="warm")
    due = row("c", "ready", next="ping", next_s=0.0)
    _, first, second, third = lines(waiting, queued, due)
    assert "cold (unload_grace)" in first
    assert "warm in 30s" in first
    assert "warm in turn" in second
    assert "ping now" in third


def test_what_a_pause_is_and_what_ends_it_is_said_below() -> None:
    paused = row("a", "paused", "by_command", since="2026-11-24T11:50:00+00:00", paused_by="anna")
    shown = lines(paused)
    assert shown[1].split() == ["a", "paused", "10m", "-", "-", "-", "-", "-"]
    assert shown[2] == "a: paused by anna 10m ago; to end it: ollama-keeper resume a"


def test_a_time_that_is_past_is_called_stopping() -> None:
    assert " stopping " in lines(row("a", GUEST, until=AT, remaining_s=-1.0))[1]


def test_a_server_that_is_silent_is_told_with_its_reason() -> None:
    down = ServerRow("gpu", "down", "0.33.0", "connect_refused")
    assert lines(row("a", "unknown", "server_down"), servers=(down,))[-1] == (
        "gpu: no answer (connect_refused); is Ollama running there?"
    )
    assert lines(servers=(ServerRow("gpu", "waiting"),)) == ["gpu: no answer yet; is Ollama running there?"]
