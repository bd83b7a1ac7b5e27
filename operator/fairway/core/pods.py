"""One pod read into what decisions need: ready or not, and if not, whose fault and in which words."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Trouble = Literal["Crash", "Pull", "Fetch", "Config", "Unschedulable", "Refused"]
"""``Refused``: the API server does not even take the pod."""

FETCH = "fetch"
"""Name of the init container that fetches or verifies a model."""

_PULL = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_PERMANENT = re.compile(
    r"not found|denied|unauthorized|forbidden|manifest unknown|InvalidImageName|ErrImageNeverPull", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'^pods "[^"]*" is forbidden: ')
_IMAGE = re.compile(r'(?:image|reference) "([^"\s]+)"')
_UNKNOWN = ("Unknown", "ContainerStatusUnknown")
"""What a container runtime and the kubelet write for a container that was gone when they looked."""
_NO_IMAGE_VOLUMES = 'failed to mkdir ""'
"""What a container runtime says that does not know image volumes: it takes them for a directory without a name."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What one pod says about its revision."""

    name: str
    ready: bool = False
    terminating: bool = False
    scheduled_at: float | None = None
    crashes: int = 0
    trouble: Trouble | None = None
    message: str = ""
    permanent: bool = False
    """The trouble will not go away by waiting."""


def read_pod(pod: Mapping[str, Any]) -> Pod:
    """Read a pod. Evicted, preempted, deleted or lost pods carry no crash: that is never the model's fault.

    A pod that has ended as a whole is gone, too: its containers restart for ever, so it was the node that ended it.
    """
    meta, status = pod["metadata"], pod.get("status", {})
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    gone = bool(meta.get("deletionTimestamp")) or status.get("reason") in ("Evicted", "NodeLost", "Preempting")
    gone = gone or status.get("phase") in ("Failed", "Succeeded")
    gone = gone or conditions.get("DisruptionTarget", {}).get("status") == "True"
    containers = status.get("containerStatuses", ())
    trouble, message, permanent = (
        _unscheduled(conditions) or _uninitialized(status.get("initContainerStatuses", ())) or _trouble(containers)
    )
    scheduled = conditions.get("PodScheduled", {})
    return Pod(
        name=meta["name"],
        ready=conditions.get("Ready", {}).get("status") == "True",
        terminating=gone,
        scheduled_at=_time(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None,
        crashes=0 if gone else sum(_crashes(container) for container in containers),
        trouble=trouble,
        message=message,
        permanent=permanent,
    )


def refused_pod(message: str) -> Pod:
    """Return what stands for the pods that are not there: a quota or a policy refuses them, in these words.

    The name of the one that was tried says nothing, and where a broken admission webhook lives is nobody's business.
    """
    words = " ".join(word for word in _FORBIDDEN.sub("", message).split() if "://" not in word)
    return Pod(name="", trouble="Refused", message=f"its pods are refused: {one_line(words)}")


def _crashes(container: Mapping[str, Any]) -> int:
    now, last = container.get("state", {}).get("terminated"), container.get("lastState", {}).get("terminated")
    # A clean exit restarts a container, too; only the kind of the last exit is known, so it stands for all.
    return int(_failed(now)) + (container.get("restartCount", 0) if _failed(last) else 0)


def _failed(ended: Mapping[str, Any] | None) -> bool:
    """Whether a container ended by its own fault. After a node's restart nobody knows how those on it ended."""
    return bool(ended and ended.get("exitCode", 0) != 0 and ended.get("reason") not in _UNKNOWN)


_Finding = tuple[Trouble | None, str, bool]


def _unscheduled(conditions: Mapping[str, Any]) -> _Finding | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("reason") != "Unschedulable":
        return None
    return "Unschedulable", f"Unschedulable: {one_line(scheduled.get('message', ''))}", False


def _uninitialized(containers: Iterable[Mapping[str, Any]]) -> _Finding | None:
    """Say why the model's container has not begun. Its image and its crashes are not to blame, so none counts."""
    for container in containers:
        stuck = _waiting(container)
        if stuck:
            # The image is the admin's, not the revision's: nobody is rejected for it before its time is over.
            return stuck[0], stuck[1], False
        if container.get("name") == FETCH and (failed := _failed_fetch(container)):
            return failed
    return None


def _failed_fetch(container: Mapping[str, Any]) -> _Finding | None:
    """Read the fetch's last word, which stands until a later try succeeds: while it runs again nothing is better."""
    states = (container.get("state", {}), container.get("lastState", {}))
    ended: Mapping[str, Any] = next((state["terminated"] for state in states if state.get("terminated")), {})
    if not ended.get("exitCode"):
        return None
    kind, _, words = ended.get("message", "").partition(": ")
    if kind not in ("permanent", "temporary"):
        words = ended.get("reason") if ended.get("reason") == "OOMKilled" else f"exit code {ended['exitCode']}"
    return "Fetch", f"model fetch: {one_line(words)}", kind == "permanent"


def _trouble(containers: Iterable[Mapping[str, Any]]) -> _Finding:
    for container in containers:
        if stuck := _waiting(container):
            return stuck
        if _crashes(container):
            return "Crash", _crash_words(container), False
        if (container.get("state", {}).get("waiting") or {}).get("reason") == "CrashLoopBackOff":
            return "Crash", "the server keeps ending by itself, with exit code 0", False
    return None, "", False


def _waiting(container: Mapping[str, Any]) -> _Finding | None:
    waiting = container.get("state", {}).get("waiting") or {}
    reason, text = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL:
        permanent = bool(_PERMANENT.search(f"{reason} {_without_names(text)}"))
        return "Pull", f"{reason}: {_pull_words(_culprit(container.get('image', ''), text), text)}", permanent
    if reason in _CONFIG:
        hint = " (oci:// needs containerd 2.1 or newer on the node)" if _NO_IMAGE_VOLUMES in text else ""
        return "Config", f"{reason}: {one_line(text)}{hint}", False
    return None


def _culprit(image: str, text: str) -> str:
    """Return the image that the kubelet's words name: an image volume's failure stands at the container, too."""
    named = _IMAGE.search(text)
    return image if named is None or (image and named[1].endswith(image)) else one_line(named[1])


def _without_names(text: str) -> str:
    """Drop what is quoted or looks like an image: a name such as ``denied-classifier`` says nothing about its pull."""
    return " ".join(word for word in text.split() if "/" not in word and '"' not in word)


def _pull_words(image: str, text: str) -> str:
    image, words = one_line(image), _without_names(text)
    if re.search(r"not found|manifest unknown", words, re.IGNORECASE):
        return f"{image} not found"
    if re.search(r"denied|unauthorized|forbidden", words, re.IGNORECASE):
        return f"{image} denied by the registry"
    return f"{image}: {one_line(text.rsplit(': ', 1)[-1])}" if text else image


def _crash_words(container: Mapping[str, Any]) -> str:
    states = (container.get("state", {}), container.get("lastState", {}))
    ended: Mapping[str, Any] = next((state["terminated"] for state in states if state.get("terminated")), {})
    reason = "OOMKilled" if ended.get("reason") == "OOMKilled" else f"exit code {ended.get('exitCode', '?')}"
    tail = one_line(ended.get("message", ""))
    return f"crashed {_crashes(container)} times, last by {reason}" + (f": {tail}" if tail else "")


def one_line(text: str, limit: int = 200) -> str:
    """Make foreign text safe for status and Events: one line, printable, bounded."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _time(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
