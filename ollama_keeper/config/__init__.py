"""The configuration: one YAML file, the environment and flags, validated as a whole with the place of every mistake."""

from ollama_keeper.config.load import Config, LogSettings, Server, load

__all__ = ["Config", "LogSettings", "Server", "load"]
