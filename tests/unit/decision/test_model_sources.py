"""How a model reaches its server: the pieces of a pod, and what a pod says when they fail."""

import pytest

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.build.common import Owner
from fairway.core.build.deployment import pod_template
from fairway.core.build.model import Place
from fairway.core.errors import Unresolved
from fairway.core.pods import read_pod
from fairway.core.revision import intent, resolve

OWNER = Owner("ml", "churn", "uid-1")
DIGEST = "sha256:" + "a" * 64
PLACE = Place(fetch_image="registry.example/fairway:1")


def spec(model=None, **runtime):
    server = {"image": "registry.example/churn:1", "port": 8080, **runtime}
    return ModelDeploymentSpec.model_validate({"model": {"version": "1.0.0", **(model or {})}, "runtime": server})


def pod(model=None, place=PLACE, **runtime):
    asked = spec(model, **runtime)
    return pod_template(OWNER, asked, "r1", resolve(asked, None), place)["spec"]


# --- templates ---------------------------------------------------------------------------------------------------


def test_a_model_in_the_image_adds_nothing():
    assert sorted(pod()) == [
        "automountServiceAccountToken",
        "containers",
        "enableServiceLinks",
        "securityContext",
        "terminationGracePeriodSeconds",
    ]
    assert "volumeMounts" not in pod()["containers"][0]
    assert pod(place=None) == pod()


def test_a_claim_is_mounted_read_only():
    found = pod({"uri": "pvc://models/churn/v2/"})
    claim = {"claimName": "models", "readOnly": True}
    assert found["volumes"] == [{"name": "fairway-model", "persistentVolumeClaim": claim}]
    assert found["containers"][0]["volumeMounts"] == [
        {"name": "fairway-model", "mountPath": "/mnt/models", "readOnly": True, "subPath": "churn/v2"}
    ]
    assert "initContainers" not in found
    assert "subPath" not in pod({"uri": "pvc://models"})["containers"][0]["volumeMounts"][0]


def test_a_claim_with_a_digest_is_verified_where_it_is_mounted():
    found = pod({"uri": "pvc://models/churn", "digest": DIGEST, "mountPath": "/opt/model"})
    check = found["initContainers"][0]
    assert check["args"] == ["fetch", "--verify", "--digest", DIGEST, "--to", "/mnt/models"]
    assert check["volumeMounts"] == [
        {"name": "fairway-model", "mountPath": "/mnt/models", "readOnly": True, "subPath": "churn"}
    ]
    assert found["containers"][0]["volumeMounts"][0]["mountPath"] == "/opt/model"


@pytest.mark.parametrize("reference", ["registry.example/churn:2", f"registry.example:5000/a/churn@{DIGEST}"])
def test_an_image_volume_is_the_kubelets_business(reference):
    found = pod({"uri": f"oci://{reference}"})
    image = {"reference": reference, "pullPolicy": "IfNotPresent"}
    assert found["volumes"] == [{"name": "fairway-model", "image": image}]
    assert found["containers"][0]["volumeMounts"] == [
        {"name": "fairway-model", "mountPath": "/mnt/models", "readOnly": True}
    ]
    assert "initContainers" not in found


def test_a_fetched_model_in_full():
    uri = "https://models.example/churn.tgz"
    env = [
        {"name": "https_proxy", "value": "http://proxy:3128"},
        {"name": "NO_PROXY", "value": ""},
        {"name": "MODE", "value": "x"},
    ]
    found = pod({"uri": uri, "digest": DIGEST, "credentials": {"secretName": "hub"}}, env=env)
    assert found["volumes"] == [
        {"name": "fairway-model", "emptyDir": {}},
        {"name": "fairway-credentials", "secret": {"secretName": "hub"}},
    ]
    assert found["containers"][0]["volumeMounts"] == [
        {"name": "fairway-model", "mountPath": "/mnt/models", "subPath": "model", "readOnly": True}
    ]
    credentials = "/var/run/fairway/credentials"
    assert found["initContainers"] == [
        {
            "name": "fetch",
            "image": "registry.example/fairway:1",
            "imagePullPolicy": "IfNotPresent",
            "args": [
                *("fetch", "--uri", uri, "--to", "/mnt/models/model"),
                *("--digest", DIGEST, "--credentials", credentials),
            ],
            "env": [{"name": "https_proxy", "value": "http://proxy:3128"}],
            "volumeMounts": [
                {"name": "fairway-model", "mountPath": "/mnt/models"},
                {"name": "fairway-credentials", "mountPath": credentials, "readOnly": True},
            ],
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"cpu": "1", "memory": "256Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
    ]
    # The server never sees what the model was fetched with.
    assert "hub" not in str(found["containers"])


def test_where_the_server_finds_the_model():
    def path(model, runtime_path):
        asked = Place(runtime_path, "x")
        return pod({"uri": "https://h/m", **model}, asked)["containers"][0]["volumeMounts"][0]["mountPath"]

    assert path({}, None) == "/mnt/models"
    assert path({}, "/models") == "/models"
    assert path({"mountPath": "/here"}, "/models") == "/here"


@pytest.mark.parametrize("model", [{"uri": "https://h/m"}, {"uri": "pvc://c", "digest": DIGEST}])
def test_without_an_image_to_fetch_with_the_spec_says_so(model):
    with pytest.raises(Unresolved) as caught:
        pod(model, Place())
    assert caught.value.reason == "FetchUnavailable"


@pytest.mark.parametrize(
    "change",
    [
        {"uri": "https://h/other"},
        {"digest": "sha256:" + "b" * 64},
        {"mountPath": "/x"},
        {"credentials": {"secretName": "s"}},
    ],
)
def test_where_a_model_is_makes_a_revision(change):
    base = {"uri": "https://h/m", "digest": DIGEST}
    assert intent(spec({**base, **change}), "churn") != intent(spec(base), "churn")


def test_lineage_makes_none_and_neither_does_the_operators_image():
    base = {"uri": "https://h/m", "digest": DIGEST}
    assert intent(spec({**base, "source": {"commit": "1"}}), "churn") == intent(spec(base), "churn")


def test_a_pod_template_and_a_drain_make_a_revision():
    one, other = spec(podTemplate={"nodeSelector": {"a": "b"}}), spec(drain={"delay": "5s"})
    assert len({intent(one, "churn"), intent(other, "churn"), intent(spec(), "churn")}) == 3


def test_a_runtime_may_name_the_path():
    assert ModelRuntimeSpec.model_validate({"modelMountPath": "/models"}).model_mount_path == "/models"


# --- pods --------------------------------------------------------------------------------------------------------

INITIALIZING = {"name": "model", "image": "m", "state": {"waiting": {"reason": "PodInitializing"}}}


def fetching(state, last=None, name="fetch", **status):
    init = {"name": name, "image": "registry.example/fairway:1", "state": state, "lastState": last or {}, **status}
    return {
        "metadata": {"name": "p"},
        "status": {
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "initContainerStatuses": [init],
            "containerStatuses": [INITIALIZING],
        },
    }


def ended(message="", code=3, **rest):
    return {"terminated": {"exitCode": code, "message": message, **rest}}


BACKOFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
MISMATCH = f"permanent: digest mismatch: got {DIGEST} wanted sha256:{'b' * 64}"


@pytest.mark.parametrize("state", [BACKOFF, {"running": {}}], ids=["backoff", "trying again"])
def test_a_failed_fetch_is_told_in_its_own_words_and_is_no_crash(state):
    found = read_pod(fetching(state, ended(MISMATCH), restartCount=5))
    assert (found.trouble, found.permanent, found.crashes) == ("Fetch", True, 0)
    assert found.message == f"model fetch: digest mismatch: got {DIGEST} wanted sha256:{'b' * 64}"


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (ended("temporary: HTTP 503", 1), "model fetch: HTTP 503"),
        (ended("temporary: two\nlines\x1b[0m", 1), "model fetch: two lines [0m"),
        (ended("", 137, reason="OOMKilled"), "model fetch: OOMKilled"),
        (ended("something else: entirely", 2), "model fetch: exit code 2"),
    ],
)
def test_a_fetch_that_may_succeed_later_is_temporary(last, message):
    found = read_pod(fetching(last))
    assert (found.trouble, found.permanent, found.message) == ("Fetch", False, message)


@pytest.mark.parametrize("state", [{"running": {}}, ended(code=0), {"waiting": {"reason": "PodInitializing"}}])
def test_a_fetch_under_way_or_done_is_no_trouble(state):
    last = ended(MISMATCH) if "terminated" in state else {}
    assert read_pod(fetching(state, last)).trouble is None


def test_an_image_to_fetch_with_that_cannot_be_pulled_is_not_the_models_fault():
    words = 'failed to pull and unpack image "registry.example/fairway:1": not found'
    found = read_pod(fetching({"waiting": {"reason": "ErrImagePull", "message": words}}))
    assert (found.trouble, found.permanent) == ("Pull", False)
    assert found.message == "ErrImagePull: registry.example/fairway:1 not found"


def test_a_path_that_the_claim_does_not_have_is_told():
    words = 'failed to prepare subPath for volumeMount "fairway-model" of container "fetch"'
    found = read_pod(fetching({"waiting": {"reason": "CreateContainerConfigError", "message": words}}))
    assert (found.trouble, found.message) == ("Config", f"CreateContainerConfigError: {words}")


def test_containers_that_others_inject_are_not_the_fetch():
    assert read_pod(fetching(ended(MISMATCH), name="istio-init")).trouble is None


def waiting(reason, message, image="registry.example/churn:1"):
    container = {"name": "model", "image": image, "state": {"waiting": {"reason": reason, "message": message}}}
    return read_pod({"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}})


@pytest.mark.parametrize(
    ("reason", "words", "permanent", "message"),
    [
        (
            "ErrImagePull",
            'failed to pull and unpack image "registry.example/weights:2": failed to resolve: not found',
            True,
            "ErrImagePull: registry.example/weights:2 not found",
        ),
        (
            "ImagePullBackOff",
            'Back-off pulling image "registry.example/weights:2": ErrImagePull: dial tcp: i/o timeout',
            False,
            "ImagePullBackOff: registry.example/weights:2: i/o timeout",
        ),
        (
            "ErrImagePull",
            'failed to pull image "registry.example/churn:1": denied',
            True,
            "ErrImagePull: registry.example/churn:1 denied by the registry",
        ),
        ("ErrImagePull", "not found", True, "ErrImagePull: registry.example/churn:1 not found"),
    ],
)
def test_a_pull_that_fails_names_the_image_that_was_pulled(reason, words, permanent, message):
    found = waiting(reason, words)
    assert (found.trouble, found.permanent, found.message) == ("Pull", permanent, message)


def test_a_short_name_stays_as_it_was_written():
    found = waiting("ErrImagePull", 'failed to pull image "docker.io/library/churn:1": not found', "churn:1")
    assert found.message == "ErrImagePull: churn:1 not found"


def test_a_node_without_image_volumes_is_told():
    found = waiting("CreateContainerError", 'failed to generate spec: failed to mkdir "": mkdir : no such file')
    assert found.trouble == "Config"
    assert found.message.endswith("(oci:// needs containerd 2.1 or newer on the node)")
