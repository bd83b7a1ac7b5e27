"""The chart as Helm renders it: what it grants, how the operator runs, and what it refuses."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts/fairway"
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
READ = {"list", "watch"}
OWN = READ | {"get", "create", "patch", "delete"}
CLUSTER_RULES = {
    ("fairway.dev", "modelruntimes"): READ,
    ("gateway.networking.k8s.io", "gateways"): READ,
    ("apiextensions.k8s.io", "customresourcedefinitions"): READ,
}
NAMESPACED_RULES = {
    ("fairway.dev", "modeldeployments"): READ,
    ("fairway.dev", "modeldeployments/status"): {"patch"},
    ("apps", "deployments"): OWN,
    ("apps", "deployments/scale"): {"patch"},
    ("apps", "controllerrevisions"): OWN,
    ("", "services"): OWN,
    ("", "pods"): READ,
    ("", "events"): {"create"},
    ("autoscaling", "horizontalpodautoscalers"): OWN,
    ("policy", "poddisruptionbudgets"): OWN,
    ("gateway.networking.k8s.io", "httproutes"): OWN,
}

Object = dict[str, Any]
Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Object]]


@pytest.fixture(scope="session")
def helm() -> Helm:
    program = shutil.which("helm", path=ROOT / "build/bin") or shutil.which("helm")
    if program is None:
        pytest.fail("helm is not there: `make unit` builds it into build/bin")

    def call(*args: str | Path) -> subprocess.CompletedProcess[str]:
        argv = [program, *args, "--kube-version", "1.35.4"]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="session")
def render(helm: Helm) -> Render:
    def call(*sets: str, release: str = "fairway") -> list[Object]:
        flags = [flag for value in sets for flag in ("--set", value)]
        done = helm("template", release, CHART, "--namespace", "fairway-system", *flags)
        assert done.returncode == 0, done.stderr
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    return call


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def only(objects: list[Object], kind: str) -> Object:
    (found,) = of_kind(objects, kind)
    return found


def config_of(objects: list[Object]) -> Object:
    parsed: Object = yaml.safe_load(only(objects, "ConfigMap")["data"]["config.yaml"])
    return parsed


def grants(role: Object) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def operator_roles(objects: list[Object]) -> Iterator[Object]:
    bound = {each["roleRef"]["name"] for each in objects if each["kind"].endswith("RoleBinding")}
    roles = [each for each in objects if each["kind"] in {"Role", "ClusterRole"}]
    return (each for each in roles if each["metadata"]["name"] in bound)


def test_lint_finds_nothing(helm: Helm) -> None:
    done = helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


# --- what the chart refuses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("replica=1", "replica"),
        ("namespaces=ml", "/namespaces"),
        ("namespaces={ML}", "/namespaces/0"),
        ("gateway.name=models", "/gateway"),
        ("prometheus.scrapeInterval=5s", "/prometheus"),
        ("prometheus.url=prometheus:9090", "/prometheus/url"),
        ("prometheus.url=http://user:password@prometheus", "/prometheus/url"),
        ("prometheus.url=http://p,prometheus.headers.Authorization=x", "Authorization"),
        ("prometheus.url=http://p,prometheus.caFile=ca.crt", "/prometheus/caFile"),
        ("prometheus.url=http://p,prometheus.bearerTokenFile=/t,prometheus.basicAuth.username=x", "/prometheus"),
        ("prometheus.url=http://p,prometheus.revisionLabel=a-b", "/prometheus/revisionLabel"),
        ("prometheus.url=http://p,prometheus.queries[0].name=drift", "/prometheus/queries/0"),
        ("metrics.providers[0].url=http://p", "/metrics/providers/0"),
        ("metrics.providers[0].name=a,metrics.providers[0].url=http://u:p@h", "/metrics/providers/0/url"),
        ("settle=3", "/settle"),
        ("scaleDownDelay=-30s", "/scaleDownDelay"),
        ("lease.name=A_b", "/lease/name"),
        ("port=80", "/port"),
        ("workers=0", "/workers"),
        ("logLevel=loud", "/logLevel"),
        ("image.digest=latest", "/image/digest"),
        (r"podLabels.app\.kubernetes\.io/managed-by=fairway", "app.kubernetes.io/managed-by"),
    ],
)
def test_nonsense_is_refused_with_its_path(helm: Helm, value: str, path: str) -> None:
    done = helm("template", "fairway", CHART, "--set", value)
    assert done.returncode != 0
    assert path in done.stderr


# --- what the operator may do ----------------------------------------------------------------------------------


def test_cluster_wide_the_operator_has_exactly_these_verbs(render: Render) -> None:
    assert grants(only_bound(render(), "ClusterRole")) == CLUSTER_RULES | NAMESPACED_RULES


def test_in_namespaces_it_has_them_only_there(render: Render) -> None:
    objects = render("namespaces={ml,risk}")
    assert grants(only_bound(objects, "ClusterRole")) == CLUSTER_RULES
    roles = {each["metadata"]["namespace"]: grants(each) for each in of_kind(objects, "Role")}
    assert {name: roles[name] for name in ("ml", "risk")} == dict.fromkeys(("ml", "risk"), NAMESPACED_RULES)
    assert set(roles) == {"ml", "risk", "fairway-system"}


def test_only_its_own_lease_can_be_read_and_changed(render: Render) -> None:
    role = only(render("lease.name=mine"), "Role")
    assert role["metadata"]["namespace"] == "fairway-system"
    create, change = role["rules"]
    assert create["verbs"] == ["create"]
    assert (change["resourceNames"], set(change["verbs"])) == (["mine"], {"get", "update"})


@pytest.mark.parametrize("sets", [(), ("namespaces={ml}", "gateway.name=models", "gateway.namespace=gateways")])
def test_no_wildcard_no_secrets_no_escalation(render: Render, sets: tuple[str, ...]) -> None:
    for role in operator_roles(render(*sets)):
        for (group, resource), verbs in grants(role).items():
            assert "*" not in {group, resource} | verbs
            assert resource not in {"secrets", "configmaps", "pods/exec", "serviceaccounts", "serviceaccounts/token"}
            assert not verbs & {"bind", "escalate", "impersonate", "deletecollection"}


def test_every_binding_names_the_operators_account(render: Render) -> None:
    objects = render("namespaces={ml}")
    account = only(objects, "ServiceAccount")["metadata"]
    bindings = of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding")
    assert len(bindings) == 3
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_users_get_model_deployments_but_never_their_status(render: Render) -> None:
    roles = {each["metadata"]["name"]: each for each in of_kind(render(), "ClusterRole")}
    edit = roles["fairway-edit"]
    assert {resource for _, resource in grants(edit)} == {"modeldeployments", "modeldeployments/scale"}
    assert set(edit["metadata"]["labels"]) >= {
        "rbac.authorization.k8s.io/aggregate-to-edit",
        "rbac.authorization.k8s.io/aggregate-to-admin",
    }
    assert all(verbs == READ | {"get"} for verbs in grants(roles["fairway-view"]).values())


def test_roles_can_be_left_to_somebody_else(render: Render) -> None:
    objects = render("rbac.create=false", "rbac.aggregate=false")
    assert not [each for each in objects if each["apiVersion"].startswith("rbac.")]


# --- how the operator runs -------------------------------------------------------------------------------------


def test_pods_meet_the_restricted_standard(render: Render) -> None:
    pod = only(render(), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"]
    assert container["resources"]["limits"]["memory"]


def test_the_operator_does_not_carry_the_label_of_its_children(render: Render) -> None:
    for each in render():
        assert each["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "fairway"
    labels = only(render(), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert "app.kubernetes.io/managed-by" not in labels


def test_selectors_match_the_pods(render: Render) -> None:
    objects = render(release="other")
    deployment = only(objects, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    for selector in (
        deployment["selector"]["matchLabels"],
        only(objects, "Service")["spec"]["selector"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels


def test_probes_and_service_use_the_metrics_port(render: Render) -> None:
    objects = render("port=9000")
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9000}]
    probes = [container[kind]["httpGet"] for kind in ("livenessProbe", "readinessProbe")]
    assert probes == [{"path": path, "port": "metrics"} for path in ("/healthz", "/readyz")]
    assert only(objects, "Service")["spec"]["ports"] == [{"name": "metrics", "port": 9000, "targetPort": "metrics"}]


def test_the_charts_defaults_are_the_operators(render: Render) -> None:
    config = config_of(render())
    own = config.pop("fetchImage")
    assert own == only(render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert Settings.model_validate(config) == Settings()
    assert {"namespaces", "settle", "scaleDownDelay", "lease", "port", "workers", "logLevel"} <= set(config)


def test_configuration_as_asked(render: Render) -> None:
    config = config_of(
        render(
            "namespaces={ml}",
            "gateway.name=models,gateway.namespace=gateways",
            "prometheus.url=http://prometheus:9090,prometheus.scrapeInterval=5s",
            "prometheus.headers.X-Scope-OrgID=ml",
        )
    )
    assert [provider.name for provider in Settings.model_validate(config).providers] == ["default"]
    assert config["namespaces"] == ["ml"]
    assert config["gateway"] == {"name": "models", "namespace": "gateways"}
    assert config["prometheus"] == {
        "url": "http://prometheus:9090",
        "scrapeInterval": "5s",
        "headers": {"X-Scope-OrgID": "ml"},
    }


def test_more_metrics_providers_as_asked(render: Render) -> None:
    drift = "metrics.providers[0]"
    config = config_of(
        render(
            "prometheus.url=http://prometheus:9090",
            f"{drift}.name=drift,{drift}.url=https://mimir.example/prometheus,{drift}.freeQueries=true",
            f"{drift}.basicAuth.username=fairway,{drift}.basicAuth.passwordFile=/etc/mimir/password",
            f"{drift}.queries[0].name=drift,{drift}.queries[0].promql=max(drift{{$selector}})",
            f"{drift}.revisionLabel=fairway_dev_revision",
        )
    )
    first, second = Settings.model_validate(config).providers
    assert (first.name, second.name) == ("default", "drift")
    assert (first.free_queries, second.free_queries) == (False, True)
    assert second.queries[0].promql == "max(drift{$selector})"
    assert second.basic_auth is not None
    assert (second.basic_auth.username, second.revision_label) == ("fairway", "fairway_dev_revision")


def test_a_changed_configuration_restarts_the_operator(render: Render) -> None:
    def checksum(*sets: str) -> str:
        annotations = only(render(*sets), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum() == checksum("podLabels.team=ml")
    assert checksum() != checksum("workers=8")


# --- the CRDs --------------------------------------------------------------------------------------------------


def test_the_charts_crds_are_those_of_the_project() -> None:
    assert CRDS, "crds/ is empty: run `make crds`"
    copies = {path.name: path.read_text() for path in (CHART / "files/crds").glob("*.yaml")}
    assert copies == {path.name: path.read_text() for path in CRDS}, "run `make crds`"


def test_crds_are_installed_unchanged_and_outlive_the_release(render: Render) -> None:
    rendered = {each["metadata"]["name"]: each for each in of_kind(render(), "CustomResourceDefinition")}
    for path in CRDS:
        wanted = yaml.safe_load(path.read_text())
        crd = rendered.pop(wanted["metadata"]["name"])
        assert crd["metadata"]["annotations"].pop("helm.sh/resource-policy") == "keep"
        assert crd["spec"] == wanted["spec"]
    assert not rendered


def test_crds_can_be_left_to_somebody_else(render: Render) -> None:
    assert not of_kind(render("crds.install=false"), "CustomResourceDefinition")


def only_bound(objects: list[Object], kind: str) -> Object:
    return only(list(operator_roles(objects)), kind)
