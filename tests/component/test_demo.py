"""The demo's play in virtual time, held to what the simulated servers really were; and the command as a process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ollama_keeper.commands.demo_lines import fields_of
from ollama_keeper.commands.demo_play import Play
from ollama_keeper.commands.demo_script import SECONDS, WANTED, Turn
from ollama_keeper.commands.demo_stage import Stage
from ollama_keeper.commands.demo_tally import Tally
from ollama_keeper.daemon import Parts
from ollama_keeper.ollama.client import OllamaClient
from ollama_keeper.report import Reports
from ollama_keeper.store import Store
from tests.kit.keeper import HOST, Recorder, did_no_harm
from tests.kit.transport import SimTransport
from tests.kit.virtual import LoopClock

STEP_S = 0.02


@dataclass
class Played:
    """A play that is over, and what was seen of it from outside."""

    play: Play
    recorder: Recorder
    turns: list[Turn] = field(default_factory=list)
    cold_s: list[float] = field(default_factory=lambda: [0.0, 0.0])

    async def sample(self) -> None:
        """Adds up the time without each model by looking into the servers themselves."""
        while True:
            await asyncio.sleep(STEP_S)
            if self.play.span is not None:
                for side, stage in enumerate((self.play.kept, self.play.alone)):
                    self.cold_s[side] += STEP_S * sum(not stage.simulator.is_resident(name) for name in WANTED)


async def played(seed: int, seconds: float) -> Played:
    kept, recorder = Stage(), Recorder()
    transport = SimTransport(kept.simulator)
    parts = Parts(
        Reports(recorder),  # type: ignore[arg-type]
        Store(None, report=lambda _: None),
        LoopClock(),
        lambda server: OllamaClient(server.address, transport=transport),
    )
    seen = Played(Play(parts, f"http://{HOST}", kept), recorder)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    sampling = asyncio.create_task(seen.sample())
    await seen.play.run(seed, stop, seen.turns.append)
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)
    await seen.play.close()
    return seen


@pytest.mark.parametrize("seed", [1, 4])
async def test_the_tally_is_what_the_servers_really_were(seed: int) -> None:
    seen = await played(seed, 75)
    for tally, sampled in zip(seen.play.tallies(), seen.cold_s, strict=True):
        edges = tally.losses + tally.healed + 2
        assert tally.cold_s == pytest.approx(sampled, abs=STEP_S * edges)
        assert tally.losses >= tally.healed
        assert tally.asked >= 7


async def test_a_round_of_mishaps_is_healed_by_the_keeper_and_by_nobody_else() -> None:
    seen = await played(4, 80)
    kept, alone = seen.play.tallies()
    assert {turn.mishap for turn in seen.turns if turn.troubles} == set(SECONDS)
    assert kept.losses >= len(SECONDS) - 1
    assert kept.losses - kept.healed == kept.resident.count(False)
    assert kept.cold_s < alone.cold_s
    assert kept.waited < alone.waited


async def test_the_keeper_spends_no_token_and_harms_nothing_there_either() -> None:
    seen = await played(2, 60)
    did_no_harm(seen.play.kept.simulator, reloads=1)
    told = {change.event for _, change in seen.recorder.changes}
    assert {"model.lost", "model.ready", "server.restarted"} <= told
    assert not {"check.failed", "breaker.opened"} & told


async def test_nobody_keeps_the_other_server() -> None:
    seen = await played(2, 60)
    assert {request.who for request in seen.play.alone.simulator.history.requests()} == {"client", "user"}


async def test_the_same_seed_is_the_same_play() -> None:
    first, again = await played(3, 40), await played(3, 40)
    assert first.turns == again.turns
    assert fields_of(*first.play.tallies()) == fields_of(*again.play.tallies())


async def test_stopped_before_all_models_are_there_it_has_nothing_to_tell() -> None:
    seen = await played(1, 1.0)
    assert seen.turns == []
    assert seen.play.tallies() == (Tally(), Tally())


# --- the command ------------------------------------------------------------------------------------------------------


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ollama_keeper", "demo", *arguments]


def environment(home: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA", "XDG"))}
    return {**inherited, "HOME": str(home)}


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.process
def test_in_a_pipe_it_is_json_lines_with_the_tally_last_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        command("--for", "9s", "--seed", "3"),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    told = events(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert told[0]["event"] == "demo.started"
    assert told[0]["seed"] == 3
    assert {"server.up", "warm.started", "model.ready", "demo.mishap", "keeper.stopped"} <= {
        line["event"] for line in told
    }
    assert told[-1]["event"] == "demo.tally"
    assert set(fields_of(Tally(), Tally())) <= set(told[-1])
    assert told[-1]["models"] == len(WANTED)
    assert 0 < told[-1]["watched_s"] < 9
    assert "signal" not in next(line for line in told if line["event"] == "keeper.stopping")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_ends_it_in_good_order(tmp_path: Path) -> None:
    with subprocess.Popen(command("--json"), env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "model.ready":
                break
        process.send_signal(signal.SIGINT)
        rest = events(process.stdout.read())
        assert process.wait(30) == 0
    assert rest[-1]["event"] == "demo.tally"
