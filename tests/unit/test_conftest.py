"""The rules of the suite itself are shown to bite: each has a test file here that must turn red."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LEAVES_A_TASK = """
async def test_leaves_a_task():
    asyncio.create_task(asyncio.sleep(3600), name="forgotten")
"""
CLEANS_UP = """
async def test_cleans_up():
    task = asyncio.create_task(asyncio.sleep(3600))
    task.cancel()
"""
WARNS = """
def test_warns():
    warnings.warn("old", DeprecationWarning)
"""
FORGETS_TO_AWAIT = """
def test_forgets_to_await():
    asyncio.sleep(0)
"""
UNKNOWN_MARKER = """
@pytest.mark.porcess
def test_marked():
    pass
"""


def suite(tmp_path: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Runs one test file under our own configuration and conftest."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    (tmp_path / "tests/test_one.py").write_text(f"import asyncio, warnings\nimport pytest\n{test}")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("test", "told"),
    [
        pytest.param(LEAVES_A_TASK, "tasks outlive the test", id="a-task-that-outlives-its-test"),
        pytest.param(WARNS, "DeprecationWarning: old", id="a-warning"),
        pytest.param(FORGETS_TO_AWAIT, "was never awaited", id="a-coroutine-never-awaited"),
        pytest.param(UNKNOWN_MARKER, "'porcess' not found in `markers`", id="a-misspelt-marker"),
    ],
)
def test_the_suite_turns_red_at(tmp_path: Path, test: str, told: str) -> None:
    done = suite(tmp_path, test)
    assert done.returncode != 0
    assert told in done.stdout


def test_a_test_that_cleans_up_is_green(tmp_path: Path) -> None:
    done = suite(tmp_path, CLEANS_UP)
    assert done.returncode == 0, done.stdout
