"""What makes a revision: what changes it, what does not, and what a pod is rendered from."""

import copy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairway.api.runtime import GENERIC_HTTP, ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.errors import Unresolved
from fairway.core.revision import Record, digest, intent, lineage, resolve, revision

SPEC = {
    "model": {
        "version": "1.0.0",
        "format": {"name": "sklearn"},
        "card": {"owner": "risk"},
        "source": {"commit": "4f2c9d1"},
        "data": {"version": "2026-01"},
    },
    "runtime": {"image": "registry.example/churn:1.0.0", "port": 8080},
    "resources": {"requests": {"cpu": "500m"}},
    "scaling": {"replicas": 2},
    "traffic": {"hostnames": ["churn.example"]},
    "objectives": [{"name": "errors", "errors": {"below": "1%"}}],
    "rollout": {"steps": [{"weight": 20, "for": "30s"}]},
    "history": {"revisions": 5},
}


def spec(path=None, value=None):
    """The spec with one field changed; None takes the field away."""
    changed = copy.deepcopy(SPEC)
    if path:
        *parents, last = path.split(".")
        target = changed
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is None:
            target.pop(last)
        else:
            target[last] = value
    return ModelDeploymentSpec.model_validate(changed)


def runtime(**fields):
    return ModelRuntimeSpec.model_validate(fields)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.card", {"owner": "other", "metrics": {"auc": "0.9"}}),
        ("model.card", None),
        ("model.source", {"commit": "other", "run": "2"}),
        ("model.data", {"version": "2026-02"}),
        ("scaling", {"minReplicas": 1, "maxReplicas": 9}),
        ("traffic", None),
        ("objectives", None),
        ("rollout", {"steps": [], "watch": {"for": "1h"}}),
        ("history", None),
    ],
)
def test_what_changes_no_pod_and_no_prediction_is_no_new_intent(path, value):
    assert intent(spec(path, value), "churn") == intent(spec(), "churn")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.version", "1.0.1"),
        ("model.name", "other"),
        ("model.format", {"name": "sklearn", "version": "1.7"}),
        ("model.format", None),
        ("runtime.image", "registry.example/churn:other"),
        ("runtime.port", 8081),
        ("runtime.name", "mlserver"),
        ("runtime.env", [{"name": "A", "value": "1"}]),
        ("runtime.args", ["--fast"]),
        ("runtime.command", ["serve"]),
        ("runtime.probes", {"readiness": {"path": "/ready"}}),
        ("resources", {"requests": {"cpu": "600m"}}),
        ("resources", None),
    ],
)
def test_what_can_change_a_pod_or_a_prediction_is_a_new_intent(path, value):
    assert intent(spec(path, value), "churn") != intent(spec(), "churn")


def test_the_models_name_is_the_resources_name_unless_it_is_given():
    assert intent(spec("model.name", "churn"), "churn") == intent(spec(), "churn")
    assert intent(spec(), "other") != intent(spec(), "churn")


def test_the_order_of_keys_is_no_difference():
    turned = ModelDeploymentSpec.model_validate(dict(reversed(SPEC.items())))
    assert intent(turned, "churn") == intent(spec(), "churn")


def test_an_intent_is_the_same_in_every_process_and_version():
    """A changed hash would start a run in every cluster that upgrades its operator."""
    assert intent(spec(), "churn") == "9b349c096c79b4f0ab381db4b0d261efbdbfe3eacc228ea7b80a9636c8243427"
    assert revision(intent(spec(), "churn"), None) == "glcsr625pu"


@settings(max_examples=60)
@given(st.text(), st.none() | st.integers(1, 65535))
def test_a_revision_can_be_a_part_of_any_name(text, port):
    name = revision(digest(text), runtime(port=port) if port else None)
    assert re.fullmatch(r"[a-z][a-z2-7]{9}", name)


@settings(max_examples=60)
@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_other_contents_have_other_hashes_and_revisions(texts):
    assert len({digest(text) for text in texts}) == 2
    assert len({revision(digest(text), None) for text in texts}) == 2


def test_what_a_runtime_says_is_part_of_the_revision():
    asked = intent(spec(), "churn")
    one = revision(asked, runtime(image="a", port=1))
    assert one == revision(asked, runtime(port=1, image="a"))
    assert len({one, revision(asked, runtime(image="b", port=1)), revision(asked, None)}) == 3


def test_a_model_overrides_its_runtime_field_by_field():
    mine = spec("runtime", {"name": "mlserver", "image": "mine", "args": [], "probes": {"readiness": {"path": "/r"}}})
    theirs = runtime(
        image="theirs",
        port=9000,
        args=["--slow"],
        command=["serve"],
        protocol="v2",
        metrics={"port": 9001, "path": "/m"},
        probes={"liveness": {}},
    )
    server = resolve(mine, theirs)
    assert (server.image, server.port, server.args, server.command) == ("mine", 9000, (), ("serve",))
    assert (server.protocol, server.metrics_port, server.metrics_path) == ("v2", 9001, "/m")
    assert (server.readiness_path, server.startup_path, server.liveness) == ("/r", "/r", False)


def test_a_server_that_says_little_gets_the_defaults():
    server = resolve(spec(), None)
    assert (server.protocol, server.metrics_port, server.metrics_path) == ("http", 8080, "/metrics")
    assert (server.startup_path, server.startup_timeout, server.liveness) == (None, 1800.0, False)
    assert server.series == GENERIC_HTTP


def test_environment_keeps_the_runtimes_order_and_the_models_values():
    mine = spec("runtime.env", [{"name": "B", "value": "mine"}, {"name": "C", "value": "new"}])
    theirs = runtime(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "theirs"}])
    assert resolve(mine, theirs).env == (("A", "1"), ("B", "mine"), ("C", "new"))


def test_series_are_chosen_one_by_one():
    counted = {"requests": {"metric": "my_requests_total"}}
    timed = {"requests": {"metric": "hidden"}, "latency": {"metric": "their_seconds"}}
    server = resolve(spec("runtime.metrics", {"series": counted}), runtime(metrics={"series": timed}))
    assert server.series.requests.metric == "my_requests_total"
    assert server.series.latency.metric == "their_seconds"


@pytest.mark.parametrize(
    ("theirs", "missing"),
    [(None, "image"), (runtime(), "image"), (runtime(image="x"), "port"), (runtime(port=1), "image")],
)
def test_without_image_or_port_there_is_nothing_to_run(theirs, missing):
    with pytest.raises(Unresolved, match=rf"spec\.runtime\.{missing}") as caught:
        resolve(spec("runtime", {"name": "mlserver"}), theirs)
    assert caught.value.reason == "RuntimeIncomplete"


def test_a_record_survives_storage():
    record = Record("abc", "hash", "1.0.0", {"spec": {}}, "image", 8080, GENERIC_HTTP, lineage(spec()))
    assert Record.load("abc", record.data()) == record


def test_a_record_of_a_newer_operator_is_read_without_what_is_new():
    data = Record("abc", "hash", "1.0.0", {"spec": {}}).data()
    data["series"]["requests"] |= {"sampled": True}
    data["series"]["sizes"] = {"metric": "response_bytes"}
    data["new"] = 1
    assert Record.load("abc", data).series == GENERIC_HTTP


def test_series_that_only_a_newer_operator_can_read_are_none_at_all():
    data = Record("abc", "hash", "1.0.0", {"spec": {}}).data()
    data["series"]["latency"] |= {"unit": "min"}
    series = Record.load("abc", data).series
    assert (series.requests, series.latency) == (None, None)


def test_lineage_tells_what_the_model_was_made_from():
    assert lineage(spec()) == SPEC["model"]
