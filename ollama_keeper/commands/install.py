"""`install systemd`: writes the units for this machine, and says what to do with them. Nothing is started."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from ollama_keeper.commands.start import EXIT_OK, EXIT_SOME_NOT

UNITS = ("ollama-keeper.service", "ollama-keeper-warm.service", "ollama-keeper-warm.timer")
DROP_INS = {"timer.conf": "ollama-keeper-warm.service.d/timer.conf"}
PROGRAM, CONFIG = "/usr/bin/ollama-keeper", "/etc/ollama-keeper/config.yaml"
HOMES = ("/home/", "/root/", "/run/user/")
FOR_SYSTEM_ONLY = (
    *("DynamicUser", "PrivateUsers", "PrivateDevices", "DevicePolicy", "ProtectHome", "ProtectClock"),
    *(
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectProc",
        "ProtectHostname",
        "RemoveIPC",
        "CapabilityBoundingSet",
    ),
    *("AmbientCapabilities", "PrivateMounts", "PrivateIPC", "PrivateTmp", "ProtectSystem", "ProtectControlGroups"),
    *("ProtectKernelTunables", "KeyringMode", "#LoadCredential"),
)
"""What a user's manager may not set, or what would hide the user's own files."""


class NotPossible(Exception):
    """The units cannot be installed so; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the units go, and what they run.

    Attributes:
        folder: of the units.
        program: the command that they run.
        config: the configuration that it reads.
    """

    folder: Path
    program: Path
    config: Path
    user: bool


def install_systemd(*, user: bool, dry_run: bool, config: Path | None) -> int:
    """Writes the units; see `ollama-keeper install systemd --help`."""
    try:
        place = _place(user=user, config=config)
        for path, text in units(place):
            _write(path, text, dry_run=dry_run)
    except NotPossible as problem:
        click.echo(f"ollama-keeper: {problem}", err=True)
        return EXIT_SOME_NOT
    click.echo(next_steps(place, dry_run=dry_run))
    return EXIT_OK


def units(place: Place) -> Iterator[tuple[Path, str]]:
    """Each file to be written, and what it says on this machine."""
    for name in UNITS:
        yield place.folder / name, _adapted((_templates() / name).read_text(encoding="utf-8"), place)
    for name, target in DROP_INS.items():
        yield place.folder / target, (_templates() / name).read_text(encoding="utf-8")


def _place(*, user: bool, config: Path | None) -> Place:
    program = _program()
    if user:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        chosen = config or base / "ollama-keeper" / "config.yaml"
        return Place(base / "systemd" / "user", program, chosen.absolute(), user=True)
    _reachable(program)
    chosen = (config or Path(CONFIG)).absolute()
    if at_home(chosen):
        msg = f"{chosen} is in a home directory, which a system service cannot read; put it at {CONFIG}, or use --user"
        raise NotPossible(msg)
    return Place(Path("/etc/systemd/system"), program, chosen, user=False)


def _reachable(program: Path) -> None:
    """Whether a system service can start the program, its Python included.

    Raises:
        NotPossible: a part of it is in somebody's home.
    """
    for part in (program, program.resolve(), Path(sys.executable).resolve()):
        if at_home(part):
            msg = (
                f"{part} is in a home directory, which a system service cannot read; install the program for all (sudo "
                "pipx install --global ollama-keeper, with a Python of the system), or the service for yourself: "
                "ollama-keeper install systemd --user"
            )
            raise NotPossible(msg)


def at_home(path: Path) -> bool:
    """Whether a path is in a directory that ProtectHome=yes hides."""
    return str(path).startswith(HOMES)


def word(path: Path) -> str:
    """A path as a unit file has it in a command line: % and $ doubled, quoted where it has spaces (systemd.syntax)."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(sign.isspace() for sign in text) else text


def _program() -> Path:
    """The command that is running, or the one on the path, by its whole path."""
    called = Path(sys.argv[0])
    found = called if called.name == "ollama-keeper" and called.is_file() else shutil.which("ollama-keeper")
    if found is None:
        msg = "the command ollama-keeper is not on the path; install the package, or copy the units from deploy/systemd"
        raise NotPossible(msg)
    return Path(found).absolute()


def _templates() -> Path:
    """The units of the package, or of the clone that this runs from."""
    package = Path(__file__).parents[1]
    packed = package / "units"
    return packed if packed.is_dir() else package.parent / "deploy" / "systemd"


def _adapted(text: str, place: Place) -> str:
    text = text.replace(PROGRAM, word(place.program)).replace(CONFIG, word(place.config))
    if not place.user:
        return text
    kept = [line for line in text.splitlines() if line.partition("=")[0] not in FOR_SYSTEM_ONLY]
    return "\n".join(kept).replace("multi-user.target", "default.target") + "\n"


def _write(path: Path, text: str, *, dry_run: bool) -> None:
    if dry_run:
        click.echo(f"# {path}\n{text}")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        same = path.is_file() and path.read_text(encoding="utf-8") == text
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        hint = "; run it with sudo, or with --user for this user only" if isinstance(error, PermissionError) else ""
        msg = f"{path} cannot be written: {(error.strerror or str(error)).lower()}{hint}"
        raise NotPossible(msg) from None
    click.echo(f"{'unchanged' if same else 'written'}: {path}")


def next_steps(place: Place, *, dry_run: bool) -> str:
    """What is to be done with the units, as it can be typed."""
    control = "systemctl --user" if place.user else "sudo systemctl"
    program = "ollama-keeper" if place.user else f"sudo {shlex.quote(str(place.program))}"
    file = shlex.quote(str(place.config))
    init = "" if place.config.exists() else f"  {program} config init -o {file}   # and look through it\n"
    linger = "  loginctl enable-linger      # so that it runs while you are logged out\n" if place.user else ""
    gpu = (
        "" if place.user else "\ndaemon-reload can take the GPU from running NVIDIA containers: restart them after it."
    )
    return (
        f"{'Nothing was written. ' if dry_run else ''}Next:\n{init}{linger}"
        f"  {control} daemon-reload\n"
        f"  {control} enable --now ollama-keeper            # the daemon\n"
        f"  {control} status ollama-keeper                  # the models by state\n"
        "Without a daemon, instead:\n"
        f"  {control} enable --now ollama-keeper-warm       # once at each boot\n"
        f"  {control} enable --now ollama-keeper-warm.timer # or each ten minutes{gpu}"
    )
