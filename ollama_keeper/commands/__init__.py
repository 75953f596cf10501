"""One module a command: what `cli` calls, each returning an exit code (CONTRACT 7)."""
