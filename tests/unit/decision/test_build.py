"""The manifests: what exactly is asked of the cluster, and which of them in which situation."""

import re

import pytest

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import GatewayRef, ModelDeploymentSpec, Scaling
from fairway.api.status import Former, Hold, PlanStep, Retiring, Run, Status, Track
from fairway.core import names
from fairway.core.build.autoscaler import autoscaler
from fairway.core.build.common import Owner
from fairway.core.build.deployment import deployment
from fairway.core.build.disruption import disruption_budget
from fairway.core.build.record import controller_revision
from fairway.core.build.route import http_route
from fairway.core.build.service import entry_service, revision_service
from fairway.core.desired import Routing, desired
from fairway.core.revision import Record
from fairway.core.routing import routed_by
from fairway.core.target import find_record, make_record

OWNER = Owner("ml", "churn", "uid-1")
GATEWAY = GatewayRef(name="models", namespace="gateways")
SPEC = {
    "model": {"version": "1.0.0"},
    "runtime": {"image": "registry.example/churn:1.0.0", "port": 8080},
    "scaling": {"replicas": 4},
    "traffic": {"hostnames": ["churn.example"], "gateway": {"name": "models", "namespace": "gateways"}},
}


def spec(**changed):
    merged = {**SPEC, **changed}
    return ModelDeploymentSpec.model_validate({key: value for key, value in merged.items() if value is not None})


def record(revision="aaaaaaaaaa", version="1.0.0", owner=OWNER):
    """A rendered record, under a revision of the test's choice."""
    made = make_record(owner, spec(model={"version": version}), None)
    labels = {**made.template["metadata"]["labels"], names.REVISION: revision}
    template = {**made.template, "metadata": {**made.template["metadata"], "labels": labels}}
    return Record(revision, made.intent, version, template, made.image, made.port, made.series, made.lineage)


def server(**runtime):
    """The one container of a pod with these runtime fields, and its pod's spec."""
    asked = {"image": "i", "port": 8080, **runtime}
    template = make_record(OWNER, spec(runtime=asked), None).template
    (container,) = template["spec"]["containers"]
    return container, template["spec"]


# --- what all have in common ------------------------------------------------------------------------------------


def everything(owner=OWNER, version="1.0.0"):
    kept = record(owner=owner, version=version)
    rev = kept.revision
    return [
        controller_revision(owner, kept),
        deployment(owner, kept),
        revision_service(owner, rev, version, 8080),
        disruption_budget(owner, rev, version),
        autoscaler(owner, rev, version, Scaling(max_replicas=9), 2),
        entry_service(owner, rev, 8080),
        http_route(owner, spec().traffic, GATEWAY, [(rev, 100)]),
    ]


def test_every_child_belongs_to_its_model_and_blocks_nobodys_deletion():
    for child in everything():
        meta = child["metadata"]
        assert meta["namespace"] == "ml"
        assert meta["ownerReferences"] == [
            {
                "apiVersion": "fairway.dev/v1alpha1",
                "kind": "ModelDeployment",
                "name": "churn",
                "uid": "uid-1",
                "controller": True,
            }
        ]
        assert {
            "app.kubernetes.io/managed-by": "fairway",
            "fairway.dev/name": "churn",
            "fairway.dev/owner-uid": "uid-1",
        }.items() <= meta["labels"].items()


def test_no_child_carries_what_other_tools_prune_by():
    for child in everything():
        marks = {**child["metadata"]["labels"], **child["metadata"].get("annotations", {})}
        assert not [key for key in marks if "instance" in key or "argocd" in key or "helm" in key]


@pytest.mark.parametrize("name", ["c", "c" + "h" * 38 + "1"])
@pytest.mark.parametrize("version", ["1.0.0", "1.0.0-rc.1+build.7", "1.0.0-" + "x" * 56 + "-", "1.0.0+-"])
def test_names_and_labels_are_valid_for_every_model(name, version):
    children = everything(Owner("ml", name, "0b0f6c1e-9f3a-4f1e-8a55-2f6c1a7d9e10"), version)
    for child in children:
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", child["metadata"]["name"])
        labels = dict(child["metadata"]["labels"])
        labels |= child["spec"]["template"]["metadata"]["labels"] if child["kind"] == "Deployment" else {}
        for value in labels.values():
            assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)


def test_revisions_share_a_name_pattern_and_the_model_keeps_its_own():
    named = [(child["kind"], child["metadata"]["name"]) for child in everything()]
    assert named == [
        ("ControllerRevision", "churn-aaaaaaaaaa"),
        ("Deployment", "churn-aaaaaaaaaa"),
        ("Service", "churn-aaaaaaaaaa"),
        ("PodDisruptionBudget", "churn-aaaaaaaaaa"),
        ("HorizontalPodAutoscaler", "churn-aaaaaaaaaa"),
        ("Service", "churn"),
        ("HTTPRoute", "churn"),
    ]


def test_the_models_own_objects_carry_no_revision():
    for child in everything()[-2:]:
        assert names.REVISION not in child["metadata"]["labels"]


# --- the Deployment and its pods --------------------------------------------------------------------------------


def test_a_deployment_selects_its_pods_and_leaves_replicas_to_their_owner():
    made = deployment(OWNER, record())
    assert (made["apiVersion"], made["kind"]) == ("apps/v1", "Deployment")
    assert "replicas" not in made["spec"]
    assert made["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    selector = made["spec"]["selector"]["matchLabels"]
    assert selector == {"fairway.dev/owner-uid": "uid-1", "fairway.dev/revision": "aaaaaaaaaa"}
    assert selector.items() <= made["spec"]["template"]["metadata"]["labels"].items()


def test_a_deployment_is_the_recorded_template_and_no_new_rendering():
    old = Record("aaaaaaaaaa", "hash", "1.0.0", {"metadata": {"labels": {"by": "an older operator"}}, "spec": {}})
    assert deployment(OWNER, old)["spec"]["template"] == old.template


def test_pods_drain_and_get_no_rights():
    container, pod = server()
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["terminationGracePeriodSeconds"] == 90
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}
    assert container["ports"] == [{"name": "model", "containerPort": 8080, "protocol": "TCP"}]


def test_who_serves_is_said_by_the_model_and_by_its_runtime_field_by_field():
    asked = {"runAsUser": 1000, "fsGroup": 2000, "readOnlyRootFilesystem": True}
    admins = {"runAsNonRoot": True, "runAsUser": 65532}
    made = spec(runtime={"name": "any", "image": "i", "port": 1, "securityContext": asked})
    template = make_record(OWNER, made, ModelRuntimeSpec.model_validate({"securityContext": admins})).template
    (container,) = template["spec"]["containers"]
    assert container["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert template["spec"]["securityContext"] == {"fsGroup": 2000, "seccompProfile": {"type": "RuntimeDefault"}}


def test_a_server_without_paths_is_asked_by_its_open_port():
    container, _ = server()
    assert container["startupProbe"]["tcpSocket"] == {"port": "model"}
    assert container["readinessProbe"]["tcpSocket"] == {"port": "model"}
    assert "livenessProbe" not in container


def test_loading_may_take_as_long_as_it_is_told():
    def patience(probes):
        startup = server(probes=probes)[0]["startupProbe"]
        return startup["periodSeconds"] * startup["failureThreshold"]

    assert patience({}) == 1800
    assert patience({"startup": {"timeout": "10m"}}) == 600


def test_probes_ask_where_they_are_told():
    probes = {"startup": {"path": "/loaded"}, "readiness": {"path": "/ready"}, "liveness": {"path": "/live"}}
    container, _ = server(probes=probes)
    asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")}
    assert asked == {
        "startup": {"path": "/loaded", "port": "model"},
        "readiness": {"path": "/ready", "port": "model"},
        "liveness": {"path": "/live", "port": "model"},
    }


def test_command_arguments_environment_and_resources_are_passed_on():
    asked = {
        "image": "i",
        "port": 1,
        "command": ["serve"],
        "args": ["--x"],
        "env": [{"name": "A", "value": "1"}, {"name": "EMPTY"}],
    }
    made = make_record(OWNER, spec(runtime=asked, resources={"limits": {"cpu": "500m", "example.com/gpu": 1}}), None)
    (container,) = made.template["spec"]["containers"]
    assert (container["command"], container["args"]) == (["serve"], ["--x"])
    assert container["env"] == [{"name": "A", "value": "1"}, {"name": "EMPTY"}]
    assert container["resources"] == {"limits": {"cpu": "500m", "example.com/gpu": 1}}


def test_what_is_not_asked_for_is_not_written():
    container, _ = server()
    assert not {"command", "args"} & container.keys()
    assert (container["env"], container["resources"]) == ([], {})


def test_pods_say_where_they_are_scraped():
    made = make_record(OWNER, spec(runtime={"image": "i", "port": 1, "metrics": {"port": 9, "path": "/m"}}), None)
    assert made.template["metadata"]["annotations"] == {
        "fairway.dev/scrape-port": "9",
        "fairway.dev/scrape-path": "/m",
    }


# --- the others -------------------------------------------------------------------------------------------------


def test_a_budget_lets_one_pod_go_and_never_protects_a_broken_one():
    assert disruption_budget(OWNER, "aaaaaaaaaa", "1.0.0")["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": {"fairway.dev/owner-uid": "uid-1", "fairway.dev/revision": "aaaaaaaaaa"}},
    }


def test_an_autoscaler_scales_its_own_revision_within_the_bounds():
    made = autoscaler(OWNER, "aaaaaaaaaa", "1.0.0", Scaling(min_replicas=2, max_replicas=5), 3)["spec"]
    assert made["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn-aaaaaaaaaa"}
    assert (made["minReplicas"], made["maxReplicas"]) == (3, 5)
    assert made["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert "behavior" not in made
    assert autoscaler(OWNER, "a", "1", Scaling(max_replicas=5), 9)["spec"]["minReplicas"] == 5


def test_metrics_and_behavior_of_the_user_are_kept_verbatim():
    asked = Scaling(max_replicas=5, metrics=({"type": "Pods"},), behavior={"scaleDown": {"policies": []}})
    made = autoscaler(OWNER, "a", "1.0.0", asked, 1)["spec"]
    assert made["metrics"] == [{"type": "Pods"}]
    assert made["behavior"] == {"scaleDown": {"policies": []}}


def test_services_select_one_revision_or_the_whole_model():
    def selector(service):
        return service["spec"]["selector"]

    whole = {"fairway.dev/owner-uid": "uid-1"}
    one = {**whole, "fairway.dev/revision": "aaaaaaaaaa"}
    assert selector(revision_service(OWNER, "aaaaaaaaaa", "1.0.0", 8080)) == one
    assert selector(entry_service(OWNER, "aaaaaaaaaa", 8080)) == one
    assert selector(entry_service(OWNER, None, 8080)) == whole
    assert entry_service(OWNER, None, 9000)["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": 9000, "protocol": "TCP"}
    ]


def test_a_route_writes_out_all_that_its_schema_would_default():
    made = http_route(OWNER, spec().traffic, GATEWAY, [("aaaaaaaaaa", 80), ("bbbbbbbbbb", 20)])
    assert made["spec"] == {
        "parentRefs": [
            {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "models", "namespace": "gateways"}
        ],
        "hostnames": ["churn.example"],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                "backendRefs": [
                    {"group": "", "kind": "Service", "name": "churn-aaaaaaaaaa", "port": 80, "weight": 80},
                    {"group": "", "kind": "Service", "name": "churn-bbbbbbbbbb", "port": 80, "weight": 20},
                ],
            }
        ],
    }


def test_a_route_by_path_has_no_hostnames_and_a_gateway_is_looked_for_at_home():
    made = http_route(OWNER, spec(traffic={"path": "/churn"}).traffic, GatewayRef(name="g"), [("a", 100)])["spec"]
    assert "hostnames" not in made
    assert made["rules"][0]["matches"][0]["path"]["value"] == "/churn"
    assert made["parentRefs"][0]["namespace"] == "ml"


def test_a_revision_is_stored_with_its_intent():
    kept = record()
    made = controller_revision(OWNER, kept)
    assert made["metadata"]["annotations"] == {"fairway.dev/intent": kept.intent}
    assert (made["revision"], Record.load(kept.revision, made["data"])) == (1, kept)


# --- records ----------------------------------------------------------------------------------------------------


def test_a_known_intent_is_found_again_and_the_current_one_first():
    asked = spec()
    old, new, other = record("aaaaaaaaaa"), record("bbbbbbbbbb"), record("cccccccccc", "2.0.0")
    records = {kept.revision: kept for kept in (old, new, other)}
    serving = Status(stable=Track(revision="bbbbbbbbbb", version="1.0.0"))
    assert find_record(asked, "churn", serving, records) is new
    assert find_record(asked, "churn", Status(), records) is old
    assert find_record(asked, "churn", serving, {"cccccccccc": other}) is None


def test_a_changed_runtime_gives_no_new_revision_to_what_is_recorded():
    asked = spec(runtime={"name": "mlserver", "port": 1})
    first = make_record(OWNER, asked, ModelRuntimeSpec(image="old"))
    assert make_record(OWNER, asked, ModelRuntimeSpec(image="new")).revision != first.revision
    assert find_record(asked, "churn", Status(), {first.revision: first}) is first


# --- desired ----------------------------------------------------------------------------------------------------

STABLE, TRIED = "aaaaaaaaaa", "bbbbbbbbbb"
RECORDS = {STABLE: record(STABLE), TRIED: record(TRIED, "1.1.0")}
EACH = ("Deployment", "Service", "PodDisruptionBudget")


def track(revision, weight=100, **more):
    return Track(revision=revision, version=RECORDS[revision].version, weight=weight, **more)


def run(**more):
    fields = {"id": "run-2", "since": 0.0, "started_at": 0.0, "size": 4, "plan": (PlanStep(weight=20, for_=30.0),)}
    return Run(**{**fields, **more})


def children(status, asked=None, default=None):
    asked = asked or spec()
    return desired(OWNER, asked, status, RECORDS, Routing(routed_by(asked, default)))


def named(wanted):
    return [(child.manifest["kind"], child.manifest["metadata"]["name"].removeprefix("churn-")) for child in wanted]


def sizes(wanted):
    """Revision -> (replicas at creation, replicas that we keep it at)."""
    return {
        child.manifest["metadata"]["labels"][names.REVISION]: (child.initial_replicas, child.replicas)
        for child in wanted
        if child.manifest["kind"] == "Deployment"
    }


def only(wanted, kind, name="churn"):
    (found,) = [
        child.manifest
        for child in wanted
        if (child.manifest["kind"], child.manifest["metadata"]["name"]) == (kind, name)
    ]
    return found


def weights(wanted):
    backends = only(wanted, "HTTPRoute")["spec"]["rules"][0]["backendRefs"]
    return [(backend["name"].removeprefix("churn-"), backend["weight"]) for backend in backends]


def selected(wanted):
    return only(wanted, "Service")["spec"]["selector"].get(names.REVISION)


def test_nothing_decided_yet_means_no_children():
    assert children(Status()) == []


def test_the_first_revision_comes_whole_and_the_route_last():
    wanted = children(Status(candidate=track(STABLE), run=run(plan=())))
    assert named(wanted) == [
        ("ControllerRevision", STABLE),
        *[(kind, STABLE) for kind in EACH],
        ("Service", "churn"),
        ("HTTPRoute", "churn"),
    ]
    assert sizes(wanted) == {STABLE: (4, 4)}
    assert weights(wanted) == [(STABLE, 100)]


def test_a_candidate_is_not_routed_to_before_its_first_weight():
    wanted = children(Status(stable=track(STABLE), candidate=track(TRIED, 0), run=run()))
    assert sizes(wanted) == {STABLE: (4, 4), TRIED: (1, 1)}
    assert weights(wanted) == [(STABLE, 100)]


@pytest.mark.parametrize(("stable", "tried"), [(80, 20), (100, 0), (0, 100)])
def test_once_tried_both_are_always_listed_in_the_same_order(stable, tried):
    status = Status(stable=track(STABLE, stable), candidate=track(TRIED, tried), run=run(first_weight_at=1.0))
    wanted = children(status)
    assert weights(wanted) == [(STABLE, stable), (TRIED, tried)]
    assert selected(wanted) == STABLE


@pytest.mark.parametrize(
    ("step", "size"),
    [
        (PlanStep(weight=20, for_=0), 1),
        (PlanStep(weight=51, for_=0), 3),
        (PlanStep(weight=1, for_=0, replicas=2), 2),
        (PlanStep(weight=50, for_=0, replicas=9), 4),
    ],
)
def test_a_candidate_gets_the_pods_of_its_step(step, size):
    wanted = children(Status(stable=track(STABLE), candidate=track(TRIED, 0), run=run(plan=(step,))))
    assert sizes(wanted)[TRIED] == (size, size)


def test_before_promotion_the_candidate_is_as_large_as_stable():
    wanted = children(Status(stable=track(STABLE), candidate=track(TRIED, 0), run=run(step=1)))
    assert sizes(wanted)[TRIED] == (4, 4)


def test_a_rejected_candidate_keeps_only_its_record():
    wanted = children(Status(stable=track(STABLE), candidate=track(TRIED, 0, rejected_reason="Crashed: x")))
    assert [item for item in named(wanted) if item[1] == TRIED] == [("ControllerRevision", TRIED)]
    assert weights(wanted) == [(STABLE, 100)]


def test_the_former_revision_stays_warm_and_without_an_autoscaler():
    former = Former(revision=TRIED, version="1.1.0", replicas=3, run="run-1", promoted_at=0, until=9)
    asked = spec(scaling={"minReplicas": 2, "maxReplicas": 8})
    wanted = children(Status(stable=track(STABLE), former=former, hold=Hold(replicas=5, until=9)), asked)
    assert sizes(wanted) == {STABLE: (5, None), TRIED: (3, 3)}
    assert [item for item in named(wanted) if item[0] == "HorizontalPodAutoscaler"] == [
        ("HorizontalPodAutoscaler", STABLE)
    ]
    assert weights(wanted) == [(STABLE, 100)]


def test_a_retiring_revision_keeps_its_pods_until_its_delay_is_over():
    wanted = children(Status(stable=track(STABLE), retiring=(Retiring(revision=TRIED, at=9, replicas=2),)))
    assert sizes(wanted) == {STABLE: (4, 4), TRIED: (2, 2)}


def test_during_a_run_autoscalers_hold_stable_and_give_the_candidate_its_share():
    asked = spec(scaling={"minReplicas": 2, "maxReplicas": 20})
    status = Status(stable=track(STABLE, 80, replicas=10), candidate=track(TRIED, 20), run=run(size=10))
    floors = {
        child.manifest["metadata"]["labels"][names.REVISION]: child.manifest["spec"]["minReplicas"]
        for child in children(status, asked)
        if child.manifest["kind"] == "HorizontalPodAutoscaler"
    }
    assert floors == {STABLE: 10, TRIED: 2}


PLAIN = {"traffic": None}


def test_without_a_gateway_the_entry_service_splits_only_while_both_have_weight():
    asked = spec(**PLAIN)
    tried = run(first_weight_at=1.0)
    alone = children(Status(stable=track(STABLE)), asked)
    split = children(Status(stable=track(STABLE, 80), candidate=track(TRIED, 20), run=tried), asked)
    held = children(Status(stable=track(STABLE, 100), candidate=track(TRIED, 0), run=tried), asked)
    taken = children(Status(stable=track(STABLE, 0), candidate=track(TRIED, 100), run=tried), asked)
    assert [selected(wanted) for wanted in (alone, split, held, taken)] == [STABLE, None, STABLE, TRIED]
    assert not [item for wanted in (alone, split) for item in named(wanted) if item[0] == "HTTPRoute"]


@pytest.mark.parametrize(
    ("traffic", "default", "gateway"),
    [
        (None, GATEWAY, None),
        ({}, GATEWAY, None),
        ({"path": "/"}, GATEWAY, None),
        ({"path": "/churn"}, GATEWAY, GATEWAY),
        ({"hostnames": ["churn.example"]}, GATEWAY, GATEWAY),
        ({"hostnames": ["churn.example"]}, None, None),
        ({"hostnames": ["churn.example"], "gateway": {"name": "own"}}, GATEWAY, GatewayRef(name="own")),
    ],
)
def test_a_gateway_is_used_where_models_can_be_told_apart(traffic, default, gateway):
    asked = spec(traffic=traffic)
    assert routed_by(asked, default) == gateway
    routes = [item for item in named(children(Status(stable=track(STABLE)), asked, default)) if item[0] == "HTTPRoute"]
    assert bool(routes) == (gateway is not None)


def test_records_of_the_history_are_kept_and_others_are_let_go():
    entry = {
        "run": "run-1",
        "revision": TRIED,
        "version": "1.1.0",
        "startedAt": 0,
        "endedAt": 1,
        "outcome": "RolledBack",
    }
    told = Status.model_validate({"stable": track(STABLE).model_dump(), "history": [entry]})
    assert ("ControllerRevision", TRIED) in named(children(told))
    assert ("ControllerRevision", TRIED) not in named(children(Status(stable=track(STABLE))))


def test_the_same_status_gives_the_same_children():
    status = Status(stable=track(STABLE, 80), candidate=track(TRIED, 20), run=run(first_weight_at=1.0))
    assert children(status) == children(status)
