"""The wall clock of a real process is set, by a library that fakes it; what the server saw is the truth."""

import signal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kit.living import survived
from tests.kit.proc import Child, Simulated, World, ours

pytestmark = [pytest.mark.process, pytest.mark.slow]

QWEN = "qwen3:8b"
INTERVAL_S, BEAT_S, ROUNDING_S = 1.0, 5.0, 3.0
HOUR_S, YEAR_S = 3_600, 365 * 86_400
PLACES = ("/usr/lib/*/faketime", "/usr/lib64/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
FOUND = [file for place in PLACES for file in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1")]


class Wall:
    """The wall clock of a keeper, and of nothing else: its monotonic clock stays the machine's."""

    def __init__(self, home: Path) -> None:
        self._file = home / "wall"
        self.set(0)

    def set(self, offset_s: int) -> None:
        """From now on it differs by so much from the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset_s:+d}\n")
        new.replace(self._file)

    def run(self, world: World, server: Simulated) -> Child:
        """A keeper with this clock."""
        return world.start(
            ours("run", QWEN, "--ollama", server.url, "--interval", f"{INTERVAL_S:g}s"),
            LD_PRELOAD=str(FOUND[0]),
            FAKETIME_TIMESTAMP_FILE=str(self._file),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            DONT_FAKE_MONOTONIC="1",
            NO_FAKE_STAT="1",
        )


@pytest.mark.skipif(not FOUND, reason="needs libfaketime (Debian: apt-get install faketime)")
def test_a_clock_that_is_set_back_an_hour_and_then_a_year_forward_changes_nothing(world: World) -> None:
    server, wall = world.simulate("--load-time", "100ms"), Wall(world.home)
    keeper = wall.run(world, server)
    keeper.until("model.ready")
    began = server.looked(2)[-1]["at"]
    for offset_s, step_s in ((-HOUR_S, -HOUR_S), (YEAR_S, YEAR_S + HOUR_S)):
        wall.set(offset_s)
        jumped = keeper.until("clock.jumped", limit_s=BEAT_S + 10)
        assert abs(jumped["delta_s"] - step_s) <= ROUNDING_S
        server.looked(8)
    keeper.signal(signal.SIGTERM)
    assert keeper.ended() == 0
    looks = [look["at"] for look in server.requests("/api/ps") if look["at"] >= began]
    assert max(later - earlier for earlier, later in pairwise(looks)) <= INTERVAL_S + BEAT_S, "no stall"
    assert len(looks) <= (looks[-1] - looks[0]) / INTERVAL_S + 4, "no burst"
    assert keeper.told.count("clock.jumped") == 2
    assert "model.lost" not in keeper.told
    assert len(server.loads()) == 1
    survived(server, keeper)
