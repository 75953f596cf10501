"""The rules of the suite itself are shown to bite: each has a test file here that must turn red."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

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


def suite(tmp_path: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Runs test files under our own configuration and conftest."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests/conftest.py", tmp_path / "tests")
    for number, test in enumerate(tests):
        (tmp_path / f"tests/test_{number}.py").write_text(f"import asyncio, warnings\nimport pytest\n{test}")
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_the_suite_turns_red_where_it_must_and_only_there(tmp_path: Path) -> None:
    done = suite(tmp_path, LEAVES_A_TASK, WARNS, FORGETS_TO_AWAIT, CLEANS_UP)
    assert "tasks outlive the test" in done.stdout
    assert "DeprecationWarning: old" in done.stdout
    assert "was never awaited" in done.stdout
    assert outcome(done, "test_leaves_a_task") == "error"
    assert outcome(done, "test_warns") == "failed"
    assert outcome(done, "test_forgets_to_await") == "failed"
    assert outcome(done, "test_cleans_up") == "passed"


def test_a_misspelt_marker_ends_the_suite(tmp_path: Path) -> None:
    done = suite(tmp_path, UNKNOWN_MARKER)
    assert done.returncode != 0
    assert "'porcess' not found in `markers`" in done.stdout


def outcome(done: subprocess.CompletedProcess[str], test: str) -> str:
    """The last word of pytest on a test; one whose fixture complained after it is an error."""
    said = re.findall(rf"^(PASSED|FAILED|ERROR) tests/test_\d.py::{test}\b", done.stdout, re.MULTILINE)
    return "error" if "ERROR" in said else said[0].lower()
