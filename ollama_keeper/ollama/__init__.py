"""All that knows Ollama's wire: requests out, facts in, every failure with a reason."""
