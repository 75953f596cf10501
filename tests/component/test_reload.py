"""A new configuration while the keeper runs: all of it or none, and only what changed is touched."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from ollama_keeper.core.policy import Release
from ollama_keeper.simulator import Simulator
from ollama_keeper.simulator.catalogue import make_model
from ollama_keeper.store import open_store
from tests.component.test_keeping import EMBED, LLAMA, QWEN, pinned, resident
from tests.kit.keeper import HOST, US, Keeper, did_no_harm, keeping, touches, until, wanted
from tests.kit.transport import SimTransport


async def settled(sim: Simulator, keeper: Keeper, *names: str) -> None:
    await pinned(sim, *names)
    await until(lambda: all(keeper.state(name) == "ready" for name in names))


async def test_a_model_that_is_added_is_warmed_and_the_others_keep_their_phase(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(100)
        await keeper.reload({HOST: (wanted(QWEN), wanted(EMBED))})
        await settled(sim, keeper, EMBED)
        assert [load.model for load in sim.history.loads(who=US)] == [QWEN, f"{EMBED}:latest"]
        loaded = keeper.last("config.loaded")
        assert (loaded.added, loaded.removed, loaded.changed) == (1, 0, 0)
        await asyncio.sleep(1_300)
        pings = [request.at for request in touches(sim, QWEN)]
        assert all(300 <= later - earlier <= 316 for earlier, later in pairwise(pings))


async def test_a_pin_that_is_wanted_no_more_is_lowered_and_expires(sim: Simulator) -> None:
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await settled(sim, keeper, QWEN, LLAMA)
        await keeper.reload({HOST: (wanted(QWEN),)})
        await until(lambda: not resident(sim, LLAMA).pinned, limit_s=30)
        assert keeper.events("model.released") == ["model.released"]
        await until(lambda: not sim.is_resident(LLAMA), limit_s=310)
        await asyncio.sleep(100)
        assert "model.lost" not in keeper.events()
        assert resident(sim, QWEN).pinned


async def test_release_unload_takes_the_model_out(sim: Simulator) -> None:
    async with keeping(sim, QWEN, wanted(LLAMA, release=Release.UNLOAD)) as keeper:
        await settled(sim, keeper, QWEN, LLAMA)
        await keeper.reload({HOST: (wanted(QWEN),)})
        await until(lambda: not sim.is_resident(LLAMA), limit_s=30)
        await asyncio.sleep(20)
        assert keeper.last("model.released").how == "unload"
        assert "model.lost" not in keeper.events()


async def test_a_model_that_is_removed_while_it_loads_is_let_load_and_then_given_back(sim: Simulator) -> None:
    """FAULTS G7."""
    sim.load_time(LLAMA, 60)
    async with keeping(sim, QWEN, LLAMA) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(5)
        await keeper.reload({HOST: (wanted(QWEN),)})
        await until(lambda: sim.is_resident(LLAMA))
        await until(lambda: not resident(sim, LLAMA).pinned, limit_s=90)
        await asyncio.sleep(400)
        assert not sim.is_resident(LLAMA)


async def test_another_url_is_a_new_server_and_the_old_one_is_given_its_room_back(
    make_sim: Callable[..., Simulator],
) -> None:
    old, new = make_sim(), make_sim()
    network = SimTransport({"10.0.0.1:11434": old, "10.0.0.2:11434": new})
    keeper = Keeper({"10.0.0.1:11434": (wanted(QWEN),)}, network)
    keeper.start()
    await pinned(old, QWEN)
    await asyncio.sleep(5)
    await keeper.reload({"10.0.0.2:11434": (wanted(QWEN),)})
    await pinned(new, QWEN)
    await until(lambda: not resident(old, QWEN).pinned, limit_s=30)
    await asyncio.sleep(400)
    asked = len(old.history.requests(who=US))
    await asyncio.sleep(400)
    assert len(old.history.requests(who=US)) == asked
    await keeper.stop()
    for sim in (old, new):
        did_no_harm(sim)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_two_hundred_reloads_leave_nothing_behind(sim: Simulator) -> None:
    async with keeping(sim, QWEN) as keeper:
        await settled(sim, keeper, QWEN)
        before = len(asyncio.all_tasks()), descriptors()
        sim.store(*(make_model(f"m{number}", load_s=0.5, size=10**8) for number in range(3)))
        sim.max_loaded(10)
        for number in range(200):
            await keeper.reload({HOST: (wanted(QWEN), wanted(f"m{number % 3}", lease_s=60.0))})
            await asyncio.sleep(3)
        await keeper.reload({HOST: (wanted(QWEN),)})
        await asyncio.sleep(200)
        assert (len(asyncio.all_tasks()), descriptors()) == before
        assert len(sim.history.loads(QWEN)) == 1


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(f"ollama: http://{HOST}\nstate_dir: off\nmodels: [{QWEN}]\n", encoding="utf-8")
    return path


async def test_a_changed_file_is_used_within_five_seconds(sim: Simulator, file: Path) -> None:
    async with keeping(sim, file=file) as keeper:
        await settled(sim, keeper, QWEN)
        file.write_text(f"ollama: http://{HOST}\nstate_dir: off\nmodels: [{QWEN}, {EMBED}]\n", encoding="utf-8")
        assert await until(lambda: len(keeper.all("config.loaded")) == 2) <= 5
        await settled(sim, keeper, EMBED)


async def test_a_swapped_link_is_a_change(sim: Simulator, file: Path, tmp_path: Path) -> None:
    """As a ConfigMap is swapped (FAULTS E7)."""
    link = tmp_path / "linked.yaml"
    link.symlink_to(file)
    async with keeping(sim, file=link) as keeper:
        await settled(sim, keeper, QWEN)
        other = tmp_path / "other.yaml"
        other.write_text(file.read_text(encoding="utf-8").replace(QWEN, f"{QWEN}, {EMBED}"), encoding="utf-8")
        swap = tmp_path / "swap"
        swap.symlink_to(other)
        swap.replace(link)
        await settled(sim, keeper, EMBED)


async def test_a_file_that_is_being_written_is_not_used(sim: Simulator, file: Path) -> None:
    async with keeping(sim, file=file) as keeper:
        await settled(sim, keeper, QWEN)
        whole = file.read_text(encoding="utf-8") + "# " + "x" * 400
        for end in range(40, len(whole), 40):
            file.write_text(whole[:end], encoding="utf-8")
            await asyncio.sleep(1)
        file.write_text(whole, encoding="utf-8")
        await asyncio.sleep(5)
        assert keeper.all("config.rejected") == []


async def test_a_broken_file_is_told_once_with_its_place_and_the_old_one_stays(sim: Simulator, file: Path) -> None:
    """Acceptance story 25."""
    good = file.read_text(encoding="utf-8")
    async with keeping(sim, file=file) as keeper:
        await settled(sim, keeper, QWEN)
        file.write_text(good + "keep_alive: s3cret\n", encoding="utf-8")
        await asyncio.sleep(60)
        (rejected,) = keeper.all("config.rejected")
        assert (rejected.path, rejected.line, rejected.column, rejected.key) == (str(file), 4, 13, "keep_alive")
        assert "s3cret" not in str(rejected.told())
        file.unlink()
        await asyncio.sleep(60)
        assert len(keeper.all("config.rejected")) == 2
        assert resident(sim, QWEN).pinned
        file.write_text(good, encoding="utf-8")
        await until(lambda: len(keeper.all("config.loaded")) == 2, limit_s=6)
        assert len(sim.history.loads()) == 1


async def test_what_left_the_file_while_the_keeper_was_away_is_given_back(
    sim: Simulator, file: Path, tmp_path: Path
) -> None:
    file.write_text(f"ollama: http://{HOST}\nmodels: [{QWEN}, {LLAMA}]\n", encoding="utf-8")
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, file=file, store=store) as keeper:
        await settled(sim, keeper, QWEN, LLAMA)
    store.close(5)
    file.write_text(f"ollama: http://{HOST}\nmodels: [{QWEN}]\n", encoding="utf-8")
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, file=file, store=store) as keeper:
        await until(lambda: not resident(sim, LLAMA).pinned, limit_s=30)
        assert resident(sim, QWEN).pinned
        assert keeper.events("model.released") == ["model.released"]
    store.close(5)


async def test_what_another_keeper_keeps_is_left_alone(sim: Simulator, tmp_path: Path) -> None:
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, LLAMA, store=store) as keeper:
        await settled(sim, keeper, LLAMA)
    store.close(5)
    store = open_store(tmp_path, report=lambda change: None)
    async with keeping(sim, QWEN, store=store) as keeper:
        await settled(sim, keeper, QWEN)
        await asyncio.sleep(60)
        assert resident(sim, LLAMA).pinned
    store.close(5)
