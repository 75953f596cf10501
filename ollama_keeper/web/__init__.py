"""The status surface: one ASGI app over what the daemon knows, served from its own loop. It never touches Ollama."""
