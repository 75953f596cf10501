"""Where the configuration is looked for, and where the keeper remembers, on each platform."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

APP = "ollama-keeper"
FILE = "config.yaml"


def candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """The files looked for without `--config`, in their order."""
    if named := environ.get("OLLAMA_KEEPER_CONFIG"):
        yield Path(named)
        return
    yield user_file(environ)
    if sys.platform == "win32":
        yield Path(environ.get("PROGRAMDATA", r"C:\ProgramData")) / APP / FILE
    else:
        yield Path("/etc") / APP / FILE


def user_file(environ: Mapping[str, str]) -> Path:
    """The user's own configuration file."""
    if sys.platform == "win32" and (roaming := environ.get("APPDATA")):
        return Path(roaming) / APP / FILE
    base = environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else _home(environ) / ".config") / APP / FILE


def state_dir(environ: Mapping[str, str]) -> Path:
    """Where the keeper remembers, unless `state_dir` says otherwise."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0])
    if sys.platform == "win32" and (local := environ.get("LOCALAPPDATA")):
        return Path(local) / APP
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else _home(environ) / ".local" / "state") / APP


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or environ.get("USERPROFILE") or "/")
