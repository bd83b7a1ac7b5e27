"""Every trouble that a pod can have, in one line that names the cause."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway.core.pods import one_line, read_pod

IMAGE = "registry.example/churn:1.4.0"
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-31T12:00:00Z"}
FAILED = {"exitCode": 1, "reason": "Error"}


def pod(*containers, conditions=(SCHEDULED,), meta=None, **status):
    return {
        "metadata": {"name": "churn-a-1", **(meta or {})},
        "status": {"conditions": list(conditions), "containerStatuses": list(containers), **status},
    }


def container(*, restarts=0, **states):
    """A container's status: state=..., last=... as {"waiting": ...} or {"terminated": ...}."""
    last = {"lastState": states["last"]} if "last" in states else {}
    return {"name": "model", "image": IMAGE, "restartCount": restarts, "state": states.get("state", {}), **last}


def waiting(reason, message=""):
    return container(state={"waiting": {"reason": reason, "message": message}})


def looping(restarts, ended, state="CrashLoopBackOff"):
    return container(restarts=restarts, state={"waiting": {"reason": state}}, last={"terminated": ended})


PULL = 'rpc error: code = X desc = failed to pull and unpack image "registry.example/churn:1.4.0": '
DNS = PULL + 'failed to do request: Head "https://registry.example/v2": dial tcp: lookup registry.example: no such host'


@pytest.mark.parametrize(
    ("status", "trouble", "words", "permanent"),
    [
        (
            waiting("ErrImagePull", PULL + "registry.example/churn:1.4.0: not found"),
            "Pull",
            f"ErrImagePull: {IMAGE} not found",
            True,
        ),
        (
            waiting("ImagePullBackOff", PULL + "manifest unknown"),
            "Pull",
            f"ImagePullBackOff: {IMAGE} not found",
            True,
        ),
        (
            waiting("ImagePullBackOff", PULL + "pull access denied, repository does not exist"),
            "Pull",
            f"ImagePullBackOff: {IMAGE} denied by the registry",
            True,
        ),
        (
            waiting("ErrImagePull", PULL + "unexpected status: 401 Unauthorized"),
            "Pull",
            f"ErrImagePull: {IMAGE} denied by the registry",
            True,
        ),
        (waiting("ErrImagePull", DNS), "Pull", f"ErrImagePull: {IMAGE}: no such host", False),
        (waiting("ImagePullBackOff"), "Pull", f"ImagePullBackOff: {IMAGE}", False),
        (
            waiting("InvalidImageName", 'couldn\'t parse image name "A B": invalid reference format'),
            "Pull",
            f"InvalidImageName: {IMAGE}: invalid reference format",
            True,
        ),
        (waiting("ErrImageNeverPull"), "Pull", f"ErrImageNeverPull: {IMAGE}", True),
        (
            waiting("CreateContainerConfigError", 'secret "model-key" not found'),
            "Config",
            'CreateContainerConfigError: secret "model-key" not found',
            False,
        ),
        (
            waiting("RunContainerError", "exec: no such file"),
            "Config",
            "RunContainerError: exec: no such file",
            False,
        ),
        (looping(3, FAILED), "Crash", "crashed 3 times, last by exit code 1", False),
        (looping(1, {"exitCode": 137, "reason": "OOMKilled"}), "Crash", "crashed 1 times, last by OOMKilled", False),
        (
            looping(2, {"exitCode": 3, "message": "ValueError: bad\nweights"}),
            "Crash",
            "crashed 2 times, last by exit code 3: ValueError: bad weights",
            False,
        ),
        (container(state={"terminated": FAILED}), "Crash", "crashed 1 times, last by exit code 1", False),
        (waiting("ContainerCreating"), None, "", False),
        (container(state={"running": {}}), None, "", False),
    ],
)
def test_a_container_in_trouble_says_which(status, trouble, words, permanent):
    read = read_pod(pod(status))
    assert (read.trouble, read.message, read.permanent) == (trouble, words, permanent)


def test_a_pod_without_a_node_says_why_and_has_no_schedule_time():
    why = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why}
    read = read_pod(pod(conditions=[{**unscheduled, "lastTransitionTime": "2026-01-31T12:00:00Z"}]))
    assert (read.trouble, read.message, read.permanent) == ("Unschedulable", f"Unschedulable: {why}", False)
    assert read.scheduled_at is None
    assert read_pod(pod()).scheduled_at == 1769860800.0


@pytest.mark.parametrize(
    ("status", "crashes"),
    [
        (container(state={"running": {}}), 0),
        (container(state={"terminated": FAILED}), 1),
        (container(restarts=2, state={"terminated": FAILED}, last={"terminated": FAILED}), 3),
        (container(restarts=2, state={"running": {}}, last={"terminated": FAILED}), 2),
        (container(restarts=4, state={"running": {}}, last={"terminated": {"exitCode": 0}}), 0),
        (container(state={"terminated": {"exitCode": 0, "reason": "Completed"}}), 0),
        (container(restarts=1, state={"running": {}}, last={"terminated": {"exitCode": 255, "reason": "Unknown"}}), 0),
        (container(state={"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}), 0),
    ],
)
def test_only_failures_are_counted(status, crashes):
    assert read_pod(pod(status)).crashes == crashes


def test_crashes_of_all_containers_add_up():
    assert read_pod(pod(looping(2, FAILED), looping(3, FAILED))).crashes == 5


@pytest.mark.parametrize(
    "gone",
    [
        pod(looping(3, FAILED), reason="Evicted", phase="Failed"),
        pod(looping(3, FAILED), reason="NodeLost"),
        pod(reason="UnexpectedAdmissionError", phase="Failed", conditions=()),
        pod(looping(3, FAILED), meta={"deletionTimestamp": "2026-01-31T12:00:00Z"}),
        pod(looping(3, FAILED), conditions=[SCHEDULED, {"type": "DisruptionTarget", "status": "True"}]),
    ],
)
def test_a_pod_that_was_taken_away_carries_no_guilt(gone):
    read = read_pod(gone)
    assert read.terminating
    assert read.crashes == 0


@pytest.mark.parametrize(("state", "ready"), [("True", True), ("False", False), ("Unknown", False)])
def test_ready_is_what_the_kubelet_says(state, ready):
    assert read_pod(pod(conditions=[SCHEDULED, {"type": "Ready", "status": state}])).ready is ready


def test_a_pod_that_nobody_has_looked_at_yet_is_nothing_special():
    read = read_pod({"metadata": {"name": "x"}})
    assert (read.ready, read.terminating, read.crashes, read.trouble, read.scheduled_at) == (
        False,
        False,
        0,
        None,
        None,
    )


def test_the_first_container_in_trouble_speaks():
    read = read_pod(pod(container(state={"running": {}}), waiting("ErrImageNeverPull")))
    assert read.trouble == "Pull"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\r\nb\tc", "a b c"),
        ("\x1b[31mred\x00", "[31mred"),
        ("abc\u202egnp", "abc gnp"),
        ("a\u2028b\u0085c", "a b c"),
        ("", ""),
        ("Ünïcode 模型", "Ünïcode 模型"),
    ],
)
def test_foreign_text_becomes_one_printable_line(raw, clean):
    assert one_line(raw) == clean


@given(st.text(max_size=400))
def test_no_text_breaks_out_of_its_line_or_grows(text):
    line = one_line(text)
    assert len(line) <= 200
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") for char in line)
    assert one_line(line) == line


def test_a_long_line_is_cut_visibly():
    assert one_line("x" * 300) == "x" * 199 + "…"


def test_a_server_that_keeps_ending_by_itself_is_in_trouble_without_a_crash():
    ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    seen = read_pod(pod(container(restarts=4, state={"waiting": {"reason": "CrashLoopBackOff"}}, last=ended)))
    assert (seen.trouble, seen.crashes) == ("Crash", 0)
    assert seen.message == "the server keeps ending by itself, with exit code 0"
