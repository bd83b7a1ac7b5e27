"""What the store remembers when watches repeat, reorder and lose events."""

import copy

import pytest

from fairway.core import names
from fairway.engine.store import MemoryStore

KEY = ("ml", "churn")


def thing(kind, name, *, uid, version=1, namespace="ml", owner=None, **more):
    meta = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)}
    if owner:
        meta["labels"] = {names.OWNER: owner}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


def model(uid="m1", version=1, name="churn", namespace="ml"):
    return thing("ModelDeployment", name, uid=uid, version=version, namespace=namespace)


def pod(uid="p1", version=1, name="churn-a-1", **more):
    return thing("Pod", name, uid=uid, version=version, owner="m1", **more)


def version_of(manifest):
    return int(manifest["metadata"]["resourceVersion"])


@pytest.fixture
def store():
    kept = MemoryStore()
    kept.put(model())
    return kept


@pytest.mark.parametrize("order", [(9, 10), (10, 9), (10, 10, 9), (9, 10, 9)])
def test_the_newest_stays_in_whatever_order_and_number_events_come(store, order):
    for version in order:
        store.put(pod(version=version))
        store.put(model(version=version))
    assert [version_of(child) for child in store.children("m1")] == [10]
    assert version_of(store.deployment_of_model(KEY)) == 10


def test_a_deletion_told_twice_or_of_something_unknown_does_nothing(store):
    store.put(pod())
    for gone in (pod(uid="never-seen", name="other"), pod(), pod()):
        store.drop(gone)
    assert store.children("m1") == []
    assert store.models() == [KEY]


def test_a_late_deletion_does_not_take_a_successor_of_the_same_name(store):
    store.put(pod(uid="old", version=5))
    store.put(pod(uid="new", version=7))
    store.drop(pod(uid="old", version=6))
    assert [child["metadata"]["uid"] for child in store.children("m1")] == ["new"]


def test_what_was_deleted_stays_gone_however_late_word_of_its_life_comes(store):
    store.put(pod(version=5))
    store.lose(pod(version=8))
    for late in (5, 7):
        store.put(pod(version=late))
    assert store.children("m1") == []


def test_what_only_lost_our_label_is_known_again_as_soon_as_it_is_seen(store):
    store.put(pod(version=5))
    store.lose(pod(version=8))
    store.put(pod(version=8))
    store.put(pod(version=9))
    assert [version_of(child) for child in store.children("m1")] == [9]


def test_word_of_a_lost_label_that_comes_after_its_return_is_old(store):
    store.put(pod(version=9))
    store.lose(pod(version=8))
    assert [version_of(child) for child in store.children("m1")] == [9]


def test_what_a_list_misses_is_known_again_by_a_change_and_not_by_an_old_word(store):
    store.put(pod(version=5))
    assert store.replace("Pod", [])
    store.put(pod(version=5))
    assert store.children("m1") == []
    store.put(pod(version=6))
    assert [version_of(child) for child in store.children("m1")] == [6]


def test_what_we_deleted_ourselves_never_comes_back(store):
    store.put(pod(version=5))
    store.drop(pod(version=5))
    store.lose(pod(version=7))
    store.put(pod(version=9))
    assert store.children("m1") == []


def test_a_deletion_without_a_version_is_for_good(store):
    gone = pod()
    del gone["metadata"]["resourceVersion"]
    store.lose(gone)
    store.put(pod(version=9))
    assert store.children("m1") == []


def test_a_model_created_again_inherits_no_children(store):
    store.put(pod())
    store.drop(model())
    store.put(model(uid="m2", version=9))
    assert store.deployment_of_model(KEY)["metadata"]["uid"] == "m2"
    assert store.children("m2") == []
    assert store.owner(pod()) is None


def test_a_child_leads_to_its_owner_and_nothing_else_does(store):
    assert store.owner(pod()) == KEY
    assert store.owner(model(name="other", uid="m9")) == ("ml", "other")
    assert store.owner(thing("Pod", "stray", uid="s")) is None
    assert store.owner(thing("Pod", "orphan", uid="o", owner="unknown")) is None


def test_what_carries_no_owner_label_is_not_kept(store):
    store.put(thing("Service", "stray", uid="s"))
    assert store.replace("Service", []) == []


def test_kinds_of_one_name_and_models_of_two_namespaces_are_told_apart(store):
    store.put(thing("Service", "same", uid="s", owner="m1"))
    store.put(thing("Deployment", "same", uid="d", owner="m1"))
    store.put(model(uid="m2", namespace="other"))
    assert {child["kind"] for child in store.children("m1")} == {"Service", "Deployment"}
    assert set(store.models()) == {KEY, ("other", "churn")}


def test_runtimes_are_found_by_name_until_they_are_deleted(store):
    runtime = {"kind": "ModelRuntime", "metadata": {"name": "mlserver", "uid": "r"}, "spec": {"port": 1}}
    store.put(runtime)
    assert store.runtimes()["mlserver"]["spec"] == {"port": 1}
    store.drop(runtime)
    assert store.runtimes() == {}


def test_a_complete_list_tells_what_vanished_unseen(store):
    store.put(pod(uid="kept", name="a"))
    store.put(pod(uid="gone", name="b"))
    store.put(thing("Service", "churn", uid="s", owner="m1"))
    vanished = store.replace("Pod", [pod(uid="kept", name="a", version=3), pod(uid="new", name="c")])
    assert [child["metadata"]["uid"] for child in vanished] == ["gone"]
    assert {child["metadata"]["uid"]: version_of(child) for child in store.children("m1")} == {
        "kept": 3,
        "new": 1,
        "s": 1,
    }


def test_a_complete_list_does_not_turn_back_what_is_newer(store):
    store.put(pod(version=7))
    assert store.replace("Pod", [pod(version=5)]) == []
    assert [version_of(child) for child in store.children("m1")] == [7]


def test_a_list_with_a_successor_tells_that_the_predecessor_vanished(store):
    vanished = store.replace("ModelDeployment", [model(uid="m2", version=4)])
    assert [gone["metadata"]["uid"] for gone in vanished] == ["m1"]
    assert store.deployment_of_model(KEY)["metadata"]["uid"] == "m2"
    assert store.owner(pod()) is None


def test_a_list_of_one_namespace_leaves_the_others_alone(store):
    store.put(model(uid="m2", namespace="other"))
    vanished = store.replace("ModelDeployment", [], namespace="ml")
    assert [gone["metadata"]["uid"] for gone in vanished] == ["m1"]
    assert store.models() == [("other", "churn")]


def entry(manager="fairway", operation="Update", **more):
    return {"manager": manager, "operation": operation, "fieldsV1": {"f:spec": {}}, **more}


@pytest.mark.parametrize(
    ("managed", "created"),
    [
        ([entry()], True),
        ([entry("kubectl"), entry()], True),
        ([entry(operation="Apply")], False),
        ([entry(subresource="status")], False),
        ([entry("kube-controller-manager"), entry("fairway-replicas")], False),
        ([], False),
    ],
)
def test_of_managed_fields_only_our_create_is_remembered(store, managed, created):
    seen = pod()
    seen["metadata"]["managedFields"] = managed
    before = copy.deepcopy(seen)
    store.put(seen)
    (kept,) = store.children("m1")
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["created-fields"] is created
    assert seen == before


def test_of_a_pod_only_what_decisions_read_is_kept(store):
    store.put(pod(spec={"nodeName": "n1", "containers": [{"env": [{"name": "SECRET"}]}]}, status={"phase": "Running"}))
    (kept,) = store.children("m1")
    assert kept["spec"] == {"nodeName": "n1"}
    assert kept["status"] == {"phase": "Running"}
