"""A faithful stand-in for an Ollama server: for `demo`, `simulate` and the tests (OLLAMA.md).

Its scheduler is a pure state machine (`scheduler.step` over `state.State`); the rest is the shell that gives it HTTP
and a clock. It imports nothing of the keeper but units and names.
"""

from ollama_keeper.simulator.answers import Cut
from ollama_keeper.simulator.catalogue import default_models, make_model
from ollama_keeper.simulator.history import History
from ollama_keeper.simulator.server import Presence
from ollama_keeper.simulator.simulator import Resident, Simulator
from ollama_keeper.simulator.state import FOREVER, Delays, Failure, Kind, Settings, StoredModel
from ollama_keeper.simulator.versions import Version

__all__ = [
    "FOREVER",
    "Cut",
    "Delays",
    "Failure",
    "History",
    "Kind",
    "Presence",
    "Resident",
    "Settings",
    "Simulator",
    "StoredModel",
    "Version",
    "default_models",
    "make_model",
]
