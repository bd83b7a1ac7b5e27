"""What is shipped, in the eyes of the field's own checkers: kubeconform and kube-score."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packaging import helm, schemas
from tests.packaging.helm import ROOT, Object, parse, tool

MODES = {
    "as it comes": (),
    "in namespaces": ("namespaces={ml,risk}",),
    "everything on": (
        "networkPolicy.egress.enabled=true,networkPolicy.egress.apiServer.cidrs={10.0.0.1/32}",
        "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.team=sre",
        "gateway.name=models,gateway.namespace=gateways,prometheus.url=http://prometheus:9090",
        "policy.requirements.card={owner,metrics},policy.requirements.commit=true,policy.requirements.digest=true",
        "policy.requirements.dataVersion=true,policy.requirements.registries={registry.example}",
        "priorityClassName=system-cluster-critical,imagePullSecrets[0].name=registry,nodeSelector.os=linux",
        "tolerations[0].operator=Exists,extraVolumes[0].name=x,extraVolumes[0].secret.secretName=x",
        "extraVolumeMounts[0].name=x,extraVolumeMounts[0].mountPath=/x",
        "runtimes.enabled=true,monitoring.dashboards.enabled=true,monitoring.dashboards.annotations.folder=ML",
        "monitoring.podMonitor.labels.release=prometheus,monitoring.prometheusRule.labels.release=prometheus",
    ),
}
APIS = ("monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule")
"""Of the Prometheus Operator: the chart makes objects of these kinds where the cluster has them."""
FILES = [
    *(
        path
        for path in sorted(ROOT.glob("manifests/*/*.yaml"))
        if path.name not in {"kustomization.yaml", "config.yaml"}
    ),
    *sorted(ROOT.glob("examples/*/modeldeployment.yaml")),
    *sorted((ROOT / "charts/fairway/files/runtimes").glob("*.yaml")),
    *sorted((ROOT / "crds").glob("*.yaml")),
]
ACCEPTED = {
    "container-resources": "no CPU limit: throttling would delay a rollback; the request keeps the operator's share",
    "container-image-pull-policy": "a release's tag never moves, and the digest can be pinned; Always would make a "
    "start of the operator depend on the registry",
    "container-ephemeral-storage-request-and-limit": "the root file system is read-only and there is no emptyDir; a "
    "request would keep the pod from nodes whose kubelet does not count local storage",
    "pod-networkpolicy": "ingress is limited; egress is opt-in (networkPolicy.egress), as no chart can know the "
    "address of the API server",
}
"""kube-score's findings that stay, each with its reason."""

Conform = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def conform(tmp_path_factory: pytest.TempPathFactory) -> Conform:
    """Return what kubeconform has against a text of objects."""
    folder = tmp_path_factory.mktemp("schemas")

    def check(text: str) -> list[str]:
        objects = parse(text)
        schemas.write(folder, [(each["apiVersion"], each["kind"]) for each in objects])
        argv = [tool("kubeconform"), "-strict", "-output=json", f"-schema-location={folder}/{schemas.LOCATION}", "-"]
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=120)
        assert done.stdout, done.stderr
        found = json.loads(done.stdout).get("resources") or []
        return [f"{each['kind']} {each['name']}: {each['status']}: {each['msg']}" for each in found]

    return check


@pytest.mark.parametrize("sets", MODES.values(), ids=MODES)
def test_the_chart_conforms(conform: Conform, sets: tuple[str, ...]) -> None:
    assert conform(helm.text(*sets, apis=APIS)) == []


def test_everything_on_leaves_nothing_out() -> None:
    """Every template of the chart renders something: what is switched off is not looked at."""
    shown = helm.text(*MODES["everything on"], apis=APIS)
    rendered = set(re.findall(r"^# Source: fairway/templates/(\S+)$", shown, re.MULTILINE))
    assert rendered == {path.name for path in (helm.CHART / "templates").glob("*.yaml")}
    kinds = {each["kind"] for each in parse(shown)}
    assert {"PodMonitor", "PrometheusRule", "ModelRuntime"} <= kinds


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_conform(conform: Conform, path: Path) -> None:
    assert conform(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prots: []}", "prots"),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {replicas: two}", "replicas"),
        ("apiVersion: fairway.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: x}\nspec: {model: {}}", "runtime"),
    ],
)
def test_what_does_not_conform_is_found(conform: Conform, text: str, says: str) -> None:
    (finding,) = conform(text)
    assert says in finding


def findings(*sets: str) -> dict[str, list[str]]:
    """Return kube-score's complaints about the chart: check -> what it says."""
    argv = [tool("kube-score"), "score", "--kubernetes-version=v1.35", "--output-format=json", "-"]
    done = subprocess.run(
        argv, input=helm.text(*sets, apis=APIS), capture_output=True, text=True, check=False, timeout=120
    )
    scored: list[Object] = json.loads(done.stdout)
    found: dict[str, list[str]] = {}
    for each in scored:
        for check in each["checks"]:
            if not check["skipped"] and check["grade"] < 10:
                said = [comment["summary"] for comment in check["comments"] or ()]
                found.setdefault(check["check"]["id"], []).append(f"{each['object_name']}: {'; '.join(said)}")
    return found


@pytest.mark.parametrize("sets", MODES.values(), ids=MODES)
def test_kube_score_has_nothing_to_say_that_has_no_answer(sets: tuple[str, ...]) -> None:
    assert {check: said for check, said in findings(*sets).items() if check not in ACCEPTED} == {}


def test_every_answer_still_has_its_question() -> None:
    assert set(findings()) == set(ACCEPTED)


def test_kube_score_does_look() -> None:
    """Without a disruption budget and with one replica it complains: silence above is no accident."""
    bare: list[dict[str, Any]] = [each for each in helm.objects() if each["kind"] in {"Deployment", "Service"}]
    argv = [tool("kube-score"), "score", "--output-format=json", "-"]
    text = yaml.safe_dump_all(bare)
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=120)
    failing = {
        check["check"]["id"]
        for each in json.loads(done.stdout)
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < 10
    }
    assert "deployment-has-poddisruptionbudget" in failing
