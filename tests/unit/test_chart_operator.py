"""The operator as the chart installs it: what it may do, how it runs, and with which configuration."""

from collections.abc import Iterator

import pytest

from fairway.settings import Settings
from tests.packaging.helm import Object, config_of, of_kind, only
from tests.packaging.helm import objects as render

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


def only_bound(objects: list[Object], kind: str) -> Object:
    return only(list(operator_roles(objects)), kind)


# --- what the operator may do ----------------------------------------------------------------------------------


def test_cluster_wide_the_operator_has_exactly_these_verbs() -> None:
    assert grants(only_bound(render(), "ClusterRole")) == CLUSTER_RULES | NAMESPACED_RULES


def test_in_namespaces_it_has_them_only_there() -> None:
    objects = render("namespaces={ml,risk}")
    # Kopf looks which of them exist before it watches any.
    assert grants(only_bound(objects, "ClusterRole")) == CLUSTER_RULES | {("", "namespaces"): READ}
    roles = {each["metadata"]["namespace"]: grants(each) for each in of_kind(objects, "Role")}
    assert {name: roles[name] for name in ("ml", "risk")} == dict.fromkeys(("ml", "risk"), NAMESPACED_RULES)
    assert set(roles) == {"ml", "risk", "fairway-system"}


RULES_EXIST = ("monitoring.coreos.com/v1/PrometheusRule",)
RULES = {("monitoring.coreos.com", "prometheusrules"): OWN}


def test_where_rules_exist_models_get_alerts_and_the_operator_the_rights_for_them() -> None:
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
def test_without_alerts_of_models_there_are_no_rights_for_them(sets: tuple[str, ...], apis: tuple[str, ...]) -> None:
    objects = render(*sets, apis=apis)
    assert Settings.model_validate(config_of(objects)).model_alerts is False
    assert not [role for role in operator_roles(objects) if RULES.keys() & grants(role).keys()]


def test_only_its_own_lease_can_be_read_and_changed() -> None:
    role = only(render("lease.name=mine"), "Role")
    assert role["metadata"]["namespace"] == "fairway-system"
    create, change = role["rules"]
    assert create["verbs"] == ["create"]
    assert (change["resourceNames"], set(change["verbs"])) == (["mine"], {"get", "update"})


@pytest.mark.parametrize("sets", [(), ("namespaces={ml}", "gateway.name=models", "gateway.namespace=gateways")])
def test_no_wildcard_no_secrets_no_escalation(sets: tuple[str, ...]) -> None:
    for role in operator_roles(render(*sets)):
        for (group, resource), verbs in grants(role).items():
            assert "*" not in {group, resource} | verbs
            assert resource not in {"secrets", "configmaps", "pods/exec", "serviceaccounts", "serviceaccounts/token"}
            assert not verbs & {"bind", "escalate", "impersonate", "deletecollection"}


def test_every_binding_names_the_operators_account() -> None:
    objects = render("namespaces={ml}")
    account = only(objects, "ServiceAccount")["metadata"]
    bindings = of_kind(objects, "RoleBinding") + of_kind(objects, "ClusterRoleBinding")
    assert len(bindings) == 3
    for binding in bindings:
        (subject,) = binding["subjects"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])


def test_users_get_model_deployments_but_never_their_status() -> None:
    roles = {each["metadata"]["name"]: each for each in of_kind(render(), "ClusterRole")}
    edit = roles["fairway-edit"]
    assert {resource for _, resource in grants(edit)} == {"modeldeployments", "modeldeployments/scale"}
    assert set(edit["metadata"]["labels"]) >= {
        "rbac.authorization.k8s.io/aggregate-to-edit",
        "rbac.authorization.k8s.io/aggregate-to-admin",
    }
    assert all(verbs == READ | {"get"} for verbs in grants(roles["fairway-view"]).values())


def test_roles_can_be_left_to_somebody_else() -> None:
    objects = render("rbac.create=false", "rbac.aggregate=false")
    assert not [each for each in objects if each["apiVersion"].startswith("rbac.")]


# --- how the operator runs -------------------------------------------------------------------------------------


def test_pods_meet_the_restricted_standard() -> None:
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


def test_the_operator_does_not_carry_the_label_of_its_children() -> None:
    for each in render():
        assert each["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") != "fairway"
    labels = only(render(), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert "app.kubernetes.io/managed-by" not in labels


def test_selectors_match_the_pods() -> None:
    objects = render(release="other")
    deployment = only(objects, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()
    for selector in (
        deployment["selector"]["matchLabels"],
        only(objects, "Service")["spec"]["selector"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels


def test_probes_and_service_use_the_metrics_port() -> None:
    objects = render("port=9000")
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9000}]
    probes = [container[kind]["httpGet"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert probes == [{"path": path, "port": "metrics"} for path in ("/healthz", "/healthz", "/readyz")]
    assert only(objects, "Service")["spec"]["ports"] == [{"name": "metrics", "port": 9000, "targetPort": "metrics"}]


def test_the_charts_defaults_are_the_operators() -> None:
    config = config_of(render())
    assert config.pop("approvalsVerified") is True
    assert config_of(render("policy.approvals.enabled=false"))["approvalsVerified"] is False
    assert Settings.model_validate(config) == Settings()
    assert {"namespaces", "settle", "scaleDownDelay", "lease", "port", "workers", "logLevel"} <= set(config)


def test_models_are_fetched_by_the_operators_own_image() -> None:
    digest = f"sha256:{'0' * 64}"
    for sets in ((), ("image.tag=next",), (f"image.digest={digest}",)):
        (container,) = only(render(*sets), "Deployment")["spec"]["template"]["spec"]["containers"]
        assert {"name": "FETCH_IMAGE", "value": container["image"]} in container["env"]


def test_configuration_as_asked() -> None:
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


def test_more_metrics_providers_as_asked() -> None:
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


def test_a_changed_configuration_restarts_the_operator() -> None:
    def checksum(*sets: str) -> str:
        annotations = only(render(*sets), "Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(annotations["checksum/config"])

    assert checksum() == checksum("podLabels.team=ml")
    assert checksum() != checksum("workers=8")


def test_only_metrics_and_probes_can_be_reached() -> None:
    policy = only(render("port=9000"), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": 9000}]}]
    assert "egress" not in policy
    pods = only(render(), "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert policy["podSelector"]["matchLabels"].items() <= pods
    assert not of_kind(render("networkPolicy.enabled=false"), "NetworkPolicy")


def test_what_goes_out_is_limited_when_asked() -> None:
    prometheus = "networkPolicy.egress.rules[0].ports[0].port=9090"
    on = "networkPolicy.egress.enabled=true,networkPolicy.egress.apiServer.cidrs={10.0.0.1/32}"
    policy = only(render(on, prometheus), "NetworkPolicy")["spec"]
    dns, api, own = policy["egress"]
    assert {entry["port"] for entry in dns["ports"]} == {53}
    assert [entry["port"] for entry in api["ports"]] == [443, 6443]
    assert api["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    assert own == {"ports": [{"port": 9090}]}


def test_replicas_keep_apart_and_one_goes_at_a_time() -> None:
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
