"""The keeper inside another program: `keep_warm` in its event loop, `warm` for a script, and what FastAPI needs."""
