"""The chart as Helm renders it: what it grants, how the operator runs, and what it refuses."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.settings import Settings
from tests.packaging import helm as chart
from tests.packaging import values
from tests.packaging.helm import CHART, ROOT, Object

RUNTIMES = sorted((CHART / "files/runtimes").glob("*.yaml"))
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
    ("apps", "controllerrevisions"): OWN - {"patch"},
    ("", "services"): OWN,
    ("", "pods"): READ,
    ("", "events"): {"create"},
    ("autoscaling", "horizontalpodautoscalers"): OWN,
    ("policy", "poddisruptionbudgets"): OWN,
    ("gateway.networking.k8s.io", "httproutes"): OWN,
}

Helm = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Object]]


@pytest.fixture(scope="session")
def helm() -> Helm:
    return chart.helm


@pytest.fixture(scope="session")
def render() -> Render:
    return chart.objects


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
        ("prometheus.url=http://p,prometheus.headers.AUTHORIZATION=x", "AUTHORIZATION"),
        ("settle=3", "/settle"),
        ("scaleDownDelay=-30s", "/scaleDownDelay"),
        ("lease.name=A_b", "/lease/name"),
        ("port=80", "/port"),
        ("workers=0", "/workers"),
        ("logLevel=loud", "/logLevel"),
        ("image.digest=latest", "/image/digest"),
        ("policy.access=true", "/policy/access"),
        ("policy.approvals.trustedProxies={a b}", "/policy/approvals/trustedProxies/0"),
        ("policy.approvals.trustedProxies={a'b}", "/policy/approvals/trustedProxies/0"),
        ("policy.requirements.card={auc}", "/policy/requirements/card/0"),
        ("policy.requirements.registries={registry.example/}", "/policy/requirements/registries/0"),
        ("policy.requirements.actions={Deny,Warn}", "/policy/requirements/actions"),
        ("networkPolicy.egress.apiServer.cidrs={kubernetes}", "/networkPolicy/egress/apiServer/cidrs/0"),
        ("networkPolicy.from=x", "from"),
        ("resources.request.cpu=1", "request"),
        ("tolerations[0].name=x", "/tolerations/0"),
        ("affinity.node=x", "node"),
        ("runtimes.names={mlflow}", "/runtimes/names/0"),
        (r"podLabels.app\.kubernetes\.io/managed-by=fairway", "app.kubernetes.io/managed-by"),
    ],
)
def test_nonsense_is_refused_with_its_path(helm: Helm, value: str, path: str) -> None:
    done = helm("template", "fairway", CHART, "--set", value)
    assert done.returncode != 0
    assert path in done.stderr


TWO_QUERIES = (
    "prometheus.url=http://p,prometheus.queries[0].name=a,prometheus.queries[0].promql=x",
    "prometheus.queries[1].name=a,prometheus.queries[1].promql=y",
)
PROVIDER = "metrics.providers[0].name=default,metrics.providers[0].url=http://p"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lease.duration=2s", "/lease/duration"),
        ("settle=301s", "/settle"),
        ("settle=5m1s", "/settle"),
        ("settle=1h", "/settle"),
        ("scaleDownDelay=3601s", "/scaleDownDelay"),
        ("scaleDownDelay=1h1s", "/scaleDownDelay"),
        ("prometheus.url=http://p,prometheus.scrapeInterval=0m0s", "/prometheus/scrapeInterval"),
        ("prometheus.url=http://p,prometheus.headers.authorization=x", "authorization"),
        (
            'prometheus.url=http://p,prometheus.basicAuth.passwordFile=/p,prometheus.basicAuth.username="a\nb"',
            "/prometheus/basicAuth/username",
        ),
        (
            "prometheus.url=http://p,prometheus.queries[0].name=drift,prometheus.queries[0].promql=max(x{$who})",
            "/prometheus/queries/0/promql",
        ),
        (f"prometheus.url=http://p,{PROVIDER}", "metrics.providers: two are called default"),
        (
            f"{PROVIDER},{PROVIDER.replace('[0]', '[1]')}",
            "metrics.providers: two are called default",
        ),
        (
            f"{TWO_QUERIES[0]},{TWO_QUERIES[1]}",
            "queries of default: two are called a",
        ),
        (
            "notifications[0].name=a,notifications[0].url=http://p,notifications[1].name=a,notifications[1].url=http://q",
            "notifications: two are called a",
        ),
    ],
)
def test_what_the_operator_would_refuse_is_refused_before(helm: Helm, tmp_path: Path, value: str, says: str) -> None:
    done = helm("template", "fairway", CHART, "--set", value)
    assert done.returncode != 0
    assert says in done.stderr
    with pytest.raises(ValueError, match="validation error"):
        Settings.model_validate(asked_for(value, tmp_path, helm))


def asked_for(value: str, tmp_path: Path, helm: Helm) -> Any:
    """Return values as Helm reads them, by a chart that shows them."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: x\nversion: 1.0.0\n")
    (tmp_path / "templates/x.yaml").write_text("{{ .Values | toYaml }}")
    shown = yaml.safe_load(helm("template", "x", tmp_path, "--set", value).stdout)
    return {key: each for key, each in shown.items() if key != "global"}


@pytest.mark.parametrize(
    "value",
    [
        *(f"settle={each}" for each in ("0s", "59s", "300s", "5m", "4m59s", "5m0s", "2m")),
        *(f"scaleDownDelay={each}" for each in ("0s", "999s", "3600s", "1h", "59m59s", "60m")),
        *(f"lease.duration={each}" for each in ("3s", "15s", "1m30s")),
        "prometheus.url=http://p,prometheus.scrapeInterval=500s",
        "prometheus.url=http://p,prometheus.queries[0].name=a,prometheus.queries[0].promql=max(x{$selector}[$window])",
    ],
)
def test_what_the_operator_takes_can_be_set(render: Render, value: str) -> None:
    Settings.model_validate(config_of(render(value)))


# --- what it says after an installation ------------------------------------------------------------------------


@pytest.fixture
def notes(helm: Helm, tmp_path: Path) -> Callable[[str], str]:
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


# --- what the operator may do ----------------------------------------------------------------------------------


def test_cluster_wide_the_operator_has_exactly_these_verbs(render: Render) -> None:
    assert grants(only_bound(render(), "ClusterRole")) == CLUSTER_RULES | NAMESPACED_RULES


def test_in_namespaces_it_has_them_only_there(render: Render) -> None:
    objects = render("namespaces={ml,risk}")
    # Kopf looks which of them exist before it watches any.
    assert grants(only_bound(objects, "ClusterRole")) == CLUSTER_RULES | {("", "namespaces"): READ}
    roles = {each["metadata"]["namespace"]: grants(each) for each in of_kind(objects, "Role")}
    assert {name: roles[name] for name in ("ml", "risk")} == dict.fromkeys(("ml", "risk"), NAMESPACED_RULES)
    assert set(roles) == {"ml", "risk", "fairway-system"}


RULES_EXIST = ("monitoring.coreos.com/v1/PrometheusRule",)
RULES = {("monitoring.coreos.com", "prometheusrules"): OWN}


def test_where_rules_exist_models_get_alerts_and_the_operator_the_rights_for_them(render: Render) -> None:
    labels = "monitoring.prometheusRule.labels.release=prometheus"
    objects = render(labels, apis=RULES_EXIST)
    assert grants(only_bound(objects, "ClusterRole")) == CLUSTER_RULES | NAMESPACED_RULES | RULES
    chosen = Settings.model_validate(config_of(objects))
    assert (chosen.model_alerts, chosen.model_alert_labels) == (True, {"release": "prometheus"})
    in_namespaces = render("namespaces={ml}", apis=RULES_EXIST)
    (role,) = (each for each in of_kind(in_namespaces, "Role") if each["metadata"]["namespace"] == "ml")
    assert grants(role) == NAMESPACED_RULES | RULES


@pytest.mark.parametrize(
    ("sets", "apis"),
    [((), ()), (("monitoring.modelAlerts.enabled=false",), RULES_EXIST), (("rbac.create=false",), RULES_EXIST)],
    ids=["no such kind", "not wanted", "roles of somebody else"],
)
def test_without_alerts_of_models_there_are_no_rights_for_them(
    render: Render, sets: tuple[str, ...], apis: tuple[str, ...]
) -> None:
    objects = render(*sets, apis=apis)
    assert Settings.model_validate(config_of(objects)).model_alerts is False
    assert not [role for role in operator_roles(objects) if RULES.keys() & grants(role).keys()]


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
    assert config.pop("approvalsVerified") is True
    assert config_of(render("policy.approvals.enabled=false"))["approvalsVerified"] is False
    assert Settings.model_validate(config) == Settings()
    assert {"namespaces", "settle", "scaleDownDelay", "lease", "port", "workers", "logLevel"} <= set(config)


def test_models_are_fetched_by_the_operators_own_image(render: Render) -> None:
    digest = f"sha256:{'0' * 64}"
    for sets in ((), ("image.tag=next",), (f"image.digest={digest}",)):
        (container,) = only(render(*sets), "Deployment")["spec"]["template"]["spec"]["containers"]
        assert {"name": "FETCH_IMAGE", "value": container["image"]} in container["env"]


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


def test_only_metrics_and_probes_can_be_reached(render: Render) -> None:
    policy = only(render("port=9000"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": 9000}]}]
    assert "egress" not in policy
    pods = only(render(), "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert policy["podSelector"]["matchLabels"].items() <= pods
    assert not of_kind(render("networkPolicy.enabled=false"), "NetworkPolicy")


def test_what_goes_out_is_limited_when_asked(render: Render) -> None:
    prometheus = "networkPolicy.egress.rules[0].ports[0].port=9090"
    on = "networkPolicy.egress.enabled=true,networkPolicy.egress.apiServer.cidrs={10.0.0.1/32}"
    policy = only(render(on, prometheus), "NetworkPolicy")["spec"]
    dns, api, own = policy["egress"]
    assert {entry["port"] for entry in dns["ports"]} == {53}
    assert [entry["port"] for entry in api["ports"]] == [443, 6443]
    assert api["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    assert own == {"ports": [{"port": 9090}]}


def test_replicas_keep_apart_and_one_goes_at_a_time(render: Render) -> None:
    objects = render()
    spec = only(objects, "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    pod = spec["template"]["spec"]
    (term,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    (spread,) = pod["topologySpreadConstraints"]
    for labels in (term["podAffinityTerm"]["labelSelector"], spread["labelSelector"]):
        assert labels["matchLabels"] == spec["selector"]["matchLabels"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


NUMBERS = ("namespaces={123}", "lease.name=7", "serviceAccount.name=8", "priorityClassName=9")


def test_names_that_look_like_numbers_stay_text() -> None:
    objects = chart.objects(release="1", strings=NUMBERS, apis=("monitoring.coreos.com/v1/PodMonitor",))
    assert list(numbers(objects)) == []
    roles = {each["metadata"]["namespace"]: each["rules"] for each in of_kind(objects, "Role")}
    assert roles.keys() == {"123", "fairway-system"}
    assert roles["fairway-system"][1]["resourceNames"] == ["7"]
    assert config_of(objects)["namespaces"] == ["123"]


TEXTS = {"name", "namespace", "app.kubernetes.io/instance", "serviceAccountName", "priorityClassName"}


def numbers(value: Any) -> Iterator[Any]:
    """Names anywhere below that are no text."""
    if isinstance(value, dict):
        yield from ((key, each) for key, each in value.items() if key in TEXTS and not isinstance(each, str | dict))
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from numbers(inner)


# --- the values ------------------------------------------------------------------------------------------------


def test_every_value_is_explained_and_the_readme_has_the_table() -> None:
    text = (CHART / "values.yaml").read_text()
    said = values.comments(text)
    leaves = {path for path, value in values.entries(yaml.safe_load(text)) if not (isinstance(value, dict) and value)}
    assert leaves - said.keys() == set()
    assert values.README.read_text() == values.readme(), "run `make manifests`"


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = set(schema["properties"]) - {"global"}
    assert known == set(yaml.safe_load((CHART / "values.yaml").read_text()))
    assert list(open_objects(schema, "")) == []


VERBATIM = {"podSelector", "namespaceSelector", "ipBlock", "nodeAffinity", "podAffinity", "podAntiAffinity", "global"}
LISTS = {"/topologySpreadConstraints/items", "/extraVolumes/items", "/extraVolumeMounts/items"}


def open_objects(schema: Any, path: str) -> Iterator[str]:
    """Objects that take any key, though they are not Kubernetes' own, which its API server checks."""
    if not isinstance(schema, dict):
        return
    closed = "additionalProperties" in schema or "allOf" in schema
    if (
        "object" in schema.get("type", ())
        and not closed
        and path.rsplit("/", maxsplit=1)[-1] not in VERBATIM
        and path not in LISTS
    ):
        yield path
    for name, inner in {**schema.get("properties", {}), **schema.get("definitions", {})}.items():
        yield from open_objects(inner, f"{path}/{name}")
    yield from open_objects(schema.get("items"), f"{path}/items")


def test_artifact_hub_is_told_what_is_there() -> None:
    meta = yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = meta["annotations"]
    crds = [yaml.safe_load(path.read_text()) for path in CRDS]
    named = {(each["name"], each["kind"], each["version"]) for each in yaml.safe_load(told["artifacthub.io/crds"])}
    assert named == {
        (crd["metadata"]["name"], crd["spec"]["names"]["kind"], version["name"])
        for crd in crds
        for version in crd["spec"]["versions"]
    }
    specs = {"ModelDeployment": ModelDeploymentSpec, "ModelRuntime": ModelRuntimeSpec}
    for example in yaml.safe_load(told["artifacthub.io/crdsExamples"]):
        specs[example["kind"]].model_validate(example["spec"])


def test_one_version_everywhere() -> None:
    meta = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert meta["version"] == meta["appVersion"] == project["version"]
    assert f"ARG VERSION={project['version']}\n" in (ROOT / "Dockerfile").read_text()


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


def test_versions_of_the_api_are_only_added() -> None:
    """Objects of every version that was ever there must stay readable: add to this list, never take away."""
    for path in CRDS:
        served = {each["name"] for each in yaml.safe_load(path.read_text())["spec"]["versions"] if each["served"]}
        assert served >= {"v1alpha1"}


def test_crds_are_small_enough_for_client_side_apply() -> None:
    """Together below 200 KiB, and each below the 256 KiB that an annotation may have."""
    assert sum(path.stat().st_size for path in CRDS) < 200 * 1024


def test_crds_can_be_left_to_somebody_else(render: Render) -> None:
    assert not of_kind(render("crds.install=false"), "CustomResourceDefinition")


# --- ModelRuntimes ---------------------------------------------------------------------------------------------


def test_model_runtimes_come_when_asked_for(render: Render) -> None:
    assert not of_kind(render(), "ModelRuntime")
    assert {each["metadata"]["name"] for each in of_kind(render("runtimes.enabled=true"), "ModelRuntime")} == {
        path.stem for path in RUNTIMES
    }
    some = of_kind(render("runtimes.enabled=true", "runtimes.names={vllm,mlserver}"), "ModelRuntime")
    assert {each["metadata"]["name"] for each in some} == {"vllm", "mlserver"}


def test_every_model_runtime_fits_the_crd(render: Render) -> None:
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


def only_bound(objects: list[Object], kind: str) -> Object:
    return only(list(operator_roles(objects)), kind)
