"""The daemon: start, run, apply changes, drain, stop. It owns every task, and ends when one of them dies."""

from ollama_keeper.daemon.keeper import Daemon
from ollama_keeper.daemon.parts import Broken, Parts
from ollama_keeper.daemon.restored import Notes, restored

__all__ = ["Broken", "Daemon", "Notes", "Parts", "restored"]
