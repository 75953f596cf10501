"""What is shipped around the code: locks, import contracts and set-up; tests/deploy has the rest."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ollama_keeper

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("runtime", "dev")
CORE_PACKAGES = 26
SHELL = shutil.which("sh") or "sh"


def locked(lock: str) -> dict[str, tuple[Requirement, str]]:
    """The pins of a lock by name, each with the text of its hashes."""
    text = (ROOT / f"requirements/{lock}.lock").read_text().replace("\\\n", " ")
    pins = (line.partition(" --hash") for line in text.splitlines() if line.strip())
    return {Requirement(pin).name: (Requirement(pin), mark + hashes) for pin, mark, hashes in pins}


def wanted(lock: str) -> list[Requirement]:
    """What pyproject.toml asks of a lock."""
    asked = PROJECT["project"]["dependencies"] + (PROJECT["dependency-groups"]["dev"] if lock == "dev" else [])
    return [Requirement(line) for line in asked]


# locks


def test_the_core_installs_few_packages_and_ours() -> None:
    needed = [pin for pin, _ in locked("runtime").values() if not pin.marker or pin.marker.evaluate()]
    assert len(needed) + 1 <= CORE_PACKAGES


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.lock").read_text()
    assert not re.search(r"https?:|://|--(extra-)?index|--find-links|--trusted-host| @ ", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_each_pin_of_a_lock_is_one_version_with_hashes(lock: str) -> None:
    for pin, hashes in locked(lock).values():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert re.fullmatch(r"( +--hash=sha256:[0-9a-f]{64})+", hashes), pin


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_answers_what_the_project_asks(lock: str) -> None:
    pins = {name.lower(): pin for name, (pin, _) in locked(lock).items()}
    for asked in wanted(lock):
        pin = pins[asked.name.lower()]
        assert asked.specifier.contains(str(pin.specifier).removeprefix("==")), asked


def test_development_runs_on_what_is_shipped() -> None:
    dev = locked("dev")
    assert {name: dev.get(name) for name in locked("runtime")} == locked("runtime")


def test_the_version_is_the_package_s() -> None:
    assert importlib.metadata.version("ollama-keeper") == ollama_keeper.__version__


# import contracts

ALLOWED = {
    "ollama/client.py": "import httpx",
    "report/notify/postman.py": "import httpx",
    "report/metrics/exposition.py": "import prometheus_client",
    "schedule.py": "from apscheduler.triggers.base import BaseTrigger",
    "simulator/call.py": "from ollama_keeper.core.names import x\nfrom ollama_keeper.core import units",
    "commands/simulate.py": "from ollama_keeper.simulator import x",
}


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """A package of the same modules as ours, empty but for the imports that are allowed to few."""
    for module in (ROOT / "ollama_keeper").rglob("*.py"):
        copy = tmp_path / module.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
    for name, text in ALLOWED.items():
        (tmp_path / "ollama_keeper" / name).write_text(f"{text}\n")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(directory: Path) -> set[str]:
    """The ids of the contracts of pyproject.toml that the package in `directory` breaks."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    environ = os.environ | {"COLUMNS": "500"}
    told = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False).stdout
    states = dict(re.findall(r"^(.*?) (KEPT|BROKEN)\b", told, re.MULTILINE))
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    return {contract["id"] for contract in contracts if states[contract["name"]] == "BROKEN"}


def test_the_contracts_allow_what_the_design_allows(skeleton: Path) -> None:
    assert broken_contracts(skeleton) == set()


@pytest.mark.parametrize(
    ("module", "text", "broken"),
    [
        pytest.param("core/units.py", "import asyncio", "pure", id="core-imports-asyncio"),
        pytest.param("core/fold.py", "import time", "pure", id="core-reads-the-clock"),
        pytest.param("core/spread.py", "import random", "pure", id="core-throws-dice"),
        pytest.param("core/decide.py", "import logging", "pure", id="core-logs"),
        pytest.param("core/facts.py", "import pydantic", "pure", id="core-uses-pydantic"),
        pytest.param("core/decide.py", "import ollama_keeper.clock", "layers", id="core-imports-upwards"),
        pytest.param("server.py", "import ollama_keeper.daemon", "layers", id="the-server-imports-the-daemon"),
        pytest.param("newcomer.py", "", "layers", id="a-module-without-a-layer"),
        pytest.param("ollama/wire.py", "import httpx", "client", id="the-wire-imports-httpx"),
        pytest.param("commands/newcomer.py", "import httpx", "client", id="a-new-module-imports-httpx"),
        pytest.param("server.py", "import apscheduler.events", "scheduler", id="the-server-imports-apscheduler"),
        pytest.param("report/log.py", "import prometheus_client", "exposition", id="the-log-counts"),
        pytest.param("report/notify/wecom.py", "import apprise", "extra", id="a-service-imports-the-extra"),
        pytest.param("simulator/app.py", "import ollama_keeper.core.facts", "stranger", id="simulator-reads-facts"),
        pytest.param("simulator/app.py", "import ollama_keeper.errors", "stranger", id="simulator-takes-errors"),
        pytest.param("server.py", "import ollama_keeper.simulator", "stand-in", id="the-server-plays"),
    ],
)
def test_a_contract_breaks_when(skeleton: Path, module: str, text: str, broken: str) -> None:
    (skeleton / "ollama_keeper" / module).write_text(f"{text}\n")
    assert broken_contracts(skeleton) == {broken}


# set-up


def executable(path: Path, script: str) -> None:
    path.write_text(f"#!{SHELL}\n{script}\n")
    path.chmod(0o755)


def set_up(tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Runs the set-up where nothing is installed but what the test put into `bin`."""
    command = [SHELL, str(ROOT / "scripts/setup.sh"), str(tmp_path / "venv")]
    environ = {"PATH": str(tmp_path / "bin")}
    return subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)


def test_set_up_without_a_fit_python_says_what_is_needed(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin/python3", "exit 1")
    done = set_up(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_set_up_passes_over_a_shim_without_an_interpreter(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin/python3.13", "exit 127")
    executable(tmp_path / "bin/python3.11", f'[ "$1" = -c ] || {{ echo "$@" >> {tmp_path}/asked; exit 9; }}')
    assert set_up(tmp_path).returncode == 9
    assert (tmp_path / "asked").read_text() == f"-m venv --clear {tmp_path}/venv\n"


def test_set_up_prefers_uv(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin/uv", f'echo "$1 $2" >> {tmp_path}/asked')
    assert set_up(tmp_path).returncode == 0
    assert (tmp_path / "asked").read_text() == "venv --quiet\npip sync\npip install\n"


def test_set_up_goes_on_with_venv_where_uv_fails(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin/uv", "exit 2")
    executable(tmp_path / "bin/python3", f'[ "$1" = -c ] || {{ echo "$@" >> {tmp_path}/asked; exit 9; }}')
    done = set_up(tmp_path)
    assert (done.returncode, done.stderr) == (9, "uv could not make the environment: trying Python's own venv.\n")
    assert (tmp_path / "asked").read_text() == f"-m venv --clear {tmp_path}/venv\n"


def test_make_help_tells_of_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(["make", "help"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout
    assert sorted(line.split()[0] for line in told.splitlines()) == sorted(phony[1].split())
