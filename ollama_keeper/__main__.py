"""`python -m ollama_keeper`, and what the installed command runs."""

import sys

from ollama_keeper.lean import lean_imports


def main() -> None:
    """Runs the command line.

    A SIGHUP that comes while the daemon is still importing would end it (FAULTS G2): it is ignored until `run` handles
    it; the configuration has not been read yet then.
    """
    if sys.argv[1:] == ["healthcheck"]:  # asked each ten seconds: without click, which takes more than the answer
        from ollama_keeper.commands.healthcheck import healthcheck

        sys.exit(healthcheck(None))
    if "run" in sys.argv[1:2]:
        _ignore_hangups()
    with lean_imports():
        from ollama_keeper.cli import main as command_line

    command_line()


def _ignore_hangups() -> None:
    import signal

    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    main()
