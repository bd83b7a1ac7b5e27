"""The manifests are the chart's: what kubectl builds from them is what Helm would have installed."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fairway.api.spec import ModelDeploymentSpec
from fairway.settings import Settings, load
from tests.packaging import helm, manifests
from tests.packaging.helm import Object, parse, tool
from tests.packaging.manifests import MANIFESTS

Build = Callable[[str], list[Object]]
HASHED = re.compile(r"fairway-[a-z0-9]{10}")


@pytest.fixture(scope="session")
def build() -> Build:
    """`kubectl kustomize` of a folder."""

    def call(folder: str) -> list[Object]:
        argv = [tool("kubectl"), "kustomize", str(MANIFESTS / folder)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return parse(done.stdout)

    return call


def by_identity(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    return {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in objects}


def as_helm_would(*sets: str) -> dict[tuple[str, str, str], Object]:
    """The chart without what only Helm needs; written anew here, with objects instead of text."""
    found = helm.objects(*sets)
    for each in found:
        for meta in (each["metadata"], each.get("spec", {}).get("template", {}).get("metadata", {})):
            for part, own in (
                ("labels", ("helm.sh/chart", "app.kubernetes.io/managed-by")),
                ("annotations", ("helm.sh/resource-policy", "checksum/config")),
            ):
                for name in own:
                    meta.get(part, {}).pop(name, None)
                if meta.get(part) == {}:
                    del meta[part]
    return by_identity(found)


def unhashed(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    """kustomize's result with the ConfigMap under its own name, and without its heading comment."""
    found: list[Object] = json.loads(HASHED.sub("fairway", json.dumps(objects)))
    for each in found:
        if each["kind"] == "ConfigMap" and "config.yaml" in each["data"]:
            each["data"]["config.yaml"] = each["data"]["config.yaml"].removeprefix(manifests.HEAD)
    return by_identity(found)


def test_the_files_are_those_of_the_chart() -> None:
    there = {
        str(path.relative_to(MANIFESTS)): path.read_text()
        for folder in ("base", "namespaced")
        for path in (MANIFESTS / folder).iterdir()
    }
    assert there == manifests.files(), "run `make manifests`"


@pytest.mark.parametrize(("folder", "sets"), [("base", ()), ("namespaced", ("namespaces={ml}",))])
def test_kubectl_builds_what_helm_would_install(build: Build, folder: str, sets: tuple[str, ...]) -> None:
    built, wanted = unhashed(build(folder)), as_helm_would(*sets)
    namespace = built.pop(("Namespace", "", "fairway-system"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert built.keys() == wanted.keys()
    for identity, found in built.items():
        assert found == wanted[identity], identity


def test_a_new_configuration_brings_new_pods(build: Build) -> None:
    def mounted(folder: str) -> str:
        (deployment,) = (each for each in build(folder) if each["kind"] == "Deployment")
        volumes = deployment["spec"]["template"]["spec"]["volumes"]
        return str(next(each["configMap"]["name"] for each in volumes if each["name"] == "config"))

    found = {folder: mounted(folder) for folder in ("base", "namespaced", "example")}
    assert all(HASHED.fullmatch(name) for name in found.values())
    assert len(set(found.values())) == 3


def test_the_example_sets_the_image_everywhere_and_its_configuration_is_valid(build: Build) -> None:
    (deployment,) = (each for each in build("example") if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/fairway:0.1.0"
    assert {"name": "FETCH_IMAGE", "value": container["image"]} in container["env"]
    assert load(MANIFESTS / "example/config.yaml").prometheus is not None


def test_a_copy_of_the_example_can_be_for_some_namespaces(build: Build, tmp_path: Path) -> None:
    """As docs/install.md says: another folder to build upon, and its namespace in the configuration."""
    for folder in ("base", "namespaced", "example"):
        shutil.copytree(MANIFESTS / folder, tmp_path / folder)
    overlay, config = tmp_path / "example/kustomization.yaml", tmp_path / "example/config.yaml"
    overlay.write_text(overlay.read_text().replace("../base", "../namespaced"))
    config.write_text(config.read_text() + "namespaces: [ml]\n")
    example, namespaced = build(str(tmp_path / "example")), build("namespaced")
    assert unhashed(example).keys() == unhashed(namespaced).keys()
    (deployment,) = (each for each in example if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/fairway:0.1.0"
    assert load(config).namespaces == load(MANIFESTS / "namespaced/config.yaml").namespaces


@pytest.mark.parametrize("folder", ["base", "namespaced"])
def test_the_configuration_is_the_operators(folder: str) -> None:
    asked = load(MANIFESTS / folder / "config.yaml")
    assert asked == Settings(namespaces=("ml",) if folder == "namespaced" else (), approvals_verified=True)


def test_the_samples_are_valid_and_in_one_namespace(build: Build) -> None:
    objects = build("samples")
    assert {each["metadata"].get("namespace", each["metadata"]["name"]) for each in objects} == {"ml"}
    (model,) = (each for each in objects if each["kind"] == "ModelDeployment")
    ModelDeploymentSpec.model_validate(model["spec"])


def test_every_folder_is_described() -> None:
    text = (MANIFESTS / "README.md").read_text()
    assert {path.name for path in MANIFESTS.iterdir() if path.is_dir()} <= set(
        re.findall(r"^\| `(\w+)`", text, re.MULTILINE)
    )


def test_a_file_that_is_generated_no_more_goes_away(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/old.yaml").write_text("kind: Old\n")
    manifests.write(tmp_path)
    assert not (tmp_path / "base/old.yaml").exists()
    assert (tmp_path / "base/deployment.yaml").read_text() == (MANIFESTS / "base/deployment.yaml").read_text()
