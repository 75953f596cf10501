"""The manifests: strictly valid, and with what each shape needs."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ollama_keeper import __version__
from ollama_keeper.config import load

KUBERNETES = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.34")  # the first with native sidecars, and a late one
FILES = sorted(path for path in KUBERNETES.rglob("*.yaml") if path.name not in {"kustomization.yaml", "config.yaml"})
CUSTOM = {"PodMonitor"}
OVERLAYS = ("sidecar", "central")
KUSTOMIZE = shutil.which("kustomize")

Manifest = dict[str, Any]


def manifests(path: Path) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]


def one(path: str, kind: str) -> Manifest:
    return next(each for each in manifests(KUBERNETES / path) if each["kind"] == kind)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_a_manifest_is_strictly_valid(path: Path, version: str) -> None:
    for manifest in manifests(path):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_mistake_in_a_manifest_would_be_found() -> None:
    bad = one("overlays/central/keeper.yaml", "Deployment")
    bad["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(bad, VERSIONS[-1], strict=True)


SIDECAR = one("overlays/sidecar/ollama.yaml", "StatefulSet")["spec"]["template"]["spec"]
CENTRAL = one("overlays/central/keeper.yaml", "Deployment")["spec"]["template"]["spec"]
KEEPERS = {"sidecar": (SIDECAR, SIDECAR["initContainers"][0]), "central": (CENTRAL, CENTRAL["containers"][0])}


@pytest.mark.parametrize("shape", OVERLAYS)
def test_the_keeper_has_no_rights_and_no_writable_root(shape: str) -> None:
    pod, keeper = KEEPERS[shape]
    context = keeper["securityContext"]
    assert pod["automountServiceAccountToken"] is False
    assert (context["runAsNonRoot"], context["readOnlyRootFilesystem"]) == (True, True)
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert pod["terminationGracePeriodSeconds"] > 20


@pytest.mark.parametrize("shape", OVERLAYS)
def test_liveness_never_asks_ollama_and_the_configuration_is_a_directory(shape: str) -> None:
    _, keeper = KEEPERS[shape]
    assert keeper["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert keeper["startupProbe"]["httpGet"]["path"] == "/livez"
    assert all("subPath" not in mount for mount in keeper["volumeMounts"])


def test_a_sidecar_starts_before_ollama_and_makes_its_pod_ready() -> None:
    _, keeper = KEEPERS["sidecar"]
    assert keeper["restartPolicy"] == "Always"
    assert keeper["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_there_is_one_central_keeper_and_it_sees_pods_that_are_not_ready() -> None:
    deployment = one("overlays/central/keeper.yaml", "Deployment")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    service = one("overlays/central/ollama-headless.yaml", "Service")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)


def configurations() -> dict[str, str]:
    central = yaml.safe_load((KUBERNETES / "overlays/central/kustomization.yaml").read_text(encoding="utf-8"))
    patch = next(each for each in central["patches"] if each["target"]["kind"] == "ConfigMap")["patch"]
    base = (KUBERNETES / "base" / "config.yaml").read_text(encoding="utf-8")
    return {"sidecar": base, "central": yaml.safe_load(patch)["data"]["config.yaml"]}


@pytest.mark.parametrize("shape", OVERLAYS)
def test_the_configuration_is_good_and_can_be_probed_from_outside(shape: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(configurations()[shape])
    config = load(path=path, environ={})
    assert config.web.listen == "0.0.0.0:11480"
    assert config.servers[0].address.url.startswith({"sidecar": "http://", "central": "dns+http://"}[shape])


@pytest.mark.parametrize("shape", OVERLAYS)
def test_a_kustomization_names_files_that_are_there_and_our_version(shape: str) -> None:
    folder = KUBERNETES / "overlays" / shape
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    assert all((folder / name).exists() for name in kustomization["resources"])
    assert [image["newTag"] for image in kustomization["images"]] == [__version__]


@pytest.mark.skipif(KUSTOMIZE is None, reason="kustomize is not there")
@pytest.mark.parametrize("shape", OVERLAYS)
def test_what_kustomize_builds_is_strictly_valid(shape: str) -> None:
    assert KUSTOMIZE is not None
    command = [KUSTOMIZE, "build", str(KUBERNETES / "overlays" / shape)]
    built = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    for manifest in yaml.safe_load_all(built.stdout):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
