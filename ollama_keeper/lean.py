"""Imports for the daemon: a start takes as long as its imports, so that what it never uses stays out."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

UNUSED = ("httpx._main", "rich")
"""The command line of httpx, and what structlog would show a developer's traceback with: both do without (80 ms)."""

SOUGHT = "sniffio"
"""What httpcore imports anew for each lock of each request: where it is absent, that searches the disk each time, which
was a fourteenth of what a keeper of 1,000 models spends."""


@contextmanager
def lean_imports() -> Iterator[None]:
    """While it holds, `UNUSED` cannot be imported, and nothing is collected: what modules make stays.

    What was imported before stays, and what was left out can be imported afterwards.
    """
    left_out = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left_out))  # type: ignore[arg-type]  # None: "cannot be imported"
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
        for name in left_out:
            sys.modules.pop(name, None)


def settle_what_is_absent() -> None:
    """Lets a module that is not installed be found missing at once, for as long as the process lives."""
    try:
        import_module(SOUGHT)
    except ImportError:
        sys.modules[SOUGHT] = None  # type: ignore[assignment]
