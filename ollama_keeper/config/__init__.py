"""The configuration: one YAML file, `OLLAMA_KEEPER_*` and flags, checked as a whole, mistakes told with their place."""

from ollama_keeper.config.effective import Config, LogSettings, Server
from ollama_keeper.config.loading import load

__all__ = ["Config", "LogSettings", "Server", "load"]
