"""ollama-keeper keeps chosen Ollama models resident, and says why when they are not.

Inside another program: `async with keep_warm("qwen3:8b") as kept`, or `warm("qwen3:8b")` in a script.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ollama_keeper.integrations.embedded import KeepWarm, Kept, NotWarm, keep_warm, warm

__version__ = "0.1.0"
__all__ = ["KeepWarm", "Kept", "NotWarm", "__version__", "keep_warm", "warm"]


def __getattr__(name: str) -> Any:
    """The parts of the public interface, imported when they are first asked for."""
    if name not in __all__:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module("ollama_keeper.integrations.embedded"), name)
