"""From raw children to the one view that decisions are made from."""

from dataclasses import replace

import pytest

from fairway.core import names
from fairway.core.observe import RouteView, TrackView, observe
from fairway.core.pods import Pod
from fairway.core.revision import Record


def child(kind, name="churn-aaaaaaaaaa", revision="aaaaaaaaaa", **more):
    labels = {names.REVISION: revision} if revision else {}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "ml", "labels": labels, **more.pop("meta", {})},
        **more,
    }


def pod(name, revision="aaaaaaaaaa", *, ready=True, going=False):
    meta = {"deletionTimestamp": "2026-01-31T12:00:00Z"} if going else {}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return child("Pod", name, revision, meta=meta, status={"conditions": conditions})


def route(*conditions, generation=2, weights=(("aaaaaaaaaa", 80), ("bbbbbbbbbb", 20)), **status):
    backends = [{"name": f"churn-{revision}", "weight": weight} for revision, weight in weights]
    told = {"parents": [{"conditions": list(conditions)}]} if conditions else {}
    spec = {"rules": [{"backendRefs": backends}]}
    return child("HTTPRoute", "churn", None, meta={"generation": generation}, spec=spec, status={**told, **status})


def said(type_, status="True", generation=2, reason="Why", message="because"):
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
    }


def test_nothing_there_is_an_empty_view():
    seen = observe("churn", [])
    assert (dict(seen.tracks), dict(seen.records), seen.route, seen.entry) == ({}, {}, None, None)
    assert seen.track("aaaaaaaaaa") == seen.track(None) == TrackView()


def test_pods_and_deployments_are_sorted_by_revision():
    seen = observe(
        "churn",
        [
            child("Deployment", spec={"replicas": 3}),
            child("Deployment", revision="bbbbbbbbbb", spec={}),
            pod("a-1"),
            pod("a-2", ready=False),
            pod("a-3", going=True),
            pod("c-1", "cccccccccc"),
        ],
    )
    one, two, three = (seen.track(letter * 10) for letter in "abc")
    assert (one.exists, one.replicas, one.ready, len(one.pods), len(one.present)) == (True, 3, 1, 3, 2)
    assert (two.exists, two.replicas, two.ready) == (True, 1, 0)
    assert (three.exists, three.ready) == (False, 1)


def test_records_are_read_back():
    record = Record("aaaaaaaaaa", "hash", "1.0.0", {"spec": {}}, "image", 8080)
    seen = observe("churn", [child("ControllerRevision", data=record.data())])
    assert seen.records["aaaaaaaaaa"].data() == record.data()


def test_the_entry_service_is_the_one_of_the_models_own_name():
    one = child("Service", "churn", None, spec={"selector": {names.REVISION: "bbbbbbbbbb"}})
    other = child("Service", spec={"selector": {names.REVISION: "aaaaaaaaaa"}})
    assert observe("churn", [one, other]).entry == "bbbbbbbbbb"
    whole = child("Service", "churn", None, spec={"selector": {names.OWNER: "uid-1"}})
    assert observe("churn", [whole, other]).entry == ""


def test_why_a_write_was_refused_is_passed_on():
    assert observe("churn", [], "quota").blocked == "quota"


def test_a_route_tells_its_weights_as_they_are():
    assert observe("churn", [route()]).route == RouteView({"aaaaaaaaaa": 80, "bbbbbbbbbb": 20})
    assert observe("churn", [route(weights=())]).route.weights == {}


def test_a_revision_of_the_models_own_name_keeps_its_weight():
    named = child("HTTPRoute", "a", None, spec={"rules": [{"backendRefs": [{"name": "a-a-b", "weight": 7}]}]})
    assert observe("a", [named]).route.weights == {"a-b": 7}


@pytest.mark.parametrize(
    ("conditions", "accepted", "reason"),
    [
        ((), False, "Pending"),
        ((said("Accepted"),), True, "Accepted"),
        ((said("Accepted"), said("ResolvedRefs")), True, "Accepted"),
        ((said("Accepted", generation=1), said("ResolvedRefs", generation=1)), False, "Pending"),
        ((said("Accepted", generation=1), said("ResolvedRefs")), False, "Pending"),
        ((said("Accepted", "False", reason="NotAllowedByListeners"),), False, "NotAllowedByListeners"),
        ((said("Accepted"), said("ResolvedRefs", "False", reason="BackendNotFound")), False, "BackendNotFound"),
        ((said("Accepted"), said("Programmed", "False")), True, "Accepted"),
        ((said("Accepted", "False", generation=1), said("Accepted", generation=2)), True, "Accepted"),
    ],
)
def test_only_the_answer_to_the_present_route_counts(conditions, accepted, reason):
    seen = observe("churn", [route(*conditions)]).route
    assert (seen.accepted, seen.reason) == (accepted, reason)


def test_a_refusal_is_quoted():
    refused = said("Accepted", "False", message="no listener allows this namespace")
    assert observe("churn", [route(refused)]).route.message == "no listener allows this namespace"


def test_the_clearest_trouble_explains_and_healthy_or_leaving_pods_do_not():
    crash = Pod("c", trouble="Crash")
    pull = Pod("b", trouble="Pull")
    waits = Pod("a", trouble="Unschedulable")
    recovered = Pod("0", ready=True, trouble="Crash")
    leaving = Pod("1", terminating=True, trouble="Crash")
    assert TrackView(pods=(waits, pull, crash)).cause is crash
    assert TrackView(pods=(waits, pull)).cause is pull
    assert TrackView(pods=(Pod("z", trouble="Pull"), pull)).cause is pull
    assert TrackView(pods=(recovered, leaving)).cause is None


def failing(reason="FailedCreate", status="True", message="exceeded quota"):
    condition = {"type": "ReplicaFailure", "status": status, "reason": reason, "message": message}
    meta = {"name": "churn-a", "labels": {names.REVISION: "a"}}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": 2}, "status": {"conditions": [condition]}}


def test_pods_that_are_refused_are_the_cause_unless_one_that_is_there_tells_more():
    refused = observe("churn", [failing(message='pods "churn-a-x" is forbidden: exceeded quota: team')]).track("a")
    assert (refused.cause.trouble, refused.cause.message) == ("Refused", "its pods are refused: exceeded quota: team")
    assert refused.unplaced
    assert replace(refused, pods=(Pod("c", trouble="Crash"),)).cause.trouble == "Crash"
    for fine in (failing(reason="FailedDelete"), failing(status="False")):
        assert observe("churn", [fine]).track("a") == TrackView(exists=True, replicas=2)


def test_where_a_broken_webhook_lives_is_not_told():
    words = 'failed calling webhook "w.example": Post "https://w.ns.svc:443/?timeout=10s": connection refused'
    told = observe("churn", [failing(message=words)]).track("a").cause.message
    assert told == 'its pods are refused: failed calling webhook "w.example": Post connection refused'


def test_crashes_are_those_of_present_pods_and_all_means_all():
    down, up, gone = Pod("a", crashes=2), Pod("b", ready=True, crashes=1), Pod("c", crashes=9, terminating=True)
    assert TrackView(pods=(down, up, gone)).crashes == 3
    assert TrackView(pods=(down, gone)).all_crashed
    assert not TrackView(pods=(down, up)).all_crashed
    assert not TrackView(pods=(gone,)).all_crashed
    assert not TrackView().all_crashed
