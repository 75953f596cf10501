"""ollama-keeper keeps chosen Ollama models resident, and says why when they are not."""

__version__ = "0.1.0"
