"""The image and the Compose files, as far as they can be tried without an image store."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ollama_keeper import __version__
from tests.kit.proc import LIMIT_S, World, free_port

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SCHEMAS = shutil.which("check-jsonschema")
MONITORING = yaml.safe_load((DOCKER / "compose.monitoring.yaml").read_text(encoding="utf-8"))


HADOLINT = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))


def hadolint(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(HADOLINT), str(path)], capture_output=True, text=True, check=False, timeout=50)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not there for this platform")
def test_hadolint_finds_nothing_in_the_image_and_would_find_something(tmp_path: Path) -> None:
    assert hadolint(DOCKER / "Dockerfile").stdout == ""
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN cd /tmp && sudo pip install x\n")
    assert hadolint(bad).returncode != 0


def test_the_image_runs_as_a_number_from_hashed_locks_and_checks_itself() -> None:
    assert "USER 65532:65532" in DOCKERFILE
    assert "--require-hashes" in DOCKERFILE
    assert 'CMD ["ollama-keeper", "healthcheck"]' in DOCKERFILE
    assert DOCKERFILE.count("FROM ") == 2
    locked = (ROOT / "requirements" / "runtime.lock").read_text(encoding="utf-8")
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=\S)", locked.strip()))


def test_the_image_copies_only_what_is_there_and_sent() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M) for word in line.split()]
    assert {name.split("/")[0] for name in copied} == {name.split("/")[0] for name in sent}
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_has_what_the_wheel_takes_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    taken = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert all(f"COPY {source} {source}" in DOCKERFILE for source in taken)


def hardened(service: dict[str, Any]) -> bool:
    return (
        service["read_only"] and service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
    )


def test_the_keeper_of_compose_is_hardened_outlives_ollama_and_is_no_public_port() -> None:
    keeper = COMPOSE["services"]["keeper"]
    assert hardened(keeper)
    assert "ports" not in keeper
    assert keeper["depends_on"] == {"ollama": {"condition": "service_started"}}
    assert int(keeper["stop_grace_period"].removesuffix("s")) > 20
    assert hardened(COMPOSE["services"]["ready"])


def test_the_application_starts_once_the_models_are_ready() -> None:
    services = COMPOSE["services"]
    assert services["application"]["depends_on"] == {"ready": {"condition": "service_completed_successfully"}}
    assert services["ready"]["environment"]["KEEPER"] == "http://keeper:11480"
    assert "keeper" in services["keeper"]["environment"]["OLLAMA_KEEPER_WEB__ALLOWED_HOSTS"].split(",")
    assert services["ready"]["restart"] == "no"


def test_health_of_the_keeper_is_that_of_the_keeper_and_not_of_its_models() -> None:
    """One that is called unhealthy while a model loads is restarted by whoever restarts what is unhealthy."""
    assert "healthcheck" not in COMPOSE["services"]["keeper"], "that of the image asks /livez"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def asking(address: str, within_s: float) -> subprocess.Popen[str]:
    """What the service `ready` runs, as the container would."""
    service = COMPOSE["services"]["ready"]
    assert "$" not in service["command"][0], "Compose would put a variable there"
    environ = {"KEEPER": address, "WITHIN_S": str(within_s), "PATH": os.environ["PATH"]}
    command = [sys.executable, *service["entrypoint"][1:], *service["command"]]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


@pytest.mark.process
def test_it_ends_once_readyz_is_200_and_says_meanwhile_what_is_waited_for(world: World) -> None:
    address = f"127.0.0.1:{free_port()}"
    with asking(f"http://{address}", 60) as ready:
        try:
            assert ready.stdout is not None
            assert ready.stdout.readline().startswith("no answer of the keeper: ")
            server = world.simulate("--load-time", "3s")
            world.run("qwen3:8b", "--ollama", server.url, OLLAMA_KEEPER_WEB__LISTEN=address).until("warm.started")
            assert ready.wait(LIMIT_S) == 0
            assert "qwen3:8b: loading (" in ready.stdout.read()
        finally:
            ready.kill()


@pytest.mark.process
def test_it_ends_with_1_where_it_is_not_ready_in_time() -> None:
    with asking("http://127.0.0.1:9", 0) as ready:
        assert ready.wait(LIMIT_S) == 1


@pytest.mark.skipif(SCHEMAS is None, reason="check-jsonschema is not installed: pip install check-jsonschema")
@pytest.mark.parametrize("name", ["compose.yaml", "compose.monitoring.yaml"])
def test_compose_is_valid_by_its_schema_and_what_is_not_is_found(name: str, tmp_path: Path) -> None:
    def valid(path: Path) -> bool:
        command = [str(SCHEMAS), "--builtin-schema", "vendor.compose-spec", str(path)]
        return subprocess.run(command, capture_output=True, check=False, timeout=50).returncode == 0

    assert valid(DOCKER / name)
    bad = tmp_path / name
    bad.write_text((DOCKER / name).read_text(encoding="utf-8").replace("restart:", "restarts:", 1))
    assert not valid(bad)


@pytest.mark.parametrize("compose", [COMPOSE, MONITORING], ids=["compose", "monitoring"])
def test_every_service_depends_on_one_that_is_there_and_every_volume_is_declared(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (DOCKER / source).exists(), f"{source} is not there"


def test_the_images_bear_our_version() -> None:
    ours = [one["image"] for one in COMPOSE["services"].values() if "ollama-keeper" in one["image"]]
    assert ours
    assert set(ours) == {f"ollama-keeper:{__version__}"}


def test_variables_of_compose_are_keys_that_the_keeper_knows() -> None:
    from ollama_keeper.config import load

    environ = {key: str(value) for key, value in COMPOSE["services"]["keeper"]["environment"].items()}
    environ["OLLAMA_KEEPER_MODELS"] = "qwen3:8b"
    config = load(path=None, environ=environ)
    assert config.web.listen == "0.0.0.0:11480"
    assert config.servers[0].address.url == "http://ollama:11434"
