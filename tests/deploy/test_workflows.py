"""The workflows of GitHub: what can be said of them without it, and what actionlint says where it is installed."""

import copy
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
ACTIONLINT = shutil.which("actionlint") or shutil.which("actionlint", path=str(Path.home() / "go" / "bin"))
WITH_ACTIONLINT = pytest.mark.skipif(ACTIONLINT is None, reason="actionlint is not installed (rhysd/actionlint)")
TOP = {"name", "on", "permissions", "concurrency", "env", "defaults", "jobs"}
JOB = {
    *("name", "needs", "if", "runs-on", "permissions", "environment", "concurrency", "outputs", "env"),
    *("defaults", "steps", "timeout-minutes", "strategy", "continue-on-error", "container", "services"),
}
STEP = {"id", "if", "name", "uses", "run", "shell", "with", "env", "working-directory", "timeout-minutes"}
WRITES = {"publish": {"id-token"}, "image": {"packages"}}
"""What a job may write, by the job's or the workflow's name; all else only reads."""

Workflow = dict[Any, Any]


def read(path: Path) -> Workflow:
    workflow: Workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True, None)  # YAML 1.1 takes `on` for true
    return workflow


def faults(workflow: Workflow) -> list[str]:
    """What is wrong with a workflow, a line each."""
    jobs = workflow.get("jobs") or {}
    found = [f"unknown key {key}" for key in workflow.keys() - TOP]
    found += [f"{key} is missing" for key in ("name", "on", "permissions", "jobs") if not workflow.get(key)]
    found += _writes(workflow.get("name"), workflow.get("permissions"))
    for name, job in jobs.items():
        found += [f"{name}: {fault}" for fault in _of_job(name, job, set(jobs))]
    return found


def _of_job(name: str, job: Workflow, jobs: set[str]) -> Iterator[str]:
    yield from (f"unknown key {key}" for key in job.keys() - JOB)
    yield from (f"{key} is missing" for key in ("runs-on", "timeout-minutes", "steps") if not job.get(key))
    yield from _writes(name, job.get("permissions"))
    needs = job.get("needs") or []
    needed = {needs} if isinstance(needs, str) else set(needs)
    yield from (f"needs {one}, which is no job" for one in needed - jobs)
    for step in job.get("steps", []):
        yield from _of_step(step)


def _of_step(step: Workflow) -> Iterator[str]:
    yield from (f"unknown key {key} of a step" for key in step.keys() - STEP)
    if ("uses" in step) == ("run" in step):
        yield f"a step has either uses or run: {step}"
    uses = step.get("uses")
    if uses and not re.fullmatch(r"[\w.-]+/[\w./-]+@[\w./-]+", uses):
        yield f"{uses} has no version"
    yield from (
        f"no make {target}" for target in re.findall(r"\bmake (\w+)", step.get("run", "")) if target not in MAKE
    )
    yield from (f"{path} is not there" for path in _paths(step) if not (ROOT / path).exists())


def _paths(step: Workflow) -> Iterator[str]:
    yield from re.findall(r"--requirement (\S+)", step.get("run", ""))
    if "file" in step.get("with", {}):
        yield step["with"]["file"]


def _writes(name: str | None, permissions: object) -> Iterator[str]:
    if isinstance(permissions, str):
        yield f"permissions of {name} are {permissions}: name each"
    if isinstance(permissions, dict):
        writes = {scope for scope, access in permissions.items() if access == "write"}
        yield from (f"{name} may write {scope}" for scope in writes - WRITES.get(str(name), set()))


MAKE = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_is_made_of_known_parts_asks_for_little_and_leads_to_what_is_there(path: Path) -> None:
    assert faults(read(path)) == []


def test_there_are_workflows_for_test_release_and_image() -> None:
    assert {"test.yml", "release.yml", "image.yml"} <= {path.name for path in FILES}


def test_every_python_that_is_promised_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    matrix = read(FOLDER / "test.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"][0] == oldest
    assert {"macos-latest", "windows-latest"} <= {one["os"] for one in matrix["include"]}


def test_no_secret_is_stored_for_a_release() -> None:
    publish = read(FOLDER / "release.yml")["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    named = {name for path in FILES for name in re.findall(r"secrets\.(\w+)", path.read_text(encoding="utf-8"))}
    assert named <= {"GITHUB_TOKEN"}


def _first_step(job: Workflow) -> Workflow:
    step: Workflow = job["steps"][0]
    return step


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda w: w.update(job={}), "unknown key job", id="a key of nobody"),
        pytest.param(lambda w: w.pop("permissions"), "permissions is missing", id="all permissions"),
        pytest.param(lambda w: w.update(permissions="write-all"), "name each", id="written in one word"),
        pytest.param(
            lambda w: w["permissions"].update(contents="write"), "may write contents", id="more than it needs"
        ),
        pytest.param(lambda w: w["jobs"]["test"].pop("timeout-minutes"), "timeout-minutes is missing", id="no limit"),
        pytest.param(lambda w: w["jobs"]["faults"].update(needs="tests"), "which is no job", id="needs nobody"),
        pytest.param(
            lambda w: _first_step(w["jobs"]["faults"]).update(uses="actions/checkout"), "no version", id="any version"
        ),
        pytest.param(lambda w: w["jobs"]["faults"]["steps"].append({"run": "make tea"}), "no make tea", id="no target"),
        pytest.param(lambda w: w["jobs"]["faults"]["steps"].append({"name": "x"}), "either uses or run", id="no work"),
        pytest.param(
            lambda w: w["jobs"]["faults"]["steps"].append({"run": "pip install --requirement locks/x.lock"}),
            "locks/x.lock is not there",
            id="no file",
        ),
    ],
)
def test_what_is_wrong_is_found(change: Callable[[Workflow], object], told: str) -> None:
    workflow = copy.deepcopy(read(FOLDER / "test.yml"))
    change(workflow)
    assert any(told in fault for fault in faults(workflow))


def actionlint(path: Path) -> subprocess.CompletedProcess[str]:
    command = [str(ACTIONLINT), "-no-color", "-oneline", str(path)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50, env=environ)


@WITH_ACTIONLINT
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path: Path) -> None:
    done = actionlint(path)
    assert (done.returncode, done.stdout) == (0, "")


@WITH_ACTIONLINT
def test_actionlint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text((FOLDER / "test.yml").read_text(encoding="utf-8").replace("matrix.python }}", "matrix.pyton }}"))
    done = actionlint(bad)
    assert done.returncode == 1
    assert "pyton" in done.stdout
