"""The wheel, as somebody installs it: what is in it, and that it runs where nothing else of ours is."""

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.kit.proc import World, free_port

ROOT = Path(__file__).parents[2]
LARGEST = 560 * 1024  # the goal of 300 KB is missed, and why: docs/promises.md

MOST_PACKAGES = 26
LARGEST_INSTALL = 30_000_000  # bytes
OF_EVERY_ENVIRONMENT = {"pip", "setuptools", "pkg_resources", "_distutils_hack"}

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=50)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_package_its_page_and_its_units_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"ollama_keeper"}
    assert {Path(name).suffix for name in names if ".dist-info" not in name} <= {
        ".py",
        ".typed",
        ".html",
        ".css",
        ".js",
        ".service",
        ".timer",
        ".conf",
    }
    assert not [name for name in names if name.endswith(".pth")]
    assert wheel.stat().st_size <= LARGEST


def pythons() -> list[str]:
    """Each Python of this machine that is new enough, one a version."""
    found = {f"3.{minor}": shutil.which(f"python3.{minor}") for minor in range(11, 16)}
    usable = [path for path in found.values() if path and _fit(path)]
    return usable or [sys.executable]


def _fit(python: str) -> bool:
    asked = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", asked], check=False, capture_output=True, timeout=20).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("python", pythons(), ids=lambda path: Path(path).name)
def test_it_runs_from_a_fresh_environment_in_an_empty_directory(wheel: Path, tmp_path: Path, python: str) -> None:
    environment = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", str(environment)], check=True, timeout=60)
    command = environment / "bin" / "ollama-keeper"
    lock = ROOT / "requirements" / "runtime.lock"
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(lock)], check=True, timeout=300)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, timeout=60)
    home = tmp_path / "home"
    home.mkdir()
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    assert_small(environment)
    demo = [command, "demo", "--for", "10s"]
    subprocess.run(demo, cwd=home, env=environ, capture_output=True, timeout=55, check=True)
    subprocess.run([command, "install", "systemd", "--user", "--dry-run"], cwd=home, env=environ, check=True)
    with World(home) as world:
        address = f"127.0.0.1:{free_port()}"
        world.start([str(command), "simulate", "--listen", address, "--load-time", "0.2s"])
        keeper = world.start([str(command), "run", "qwen3:8b", "--ollama", f"http://{address}"])
        assert keeper.until("model.ready")["by"] == "keeper"
        keeper.signal(signal.SIGTERM)
        assert keeper.ended() == 0


def assert_small(environment: Path) -> None:
    """What the wheel and its lock bring, without what every environment has, and without bytecode."""
    packages = next((environment / "lib").glob("python3.*")) / "site-packages"
    ours = [part for part in packages.iterdir() if part.name.split("-")[0] not in OF_EVERY_ENVIRONMENT]
    files = [file for part in ours for file in part.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert len([part for part in ours if part.suffix == ".dist-info"]) <= MOST_PACKAGES
    assert sum(file.stat().st_size for file in files) <= LARGEST_INSTALL
