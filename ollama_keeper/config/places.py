"""Where the configuration file and the state lie on this platform.

XDG variables hold on every platform where they are set; without them macOS and Windows have their own places.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

NAME = "ollama-keeper"
SOCKET = "control.sock"
FILE = "config.yaml"
MAX_BYTES = 2**20  # a larger file is none of ours


def user_file(environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """The user's own configuration file, whether it exists or not."""
    if base := _absolute(environ, "XDG_CONFIG_HOME"):
        return base / NAME / FILE
    if platform == "win32":
        return _windows(environ, "APPDATA", "Roaming") / NAME / FILE
    if platform == "darwin":
        return _home(environ) / "Library" / "Application Support" / NAME / FILE
    return _home(environ) / ".config" / NAME / FILE


def system_file(environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """The configuration file of the whole machine, whether it exists or not."""
    if platform == "win32":
        return Path(environ.get("PROGRAMDATA") or "C:/ProgramData") / NAME / FILE
    return Path("/etc") / NAME / FILE


def state_dir(environ: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """Where the state file lies unless the configuration says otherwise; whether it can be written is not asked.

    systemd gives `STATE_DIRECTORY`, several joined by colons; the first is ours.
    """
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.split(":")[0] if platform != "win32" else given)
    if base := _absolute(environ, "XDG_STATE_HOME"):
        return base / NAME
    if platform == "win32":
        return _windows(environ, "LOCALAPPDATA", "Local") / NAME
    if platform == "darwin":
        return _home(environ) / "Library" / "Application Support" / NAME
    return _home(environ) / ".local" / "state" / NAME


def control_socket(environ: Mapping[str, str], state_dir: Path | None) -> Path | None:
    """Where the daemon takes commands, unless the configuration says otherwise; None where nothing fits."""
    if given := environ.get("RUNTIME_DIRECTORY"):
        return Path(given.split(":")[0]) / SOCKET
    if base := _absolute(environ, "XDG_RUNTIME_DIR"):
        return base / NAME / SOCKET
    return state_dir / SOCKET if state_dir else None


def expanded(text: str, base: Path, environ: Mapping[str, str]) -> Path:
    """A path of the configuration: `~` is the home directory, a relative one starts at `base`."""
    if text == "~" or text.startswith(("~/", "~\\")):
        return _home(environ) / text[2:]
    return base / text


def _absolute(environ: Mapping[str, str], variable: str) -> Path | None:
    """A folder of the XDG rules, which say that a relative one is to be ignored."""
    path = Path(environ.get(variable) or ".")
    return path if path.is_absolute() else None


def _windows(environ: Mapping[str, str], variable: str, folder: str) -> Path:
    return Path(environ[variable]) if environ.get(variable) else _home(environ) / "AppData" / folder


def _home(environ: Mapping[str, str]) -> Path:
    """The home directory; the root for an account without one, so that nobody's files are found by chance."""
    if home := environ.get("HOME") or environ.get("USERPROFILE"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")
