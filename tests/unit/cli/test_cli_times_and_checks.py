"""What ``plan`` and ``lint`` compute: changed fields, times, pods, room, and what the cluster cannot do."""

import pytest

from fairway.api.runtime import GENERIC_HTTP, ModelRuntimeSpec
from fairway.api.spec import GatewayRef, ModelDeploymentSpec
from fairway.api.status import PlanStep, Retiring, Run, Status, Track
from fairway.cli.changes import changes
from fairway.cli.checks import check, of_schema
from fairway.cli.facts import Facts
from fairway.cli.foresight import Cluster
from fairway.cli.manifests import Document
from fairway.cli.room import in_quotas, needs, on_nodes, quantity
from fairway.cli.schedule import forecasts, pods_at_once, shortest
from fairway.core.objectives import plan
from tests.fakes.scenes import GATEWAY, spec


def parsed(**more):
    return ModelDeploymentSpec.model_validate({k: v for k, v in spec(**more).items() if v is not None})


# --- changes ----------------------------------------------------------------------------------------------------------


def test_fields_that_make_a_revision_come_first_and_are_exact():
    """Given two specs, when compared, then what is hashed into a revision is told apart from what is not."""
    old = parsed(version="1.0.0")
    new = parsed(
        version="1.0.0",
        resources={"requests": {"cpu": "1"}},
        rollout={"steps": [{"weight": 10}]},
        scaling={"replicas": 6},
        objectives=[{"name": "errors", "errors": {"below": "2%"}}],
    )
    found = {change.path: change for change in changes("churn", old, new)}
    assert [path for path, change in found.items() if change.makes_revision] == ["resources"]
    assert str(found["scaling.replicas"]) == "scaling.replicas: 4 -> 6"
    assert str(found["objectives[errors].errors.below"]) == "objectives[errors].errors.below: 1% -> 2%"
    assert str(found["objectives[latency]"]).endswith("-> (gone)")
    assert changes("churn", old, old) == []


def test_lineage_makes_no_revision():
    old, new = parsed(), parsed()
    new = new.model_copy(update={"model": new.model.model_copy(update={"source": None})})
    assert [(change.path, change.makes_revision) for change in changes("churn", old, new)] == [("model.source", False)]


# --- times and pods -------------------------------------------------------------------------------------------------


def opened(*steps, replicas=4):
    status = Status(
        stable=Track(revision="a", version="1.0.0", weight=100, replicas=replicas, ready=replicas),
        candidate=Track(revision="b", version="1.1.0"),
        run=Run(id="run-2", since=0.0, started_at=0.0, plan=steps, steps=len(steps), size=replicas),
    )
    asked = parsed()
    return asked, status, plan(asked, GENERIC_HTTP)


def test_a_step_lasts_until_its_requests_have_come():
    """Given 2 requests a second, when 300 are needed of 5 %, then the first step takes 50 minutes."""
    asked, status, objectives = opened(PlanStep(weight=5, for_=120.0), PlanStep(weight=50, for_=60.0))
    found = forecasts(asked, status, objectives, {"errors": 2.0, "latency": 2.0}, 3.0)
    assert found[0].seconds == pytest.approx(300 / (2.0 * 0.05) + 3.0)
    assert found[0].because == "300 requests for errors"
    assert found[1].seconds == 63.0
    assert found[1].because == "its time"
    assert shortest(found) == pytest.approx(3003 + 63)


def test_requests_of_earlier_steps_count():
    asked, status, objectives = opened(PlanStep(weight=5, for_=1000.0), PlanStep(weight=10, for_=10.0))
    objectives = tuple(each for each in objectives if each.name == "errors")
    found = forecasts(asked, status, objectives, {"errors": 4.0}, 0.0)
    # 1500 s at 0.2/s are the 300 requests: nothing is left for the second step.
    assert [round(step.seconds) for step in found[:2]] == [1500, 10]


def test_unknown_traffic_is_told_once_and_an_approval_is_a_person():
    asked, status, objectives = opened(PlanStep(weight=5, for_=120.0), PlanStep(weight=5, approval="risk"))
    found = forecasts(asked, status, objectives, {}, 3.0)
    assert found[0].seconds == 123.0
    assert found[0].open == "300 requests for errors, latency"
    assert (found[1].what, found[1].open) == ("approval risk", "a person")
    assert found[2].open == "4 ready pods"


def test_requests_are_asked_for_after_an_approval_too():
    asked, status, objectives = opened(PlanStep(weight=5, approval="risk"), PlanStep(weight=5, for_=1.0))
    assert forecasts(asked, status, objectives, {}, 0.0)[1].open == "300 requests for errors, latency"


def test_pods_that_are_on_their_way_out_count():
    asked, status, objectives = opened(PlanStep(weight=5, for_=1.0))
    status = status.model_copy(update={"retiring": (Retiring(revision="old", at=0.0, replicas=3),)})
    assert pods_at_once(forecasts(asked, status, objectives, {}, 0.0)) == 4 + 4 + 3


def test_pods_at_once():
    asked, status, objectives = opened(PlanStep(weight=5, for_=1.0), PlanStep(weight=50, for_=1.0))
    found = forecasts(asked, status, objectives, {}, 0.0)
    assert [(step.stable, step.candidate) for step in found] == [(4, 1), (4, 2), (4, 4)]
    assert pods_at_once(found) == 8


# --- room -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [("500m", 0.5), ("2", 2), (3, 3), ("1Gi", 2**30), ("1.5Ki", 1536), ("1e3", 1000), ("1G", 1e9), ("x", 0)],
)
def test_quantities(text, number):
    assert quantity(text) == pytest.approx(number)


def template(*, init=None, limits=None, **more):
    container = {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}} | ({"limits": limits} if limits else {})}
    inits = [{"resources": {"requests": init}}] if init else []
    return {"spec": {"containers": [container], "initContainers": inits, **more}}


def test_a_pod_needs_the_more_of_its_init_container_and_the_rest():
    assert needs(template(init={"cpu": "2"})) == {"pods": 1.0, "cpu": 2.0, "memory": 2.0**30}
    assert needs(template(limits={"nvidia.com/gpu": "1"}))["nvidia.com/gpu"] == 1.0


def quota(hard, used, **more):
    return {"metadata": {"name": "compute"}, "spec": more, "status": {"hard": hard, "used": used}}


def test_the_tightest_quota_counts():
    quotas = [quota({"pods": "10", "requests.cpu": "4"}, {"pods": "4", "requests.cpu": "2"})]
    room = in_quotas(template(), quotas)
    assert (room.pods, room.because) == (4, "quota compute: requests.cpu 2 of 4")
    assert in_quotas(template(), [quota({"services": "1"}, {})]) is None
    assert in_quotas(template(), [quota({"pods": "1"}, {}, scopes=["BestEffort"])]) is None


def node(name, cpu="4", **more):
    return {
        "metadata": {"name": name, "labels": more.pop("labels", {})},
        "spec": more,
        "status": {"allocatable": {"cpu": cpu, "memory": "16Gi", "pods": "110"}},
    }


def test_nodes_take_what_is_left_of_them():
    busy = {**template(), "status": {"phase": "Running"}}
    busy["spec"]["nodeName"] = "a"
    done = {**busy, "status": {"phase": "Succeeded"}}
    assert on_nodes(template(), [node("a"), node("b")], [busy, done]).pods == 7 + 8


def test_nodes_that_are_closed_or_of_another_kind_do_not_count():
    taint = [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
    nodes = [node("a", unschedulable=True), node("b", taints=taint), node("c", labels={"disk": "ssd"})]
    assert on_nodes(template(), nodes, []).pods == 8
    assert on_nodes(template(nodeSelector={"disk": "hdd"}), nodes, []).pods == 0
    assert on_nodes(template(tolerations=[{"key": "gpu", "operator": "Exists"}]), nodes, []).pods == 16
    assert on_nodes(template(tolerations=[{"key": "gpu", "value": "no"}]), nodes, []).pods == 8


# --- lint -------------------------------------------------------------------------------------------------------------


def document(name="churn", **more):
    content = {k: v for k, v in spec(**more).items() if v is not None}
    return Document(
        "churn.yaml",
        {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": name}, "spec": content},
    )


def gateway(**listener):
    return {
        "metadata": {"name": "models", "namespace": "gateways"},
        "spec": {"listeners": [{"allowedRoutes": {"namespaces": {"from": "All"}}, **listener}]},
    }


def found(asked, *, gateways=None, **facts):
    known = {"gateways/models": gateway()} if gateways is None else gateways
    configuration = facts.pop("configuration", {"prometheus": {"url": "http://prometheus"}})
    cluster = Cluster(
        live=facts.pop("live", {}), gateways=known, runtimes=(), configuration=configuration, reached=True
    )
    given = {"runtimes": {}, "kubernetes": (1, 35), "gateway_api": True, "models": [], **facts}
    findings = check(asked, Facts(cluster, **given), "ml")
    return {(finding.level, finding.path): finding.message for finding in findings if finding.level != "note"}


def test_nothing_is_wrong_with_a_good_file():
    assert of_schema(document()) == []
    assert found(document()) == {}


def test_the_schema_names_every_field():
    asked = document("Churn!")
    asked.content["spec"] |= {"replicas": 3, "rollout": {"steps": [{"weight": 50}, {"weight": 20}]}}
    asked.content["spec"]["model"]["version"] = "1.2"
    told = {finding.path: finding.message for finding in of_schema(asked)}
    assert told["spec.replicas"] == "there is no such field"
    assert told["spec.model.version"] == "'1.2' is not a semantic version"
    assert told["spec.rollout.steps"] == "the weights of the steps must not fall"
    assert "40 lower-case letters" in told["metadata.name"]


@pytest.mark.parametrize(
    ("asked", "facts", "path", "says"),
    [
        (document(runtime={"name": "mlserver"}), {}, "spec.runtime.name", "no ModelRuntime 'mlserver'"),
        (
            document(runtime={"name": "x"}),
            {"runtimes": {"x": ModelRuntimeSpec(image="i")}},
            "spec.runtime.port",
            "set it here",
        ),
        (document(), {"gateway_api": False}, "spec.traffic", "no Gateway API"),
        (
            document(),
            {"gateways": {"gateways/models": None}},
            "spec.traffic.gateway",
            "there is no Gateway gateways/models",
        ),
        (
            document(),
            {"gateways": {"gateways/models": gateway(allowedRoutes={})}},
            "spec.traffic.gateway",
            "takes routes from namespace ml",
        ),
        (
            document(),
            {"gateways": {"gateways/models": gateway(hostname="*.other")}},
            "spec.traffic.hostnames[0]",
            "takes churn",
        ),
        (
            document(model={"version": "1.0.0", "uri": "oci://registry.example/m:1"}),
            {"kubernetes": (1, 34)},
            "spec.model.uri",
            "needs Kubernetes 1.35",
        ),
        (
            document(model={"version": "1.0.0", "uri": "pvc://models/x"}),
            {"claims": {("ml", "models"): False}},
            "spec.model.uri",
            "no PersistentVolumeClaim models",
        ),
        (document(scaling={"maxReplicas": 4}), {}, "spec.resources.requests.cpu", "needs to know"),
        (
            document(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}),
            {},
            "spec.resources.requests.memory",
            "2Gi exceeds the limit of 1Gi",
        ),
        (
            document(runtime={"image": "i", "port": 1, "metrics": {"series": {"requests": {"metric": "x"}}}}),
            {},
            "spec.objectives[0]",
            "cannot be judged",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_cluster_cannot_do_is_an_error(asked, facts, path, says):
    """Given a file that the schema takes, when the cluster cannot do it, then the field and the reason are named."""
    assert of_schema(asked) == []
    assert says in found(asked, **facts)["error", path]


@pytest.mark.parametrize(
    ("asked", "facts", "path", "says"),
    [
        (document(objectives=None), {}, "spec.objectives", "nothing is promised"),
        (
            document(objectives=[{"name": "e", "errors": {"below": "1%"}, "dryRun": True}]),
            {},
            "spec.objectives",
            "dry run",
        ),
        (document(traffic=None), {}, "spec.rollout.steps[0].weight", "5% of 4 pods is really 20%"),
        (document(traffic={"hostnames": ["a.b"]}), {}, "spec.traffic.gateway", "no default gateway"),
        (document(model={"version": "1.0.0", "uri": "https://x/y"}), {}, "spec.model.digest", "another one"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_will_surprise_is_a_warning(asked, facts, path, says):
    assert says in found(asked, **facts)["warning", path]


QUERY = {"name": "drift", "below": 0.2}
MIMIR = {"metrics": {"providers": [{"name": "mimir", "url": "http://m", "queries": [{"name": "psi", "promql": "x"}]}]}}


@pytest.mark.parametrize(
    ("objective", "configuration", "path", "says"),
    [
        (
            {**QUERY, "template": "drift"},
            MIMIR,
            ".template",
            "there is no query 'drift' for the provider 'mimir', only psi",
        ),
        ({**QUERY, "template": "psi", "provider": "x"}, MIMIR, ".provider", "no metrics provider 'x', only mimir"),
        ({**QUERY, "query": "max(y)"}, MIMIR, ".query", "use a template"),
        ({"name": "errors", "errors": {"below": "1%"}}, {}, "", "no metrics provider is configured"),
    ],
)
def test_names_that_the_operator_does_not_know_are_errors(objective, configuration, path, says):
    told = found(document(objectives=[objective]), configuration=configuration)
    assert says in told["error", f"spec.objectives[0]{path}"]


@pytest.mark.parametrize("configuration", [None, MIMIR, {"metrics": {"providers": [{"unheard": "of"}]}}])
def test_names_are_not_judged_where_nobody_knows_them(configuration):
    objective = {**QUERY, "template": "psi"}
    assert found(document(objectives=[objective]), configuration=configuration) == {}


def test_a_hostname_that_an_older_model_has_is_an_error():
    """Given a model with the hostname, when another asks for it, then it is told; its own later version is not."""
    other = {
        "metadata": {"namespace": "ml", "name": "other", "creationTimestamp": "2020"},
        "spec": {"traffic": GATEWAY},
    }
    assert "ml/other already serves" in found(document(), models=[other])["error", "spec.traffic.hostnames"]
    other["metadata"]["name"] = "churn"
    assert found(document(), models=[other]) == {}


def test_a_default_gateway_carries_hostnames():
    asked = document(traffic={"hostnames": ["a.b"]})
    assert found(asked, gateway=GatewayRef(name="models", namespace="gateways")) == {}


def test_metrics_that_are_missing_now_are_a_warning():
    condition = {"type": "MetricsReady", "status": "False", "message": "no bucket at 50ms"}
    live = {"ml/churn": {"metadata": {}, "status": {"conditions": [condition]}}}
    assert "no bucket at 50ms" in found(document(), live=live)["warning", "spec.objectives"]
