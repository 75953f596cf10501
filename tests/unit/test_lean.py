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


SETTLED = """
import sys
from ollama_keeper.lean import settle_what_is_absent
settle_what_is_absent()
try:
    import sniffio
    print("there")
except ImportError as error:
    print(error)
"""


def test_a_module_that_is_absent_is_not_searched_again_and_one_that_is_there_stays() -> None:
    ran = subprocess.run([sys.executable, "-c", SETTLED], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() in {"there", "import of sniffio halted; None in sys.modules"}


def test_a_start_imports_nothing_that_it_does_not_use_and_spoils_nothing_for_later() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", ASKED.format(absent=ABSENT)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[] True"
