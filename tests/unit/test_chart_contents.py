"""What the chart brings beside the operator: the CRDs, ModelRuntimes, and the notes with a first model."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fairway.api.spec import ModelDeploymentSpec
from tests.packaging.helm import CHART, ROOT, helm, of_kind
from tests.packaging.helm import objects as render

RUNTIMES = sorted((CHART / "files/runtimes").glob("*.yaml"))
CRDS = sorted((ROOT / "crds").glob("*.yaml"))


# --- what it says after an installation ------------------------------------------------------------------------


@pytest.fixture
def notes(tmp_path: Path) -> Callable[[str], str]:
    """Return what Helm would print. Helm itself renders the notes for a cluster only, so a template includes them."""
    copy = tmp_path / "fairway"
    shutil.copytree(CHART, copy)
    shutil.move(copy / "templates/NOTES.txt", copy / "files/NOTES.txt")
    template = """notes: |-\n  {{- tpl (.Files.Get "files/NOTES.txt") . | nindent 2 }}\n"""
    (copy / "templates/notes.yaml").write_text(template)

    def print_notes(sets: str) -> str:
        done = helm("template", "fairway", copy, "--show-only", "templates/notes.yaml", "--set-string", sets)
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)["notes"])

    return print_notes


@pytest.mark.parametrize(
    ("sets", "namespace", "warned"),
    [("lease.name=x", "default", True), ("namespaces={7,risk},gateway.name=g,gateway.namespace=g", "7", False)],
)
def test_the_first_model_in_the_notes_can_be_applied(
    notes: Callable[[str], str], sets: str, namespace: str, *, warned: bool
) -> None:
    shown = notes(sets)
    (example,) = re.findall(r"^ *kubectl apply -f - <<EOF\n(.*?)^ *EOF$", shown, re.DOTALL | re.MULTILINE)
    model = yaml.safe_load(example)
    ModelDeploymentSpec.model_validate(model["spec"])
    assert (model["apiVersion"], model["kind"]) == ("fairway.dev/v1alpha1", "ModelDeployment")
    assert model["metadata"]["namespace"] == namespace
    assert ("No default Gateway is configured" in shown) is warned


# --- the CRDs --------------------------------------------------------------------------------------------------


def test_the_charts_crds_are_those_of_the_project() -> None:
    assert CRDS, "crds/ is empty: run `make crds`"
    copies = {path.name: path.read_text() for path in (CHART / "files/crds").glob("*.yaml")}
    assert copies == {path.name: path.read_text() for path in CRDS}, "run `make crds`"


def test_crds_are_installed_unchanged_and_outlive_the_release() -> None:
    rendered = {each["metadata"]["name"]: each for each in of_kind(render(), "CustomResourceDefinition")}
    for path in CRDS:
        wanted = yaml.safe_load(path.read_text())
        crd = rendered.pop(wanted["metadata"]["name"])
        assert crd["metadata"]["annotations"].pop("helm.sh/resource-policy") == "keep"
        assert crd["spec"] == wanted["spec"]
    assert not rendered


def test_versions_of_the_api_are_only_added() -> None:
    """Objects of every version that was ever there must stay readable: add to this list, never take away."""
    for path in CRDS:
        served = {each["name"] for each in yaml.safe_load(path.read_text())["spec"]["versions"] if each["served"]}
        assert served >= {"v1alpha1"}


def test_crds_are_small_enough_for_client_side_apply() -> None:
    """Together below 200 KiB, and each below the 256 KiB that an annotation may have."""
    assert sum(path.stat().st_size for path in CRDS) < 200 * 1024


def test_crds_can_be_left_to_somebody_else() -> None:
    assert not of_kind(render("crds.install=false"), "CustomResourceDefinition")


# --- ModelRuntimes ---------------------------------------------------------------------------------------------


def test_model_runtimes_come_when_asked_for() -> None:
    assert not of_kind(render(), "ModelRuntime")
    assert {each["metadata"]["name"] for each in of_kind(render("runtimes.enabled=true"), "ModelRuntime")} == {
        path.stem for path in RUNTIMES
    }
    some = of_kind(render("runtimes.enabled=true", "runtimes.names={vllm,mlserver}"), "ModelRuntime")
    assert {each["metadata"]["name"] for each in some} == {"vllm", "mlserver"}


def test_every_model_runtime_fits_the_crd() -> None:
    crd = yaml.safe_load((ROOT / "crds/fairway.dev_modelruntimes.yaml").read_text())
    schema = closed(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    for each in of_kind(render("runtimes.enabled=true"), "ModelRuntime"):
        jsonschema.Draft202012Validator(schema).validate(each["spec"])
        written = yaml.safe_load((CHART / f"files/runtimes/{each['metadata']['name']}.yaml").read_text())
        assert each["spec"] == written["spec"]
        assert each["metadata"].get("annotations") == written["metadata"].get("annotations")
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"


def closed(schema: Any) -> Any:
    """The schema, refusing unknown fields as strict validation does."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    extra = {"additionalProperties": False} if "properties" in schema and "additionalProperties" not in schema else {}
    return {key: closed(value) for key, value in schema.items()} | extra
