"""The CRDs on a real API server: they install, and it refuses what the models refuse, with the field to blame.

Objects are sent as a dry run, so nothing is left behind but the CRDs themselves.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fairway.api import API_VERSION, crd
from fairway.api.runtime import ModelRuntimeSpec
from tests.contract.refusals import ACCEPTED, FULL, MINIMAL, NAMES_REFUSED, REFUSED

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SERVER_SIDE = ("apply", "--server-side", "--force-conflicts")
STRICTLY = ("--dry-run=server", "--validate=strict", "-f", "-")
DRY_RUN = (*SERVER_SIDE, *STRICTLY)


@cache
def environment() -> Mapping[str, str]:
    """Where the API server is: KUBECONFIG if it is set, else the development cluster."""
    if os.environ.get("KUBECONFIG"):
        return dict(os.environ)
    shown = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "env"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    # The shell is the one to expand what it says, such as $PATH.
    script = f'{shown}\nprintf \'%s\\n%s\' "$KUBECONFIG" "$PATH"'
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    kubeconfig, path = found.splitlines()[-2:]
    return dict(os.environ) | {"KUBECONFIG": kubeconfig, "PATH": path}


def kubectl(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", *arguments],
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def manifest(name: str, spec: Mapping[str, Any], kind: str = "ModelDeployment") -> str:
    metadata = {"name": name} | ({"namespace": "default"} if kind == "ModelDeployment" else {})
    return json.dumps({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})


@pytest.fixture(scope="module", autouse=True)
def installed(operator: None) -> None:
    """The CRDs as the chart installs them: Helm would not adopt any that were there before it."""


@pytest.mark.parametrize("plural", ["modeldeployments", "modelruntimes"])
def test_the_server_finds_the_schema_structural(plural):
    found = kubectl("get", "crd", f"{plural}.fairway.dev", "-o", "json")
    conditions = {entry["type"]: entry for entry in json.loads(found.stdout)["status"]["conditions"]}
    assert conditions["NamesAccepted"]["status"] == "True"
    assert "NonStructuralSchema" not in conditions, conditions["NonStructuralSchema"]["message"]


@pytest.mark.parametrize("plural", ["modeldeployments", "modelruntimes"])
def test_installing_it_again_changes_nothing(plural):
    """A GitOps tool compares what is live with the file: nothing may be added to the schema by the server."""
    live = json.loads(kubectl("get", "crd", f"{plural}.fairway.dev", "-o", "json").stdout)
    (version,) = crd.crds()[f"fairway.dev_{plural}.yaml"]["spec"]["versions"]
    assert live["spec"]["versions"][0]["schema"] == version["schema"]
    again = kubectl("diff", "--server-side", "--force-conflicts", "-f", str(ROOT / f"crds/fairway.dev_{plural}.yaml"))
    assert (again.returncode, again.stdout) == (0, ""), again.stderr


@pytest.mark.parametrize("example", ACCEPTED, ids=lambda example: example.why)
def test_accepted(example):
    answer = kubectl(*DRY_RUN, stdin=manifest(example.name, example.full()))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("example", [*REFUSED, *NAMES_REFUSED], ids=lambda example: example.why)
def test_refused(example):
    answer = kubectl(*DRY_RUN, stdin=manifest(example.name, example.full()))
    assert answer.returncode != 0
    assert example.field in answer.stderr
    assert example.says in answer.stderr


@pytest.mark.parametrize(
    ("why", "field", "says"),
    [
        ("a variable twice", "spec.runtime.env[2]", "Duplicate value"),
        ("a name twice", "spec.objectives[1]", "Duplicate value"),
        ("a field that is not there", "spec.replicas", "unknown field"),
    ],
)
def test_refused_without_server_side_apply_too(why, field, says):
    (example,) = (found for found in REFUSED if found.why == why)
    answer = kubectl("create", *STRICTLY, stdin=manifest(example.name, example.full()))
    assert answer.returncode != 0
    assert field in answer.stderr
    assert says in answer.stderr


def test_nothing_is_filled_in():
    """What is stored is what was written; the operator's defaults are in the status."""
    answer = kubectl(*DRY_RUN, "-o", "json", stdin=manifest("churn", FULL))
    assert json.loads(answer.stdout)["spec"] == FULL


def test_a_runtime_is_accepted():
    server = {key: value for key, value in FULL["runtime"].items() if key in ModelRuntimeSpec.model_fields}
    server |= {"formats": [{"name": "sklearn", "version": "1.7"}, {"name": "xgboost"}], "modelMountPath": "/models"}
    answer = kubectl(*DRY_RUN, stdin=manifest("contract-mlserver", server, "ModelRuntime"))
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("name", ["kserve.v2", "r" * 64])
def test_a_runtime_that_no_deployment_could_name_is_refused(name):
    answer = kubectl(*DRY_RUN, stdin=manifest(name, {"image": "x"}, "ModelRuntime"))
    assert answer.returncode != 0
    assert "metadata.name" in answer.stderr
    assert "at most 63 characters" in answer.stderr


def test_a_spec_is_required():
    answer = kubectl(*DRY_RUN, stdin=json.dumps(json.loads(manifest("churn", MINIMAL)) | {"spec": None}))
    assert answer.returncode != 0
    assert "spec" in answer.stderr
