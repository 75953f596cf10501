"""`python -m tests.worlds [--minutes N] [--depth D]`: walks all scenes, a process each, as deep as the time allows."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat

from tests.worlds.scene import SCENES, Scene
from tests.worlds.walk import Walk, retold


def main() -> int:
    """Walk, tell how far it came and what is broken; 1 where something is."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for all of them together, on enough cores")
    parser.add_argument("--depth", type=int, default=9, help="happenings at most")
    parser.add_argument("--scene", type=int, action="append", help="0 to 2; all without")
    given = parser.parse_args()
    scenes = [SCENES[number] for number in given.scene] if given.scene else list(SCENES)
    with ProcessPoolExecutor(len(scenes)) as pool:
        walked = list(pool.map(_walked, scenes, repeat(given.minutes * 60), repeat(given.depth)))
    for words, _ in walked:
        print(words)
    return int(any(broken for _, broken in walked))


def _walked(scene: Scene, seconds: float, depth: int) -> tuple[str, bool]:
    """What a walk of so many seconds found, in words, and whether that is anything."""
    began = time.monotonic()
    walk = Walk(scene, ends=began + seconds).to(depth)
    layers = ", ".join(f"{count} at depth {depth}" for depth, count in enumerate(walk.worlds))
    words = [
        f"{scene.name}: {len(walk.known)} worlds ({layers}), {walk.steps} steps in {time.monotonic() - began:.0f} s;",
        f"  all ways of {walk.complete} happenings tried, {len(walk.found)} rules broken",
    ]
    for found in walk.found.values():
        words += ["", *(f"  {line}" for line in retold(found, scene, walk.keeper))]
    return "\n".join(words), bool(walk.found)


if __name__ == "__main__":
    sys.exit(main())
