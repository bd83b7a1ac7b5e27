"""What of a pod may be set, and what never can: nothing reaches the host."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.api.spec import ModelDeploymentSpec
from fairway.core import names
from fairway.core.build.common import Owner
from fairway.core.build.deployment import pod_template
from fairway.core.build.model import Place
from fairway.core.errors import Unresolved
from fairway.core.revision import digest, resolve

OWNER = Owner("ml", "churn", "uid-1")


def template(runtime=None, model=None):
    asked = ModelDeploymentSpec.model_validate(
        {"model": {"version": "1.0.0", **(model or {})}, "runtime": {"image": "i", "port": 80, **(runtime or {})}}
    )
    return pod_template(OWNER, asked, "r1", resolve(asked, None), Place(fetch_image="f"))


def overlaid(**overlay):
    return template({"podTemplate": overlay})


def test_every_field_lands_where_the_pod_has_it():
    found = overlaid(
        annotations={"b": "2", "a": "1"},
        nodeSelector={"gpu": "a100"},
        affinity={"nodeAffinity": {"x": []}},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        priorityClassName="serving",
        runtimeClassName="nvidia",
        imagePullSecrets=["one", "two", "one"],
    )
    assert found["metadata"]["annotations"] == {
        "a": "1",
        "b": "2",
        names.SCRAPE_PORT: "80",
        names.SCRAPE_PATH: "/metrics",
    }
    plain = template()["spec"]
    assert {key: value for key, value in found["spec"].items() if plain.get(key) != value} == {
        "nodeSelector": {"gpu": "a100"},
        "affinity": {"nodeAffinity": {"x": []}},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "priorityClassName": "serving",
        "runtimeClassName": "nvidia",
        "imagePullSecrets": [{"name": "one"}, {"name": "two"}],
    }


def test_without_an_overlay_a_pod_is_what_it_was():
    assert overlaid() == template()
    assert overlaid(tolerations=[], volumes=[], annotations={}) == template()


def test_pods_are_spread_by_revision_unless_the_spec_says_otherwise():
    zone = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    own = {**zone, "labelSelector": {"matchLabels": {"app": "x"}}}
    first, second = overlaid(topologySpreadConstraints=[zone, own])["spec"]["topologySpreadConstraints"]
    assert first == {**zone, "labelSelector": {"matchLabels": {names.OWNER: "uid-1", names.REVISION: "r1"}}}
    assert second == own


VOLUMES = [
    {"name": "settings", "mountPath": "/settings", "configMap": "c"},
    {"name": "keys", "mountPath": "/keys", "secret": "s"},
    {"name": "data", "mountPath": "/data", "claim": "p"},
    {"name": "cache", "mountPath": "/cache", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
    {"name": "tmp", "mountPath": "/tmp", "emptyDir": {}},
]


def test_volumes_of_safe_kinds_are_mounted_read_only_but_for_scratch_space():
    spec = overlaid(volumes=VOLUMES)["spec"]
    assert spec["volumes"] == [
        {"name": "cache", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "p", "readOnly": True}},
        {"name": "keys", "secret": {"secretName": "s"}},
        {"name": "settings", "configMap": {"name": "c"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": "cache", "mountPath": "/cache"},
        {"name": "data", "mountPath": "/data", "readOnly": True},
        {"name": "keys", "mountPath": "/keys", "readOnly": True},
        {"name": "settings", "mountPath": "/settings", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]


@pytest.mark.no_cover
@given(st.permutations(VOLUMES))
def test_the_order_of_volumes_does_not_change_a_pod(volumes):
    assert digest(overlaid(volumes=volumes)) == digest(overlaid(volumes=VOLUMES))


@pytest.mark.parametrize(
    ("volume", "taken"),
    [
        ({"name": "fairway-model", "mountPath": "/x", "secret": "s"}, "fairway-model"),
        ({"name": "x", "mountPath": "/mnt/models", "secret": "s"}, "/mnt/models"),
    ],
)
def test_the_models_own_volume_is_not_hidden(volume, taken):
    with pytest.raises(Unresolved, match=f"{taken} is where the model is"):
        template({"podTemplate": {"volumes": [volume]}}, {"uri": "pvc://claim"})


@pytest.mark.parametrize(
    "name",
    [
        "fairway.dev/scrape-port",
        "container.apparmor.security.beta.kubernetes.io/model",
        "io.kubernetes.cri-o.Devices",
        "sidecar.istio.io/userVolume",
        "cdi.k8s.io/all",
    ],
)
def test_annotations_that_loosen_a_sandbox_are_refused(name):
    with pytest.raises(Unresolved) as caught:
        overlaid(annotations={name: "x"})
    assert (caught.value.reason, name in caught.value.message) == ("PodTemplateRefused", True)


EVIL = {
    "hostPath": {"path": "/"},
    "hostNetwork": True,
    "hostPID": True,
    "hostIPC": True,
    "privileged": True,
    "securityContext": {"privileged": True},
    "containers": [],
    "initContainers": [],
    "serviceAccountName": "admin",
    "volumes": [{"name": "x", "mountPath": "/x", "hostPath": {"path": "/"}}],
    "shareProcessNamespace": True,
}


@pytest.mark.parametrize("field", sorted(EVIL))
def test_what_reaches_the_host_cannot_be_written_down(field):
    with pytest.raises(ValueError, match="Extra inputs"):
        overlaid(**{field: EVIL[field]})


@pytest.mark.no_cover
@given(
    st.recursive(
        st.sampled_from([True, "host", 0]), lambda inner: st.dictionaries(st.sampled_from(sorted(EVIL)), inner)
    ).filter(lambda value: isinstance(value, dict))
)
def test_free_form_fields_stay_in_their_place(evil):
    spec = overlaid(affinity=evil, tolerations=[evil], topologySpreadConstraints=[evil])["spec"]
    held = {key: spec.pop(key, None) for key in ("affinity", "tolerations", "topologySpreadConstraints")}
    assert spec == template()["spec"]
    assert not evil or held["affinity"] == evil
    assert not any(f'"{word}"' in json.dumps(spec) for word in ("hostPath", "hostNetwork", "privileged"))


@pytest.mark.parametrize(
    ("drain", "delay", "grace"),
    [
        (None, 10, 90),
        ({"delay": "20s"}, 20, 90),
        ({"grace": "10m"}, 10, 600),
        ({"delay": "1m", "grace": "5m"}, 60, 300),
    ],
)
def test_a_drain_is_a_sleep_and_a_grace(drain, delay, grace):
    spec = template({"drain": drain} if drain else {})["spec"]
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": delay}}}
    assert spec["terminationGracePeriodSeconds"] == grace


def test_no_delay_is_no_hook():
    assert "lifecycle" not in template({"drain": {"delay": "0s"}})["spec"]["containers"][0]
