"""Whoever reads the log, or does not, never stops the keeper: faults E1 and E2."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kit.proc import Child, World, free_port, ours, wait_for

pytestmark = pytest.mark.process

QWEN = "qwen3:8b"
FULL = Path("/dev/full")
QUICK = ("--load-time", "100ms")
EVERY_SECOND = ("--interval", "1s", "--log-level", "debug")


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe that takes not a byte more."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"\n" * 512)
    except BlockingIOError:
        os.set_blocking(writer, True)
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def blocked(world: World, url: str, writer: int) -> Child:
    return world.run(QWEN, "--ollama", url, *EVERY_SECOND, stdout=writer)


def test_looks_and_loads_go_on_while_nobody_reads_stdout_and_it_can_be_stopped(world: World) -> None:
    server = world.simulate(*QUICK)
    with full_pipe() as (_, writer):
        keeper = blocked(world, server.url, writer)
        server.looked(3)
        assert server.resident()[QWEN]["pinned"]
        keeper.signal(signal.SIGTERM)
        assert keeper.ended() == 0


def test_what_was_told_while_nobody_read_arrives_when_somebody_does(world: World) -> None:
    server = world.simulate(*QUICK)
    with full_pipe() as (reader, writer):
        keeper = blocked(world, server.url, writer)
        server.looked(2)
        arrived = b""
        while b"model.ready" not in arrived:
            arrived += os.read(reader, 65_536)
        assert b"keeper.started" in arrived
        assert b"log.dropped" not in arrived
        keeper.signal(signal.SIGTERM)
        assert keeper.ended() == 0


def test_looks_go_on_after_the_reader_of_stdout_has_gone(world: World) -> None:
    server = world.simulate(*QUICK)
    keeper = world.run(QWEN, "--ollama", server.url, *EVERY_SECOND)
    keeper.until("keeper.started")
    keeper.stop_reading()
    server.looked(3)
    server.befalls("restart")
    wait_for(lambda: QWEN in server.resident())
    keeper.signal(signal.SIGTERM)
    assert keeper.ended() == 0
    assert keeper.errors == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_keeper_without_a_stdout_keeps(world: World) -> None:
    server = world.simulate(*QUICK)
    keeper = world.start(["sh", "-c", 'exec "$@" >&-', "sh", *ours("run", QWEN, "--ollama", server.url)])
    server.looked(2)
    keeper.signal(signal.SIGTERM)
    assert keeper.ended() == 0
    assert keeper.errors == ""


@pytest.mark.parametrize(
    "command",
    [
        ("events",),
        ("events", "--json"),
        ("events", "--follow"),
        ("explain", QWEN),
        ("status", "--watch"),
        ("config", "schema"),
        ("completion", "bash"),
        ("--version",),
        ("run", "--help"),
    ],
    ids=" ".join,
)
def test_a_command_whose_reader_has_gone_ends_as_any_unix_tool(world: World, command: tuple[str, ...]) -> None:
    server, listen = world.simulate(*QUICK), f"127.0.0.1:{free_port()}"
    settings = {"OLLAMA_KEEPER_STATE_DIR": str(world.home / "state"), "OLLAMA_KEEPER_WEB__LISTEN": listen}
    world.run(QWEN, "--ollama", server.url, **settings).until("model.ready")
    wait_for(lambda: "model.ready" in world.do("events", **settings).out)
    reader, writer = os.pipe()
    os.close(reader)
    told = world.start(ours(*command), stdout=writer, **settings)
    os.close(writer)
    assert told.ended() in {-signal.SIGPIPE, 141}  # 141 where it is blocked, as containers may do
    assert told.errors == ""


def test_a_health_is_no_other_where_nobody_reads_it(world: World) -> None:
    server, listen = world.simulate(*QUICK), f"127.0.0.1:{free_port()}"
    settings = {"OLLAMA_KEEPER_WEB__LISTEN": listen}
    world.run(QWEN, "--ollama", server.url, **settings).until("model.ready")
    reader, writer = os.pipe()
    os.close(reader)
    told = world.start(ours("healthcheck"), stdout=writer, **settings)
    os.close(writer)
    assert told.ended() == 0
    assert told.errors == ""


@pytest.mark.skipif(not FULL.exists(), reason="no full device here")
def test_what_cannot_be_written_is_told_in_one_line(world: World) -> None:
    with FULL.open("wb") as full:
        told = world.start(ours("config", "schema"), stdout=full.fileno())
        assert told.ended() == 1
    assert told.errors == "ollama-keeper: what is shown cannot be written: no space left on device\n"


@pytest.mark.parametrize(
    "command", [("status",), ("usage",), ("wait", "--timeout", "1s"), ("healthcheck",)], ids=" ".join
)
def test_a_command_without_a_stdout_ends_as_with_one(world: World, command: tuple[str, ...]) -> None:
    server = world.simulate(*QUICK)
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *ours(*command)]
    settings = {"OLLAMA_HOST": server.url, "OLLAMA_KEEPER_MODELS": QWEN, "OLLAMA_KEEPER_WEB__LISTEN": "127.0.0.1:9"}
    told = world.start(closed, **settings)
    assert told.ended() == world.do(*command, **settings).code
    assert "Traceback" not in told.errors
