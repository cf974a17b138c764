"""The Kubernetes files fit the API, each other, the settings and the image."""

import re
import tomllib
from typing import Any

import kubernetes_validate
import pytest
import yaml

from sealserve.private_files import SECRET_FILES
from sealserve.settings.settings import load_settings
from tests.contract.tree import ROOT

FOLDER = ROOT / "ops/kubernetes"
CHART: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
OBJECTS: list[dict[str, Any]] = [
    one for name in CHART["resources"] for one in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
]
API_VERSIONS = ("1.30", "1.34")


def _named(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == (kind, name))


def _pod(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = _named("Deployment", name)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("version", API_VERSIONS)
@pytest.mark.parametrize("index", range(len(OBJECTS)))
def test_every_object_fits_the_schema_of_its_api(index: int, version: str) -> None:
    assert kubernetes_validate.validate(OBJECTS[index], version, strict=True) is not None


def test_every_file_of_the_folder_is_used() -> None:
    used = {*CHART["resources"], *CHART["configMapGenerator"][0]["files"], "kustomization.yaml", "README.md"}
    assert {path.name for path in FOLDER.iterdir()} == used


def test_settings_are_read_by_sealserve(tmp_path: Any) -> None:
    text = (FOLDER / "sealserve.toml").read_text(encoding="utf-8")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).write_text("", encoding="utf-8")
    (tmp_path / "sealserve.toml").write_text(text.replace("/etc/sealserve/tls", str(tmp_path)), encoding="utf-8")
    settings = load_settings(tmp_path / "sealserve.toml")
    assert settings.learn.engine_address == "sealserve:7431"
    assert settings.serve.drain_seconds < _pod("serve")["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", ["serve", "learn"])
def test_everything_mounted_is_a_volume_and_the_settings_are_where_they_are_looked_for(name: str) -> None:
    pod = _pod(name)
    containers = [*pod["initContainers"], *pod["containers"]]
    mounted = {mount["name"] for one in containers for mount in one["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    (main,) = pod["containers"]
    places = {mount["name"]: mount["mountPath"] for mount in main["volumeMounts"]}
    assert main["args"] == ["--config", f"{places['settings']}/sealserve.toml", name]
    data = tomllib.loads((FOLDER / "sealserve.toml").read_text(encoding="utf-8"))["data_directory"]
    assert data.startswith(f"{places['data']}/")


@pytest.mark.parametrize("name", ["serve", "learn"])
def test_every_shared_secret_is_put_where_sealserve_reads_it(name: str) -> None:
    script = _pod(name)["initContainers"][0]["command"][-1]
    assert [secret for secret in SECRET_FILES if secret.rpartition("/")[2] not in script] == []
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [secret for secret in SECRET_FILES if f"--from-file=sealserve-data/{secret}" not in readme] == []


def test_policies_services_and_budget_select_pods_that_exist() -> None:
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in OBJECTS if one["kind"] == "Deployment"]
    for one in OBJECTS:
        spec = one["spec"]
        selector = spec.get("podSelector") or spec.get("selector")
        wanted = selector.get("matchLabels", selector)
        assert any(wanted.items() <= has.items() for has in labels), one["metadata"]["name"]


def test_ports_and_modules_of_probes_are_those_of_the_image() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (serve,) = _pod("serve")["containers"]
    for port in serve["ports"]:
        assert re.search(rf"EXPOSE .*\b{port['containerPort']}\b", dockerfile)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert serve[probe]["exec"]["command"][:3] == ["python3", "-m", "sealserve.daemon.healthcheck"]
    assert _pod("serve")["securityContext"]["runAsUser"] == 10001
    assert "--uid 10001" in dockerfile
