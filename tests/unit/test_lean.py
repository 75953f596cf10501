"""What the daemon's start leaves out."""

import subprocess
import sys

ASKED = """
import gc, sys
from ollama_keeper.lean import lean_imports
with lean_imports():
    from ollama_keeper.commands import run
loaded = [name for name in {absent!r} if name in sys.modules]
import rich
print(loaded, gc.isenabled())
"""
ABSENT = ["rich", "pygments", "httpx._main", "uvicorn", "starlette", "prometheus_client", "ollama_keeper.simulator"]


def test_a_start_imports_nothing_that_it_does_not_use_and_spoils_nothing_for_later() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ASKED.format(absent=ABSENT)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[] True"
