"""Signals: the first one asks, the second one ends."""

import signal
import time

import pytest

from tests.kit.proc import Child, Simulated, World, free_port, wait_for

pytestmark = pytest.mark.process

QWEN = "qwen3:8b"
BOTH = [signal.SIGTERM, signal.SIGINT]
SOON_S = 8.0  # less than the grace of 20 s, and than the 15 s that a look may take


def loading(world: World, load_time: str, **variables: str) -> tuple[Simulated, Child]:
    """A keeper with a load open at its server."""
    server = world.simulate("--load-time", load_time)
    keeper = world.run(QWEN, "--ollama", server.url, **variables)
    keeper.until("warm.started")
    wait_for(server.loads)
    return server, keeper


@pytest.mark.parametrize("number", BOTH, ids=lambda number: number.name)
def test_a_signal_ends_the_keeper_in_good_order_and_leaves_the_model(world: World, number: signal.Signals) -> None:
    server = world.simulate("--load-time", "100ms")
    keeper = world.run(QWEN, "--ollama", server.url)
    keeper.until("model.ready")
    keeper.signal(number)
    assert keeper.ended() == 0
    assert keeper.told[-2:] == ["keeper.stopping", "keeper.stopped"]
    assert keeper.events[-2]["signal"] == number.name
    assert keeper.events[-1]["loads_abandoned"] == 0
    assert keeper.errors == ""
    assert server.resident()[QWEN]["pinned"]


@pytest.mark.parametrize("number", BOTH, ids=lambda number: number.name)
def test_a_second_signal_ends_it_at_once(world: World, number: signal.Signals) -> None:
    _, keeper = loading(world, "1h")
    keeper.signal(signal.SIGTERM)
    keeper.until("keeper.stopping")
    keeper.signal(number)
    assert keeper.ended(limit_s=SOON_S) == 128 + number
    assert "keeper.stopped" not in keeper.told


def test_a_stop_lets_an_open_load_end_within_its_grace(world: World) -> None:
    """Fault G1, the short load."""
    server, keeper = loading(world, "1s")
    keeper.signal(signal.SIGTERM)
    assert keeper.ended() == 0
    assert keeper.events[-1]["loads_abandoned"] == 0
    assert [load["outcome"] for load in server.loads()] == ["loaded"]
    assert server.resident()[QWEN]["pinned"]


def test_a_stop_abandons_a_load_that_outlasts_its_grace(world: World) -> None:
    """Fault G1, the long load."""
    server, keeper = loading(world, "1h", OLLAMA_KEEPER_SHUTDOWN_GRACE="1s")
    asked = time.monotonic()
    keeper.signal(signal.SIGTERM)
    assert keeper.ended(limit_s=SOON_S) == 0
    assert keeper.told[-1] == "keeper.stopped"
    assert keeper.events[-1]["loads_abandoned"] == 1
    wait_for(lambda: server.loads()[0]["outcome"] == "aborted")
    assert server.loads()[0]["end"] - asked >= 1.0


def test_a_stop_does_not_wait_for_a_server_that_is_not_there(world: World) -> None:
    keeper = world.run(QWEN, "--ollama", f"http://127.0.0.1:{free_port()}")
    keeper.until("server.waiting")
    keeper.signal(signal.SIGTERM)
    assert keeper.ended(limit_s=SOON_S) == 0


def test_a_stop_does_not_wait_for_an_answer_to_a_look(world: World) -> None:
    server = world.simulate("--load-time", "100ms")
    server.befalls("hang", path="ps")
    keeper = world.run(QWEN, "--ollama", server.url)
    wait_for(lambda: server.requests("/api/ps"))
    keeper.signal(signal.SIGTERM)
    assert keeper.ended(limit_s=SOON_S) == 0
    assert keeper.told[-1] == "keeper.stopped"
