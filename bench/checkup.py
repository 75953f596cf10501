"""How long `check` takes for ten models."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.number import Number
from bench.rest import MODELS
from tests.kit.proc import World

TRIES = 5
TARGET_S = 3


def measure() -> Iterator[Number]:
    """From exec to the end of the command, on a server that has answered before."""
    with TemporaryDirectory() as home, World(Path(home)) as world:
        names = [f"model-{number}:8b" for number in range(MODELS)]
        catalogue = world.home / "models.yaml"
        catalogue.write_text("models:\n" + "".join(f"- {{name: '{name}', load_time: 100ms}}\n" for name in names))
        server = world.simulate("--models", str(catalogue), "--max-loaded", str(MODELS))
        took = [_checked(world, names, server.url) for _ in range(TRIES)]
    yield Number("check, 10 models", median(took), "s", TARGET_S, f"median of {TRIES}, {max(took):.2g} at most")


def _checked(world: World, names: list[str], url: str) -> float:
    began = time.monotonic()
    done = world.do("check", *names, "--ollama", url)
    if done.code not in {0, 1}:
        msg = f"check ended with {done.code}: {done.out}{done.err}"
        raise RuntimeError(msg)
    return time.monotonic() - began
