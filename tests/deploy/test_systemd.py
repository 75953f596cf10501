"""The units: good for systemd, sandboxed, and written for the machine that they are on."""

import os
import plistlib
import shutil
import subprocess
from pathlib import Path

import pytest

from ollama_keeper.commands.install import DROP_INS, UNITS, Place, at_home, next_steps, units, word

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT_FILES = [DEPLOY / "systemd" / name for name in UNITS]
SERVICES = [path for path in UNIT_FILES if path.suffix == ".service"]
THRESHOLD = 12  # exposure 1.1 as systemd counts it (OPERATIONS 1)
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not there")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    environ = {**os.environ, "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", "/run")}
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False, timeout=50, env=environ)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


@needs_systemd
@pytest.mark.parametrize("path", UNIT_FILES, ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong_with_a_unit(path: Path) -> None:
    told = analyze("verify", "--man=no", str(path)).stderr.splitlines()
    assert [line for line in told if "is not executable" not in line] == []


@needs_systemd
def test_systemd_would_find_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "bad.service"
    bad.write_text("[Service]\nType=notify\nExecStart=/bin/true\nRestart=sometimes\n")
    assert "restart specifier" in analyze("verify", "--man=no", str(bad)).stderr


@needs_systemd
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_is_exposed_no_more_than_was_measured(path: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={THRESHOLD}", str(path))
    assert done.returncode == 0, done.stdout[-2_000:]


@needs_systemd
def test_a_bare_service_would_be_found_exposed(tmp_path: Path) -> None:
    bare = tmp_path / "bare.service"
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert analyze("security", "--offline=true", f"--threshold={THRESHOLD}", str(bare)).returncode == 1


def test_a_stop_outlasts_the_grace_for_an_open_load() -> None:
    assert "TimeoutStopSec=30s" in lines(DEPLOY / "systemd" / "ollama-keeper.service")
    plist = plistlib.loads((DEPLOY / "launchd" / "ollama-keeper.plist").read_bytes())
    assert plist["ExitTimeOut"] > 20


def test_what_no_restart_helps_is_not_restarted() -> None:
    service = lines(DEPLOY / "systemd" / "ollama-keeper.service")
    assert "RestartPreventExitStatus=64 78" in service
    assert "StartLimitIntervalSec=0" in service


@pytest.fixture
def mine(tmp_path: Path) -> Place:
    return Place(tmp_path / "user", Path("/home/me/bin/ollama-keeper"), tmp_path / "keeper.yaml", user=True)


def test_the_units_of_a_user_run_his_program_without_what_only_the_system_may_set(mine: Place) -> None:
    written = dict(units(mine))
    service = written[mine.folder / "ollama-keeper.service"]
    assert f"ExecStart=/home/me/bin/ollama-keeper run --config {mine.config}" in service
    assert "DynamicUser" not in service
    assert "ProtectHome" not in service
    assert "WantedBy=default.target" in service
    assert "WatchdogSec=30s" in service


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/usr/bin/ollama-keeper", "/usr/bin/ollama-keeper"),
        ("/opt/our tools/keeper", '"/opt/our tools/keeper"'),
        ("/opt/50%/a$b/keeper", "/opt/50%%/a$$b/keeper"),
    ],
)
def test_a_path_is_written_as_a_unit_reads_it(path: str, written: str) -> None:
    assert word(Path(path)) == written


@pytest.mark.parametrize(("path", "hidden"), [("/home/me/keeper.yaml", True), ("/root/x", True), ("/etc/x", False)])
def test_what_a_system_service_cannot_read_is_refused(path: str, hidden: bool) -> None:
    assert at_home(Path(path)) is hidden


def test_all_units_and_drop_ins_are_written(mine: Place) -> None:
    names = {str(path.relative_to(mine.folder)) for path, _ in units(mine)}
    assert names == {*UNITS, *DROP_INS.values()}


def test_what_is_to_be_done_next_can_be_typed_by_whoever_may(mine: Place, tmp_path: Path) -> None:
    for_all = Place(tmp_path, Path("/opt/our tools/ollama-keeper"), tmp_path / "config.yaml", user=False)
    steps = next_steps(for_all, dry_run=False).splitlines()
    assert f"  sudo '/opt/our tools/ollama-keeper' config init -o {for_all.config}" in steps[1]
    assert all("sudo" in line for line in steps if line.startswith("  "))
    assert "sudo" not in next_steps(mine, dry_run=True)


@needs_systemd
def test_the_units_of_a_user_are_good_for_his_manager(mine: Place) -> None:
    for path, text in units(mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    told = analyze("verify", "--user", "--man=no", str(mine.folder / "ollama-keeper.service")).stderr.splitlines()
    assert [line for line in told if "is not executable" not in line] == []
