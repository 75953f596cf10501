"""What a keeper costs while all is well: ten models, a look each 15 s."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.child import cpu_s, memory_mib
from bench.number import Number
from tests.kit.proc import World

MODELS = 10
SECONDS = 60.0
SETTLED_S = 3.0
AS_IT_COMES: dict[str, str] = {}  # with its page
TARGET_MIB = 60
TARGET_PERCENT = 0.5


def measure() -> Iterator[Number]:
    """RSS at the end and CPU over a minute that begins when all models are ready."""
    with TemporaryDirectory() as home, World(Path(home), AS_IT_COMES) as world:
        names = [f"model-{number}:8b" for number in range(MODELS)]
        catalogue = world.home / "models.yaml"
        catalogue.write_text("".join(f"- {{name: '{name}', load_time: 100ms}}\n" for name in names))
        server = world.simulate("--models", str(catalogue), "--max-loaded", str(MODELS))
        keeper = world.run(*names, "--ollama", server.url)
        for _ in names:
            keeper.until("model.ready")
        time.sleep(SETTLED_S)
        looks, began, used = len(server.requests("/api/ps")), time.monotonic(), cpu_s(keeper.pid)
        time.sleep(SECONDS)
        percent = 100 * (cpu_s(keeper.pid) - used) / (time.monotonic() - began)
        looked = len(server.requests("/api/ps")) - looks
        peak = memory_mib(keeper.pid, "VmHWM")
        yield Number("10 models, RSS", memory_mib(keeper.pid), "MiB", TARGET_MIB, f"{peak:.1f} at its largest")
        yield Number("10 models, CPU", percent, "% of a core", TARGET_PERCENT, f"{looked} looks in {SECONDS:.0f} s")
