"""How the pods of one version behave, as the kubelet would report it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fairway.api.types import format_time

RESTART_EVERY = 5.0
MOST_RESTARTS = 12


@dataclass
class Behaviour:
    """How pods of one version behave."""

    load: float = 2.0
    never_ready: bool = False
    pull_error: str | None = None
    crash_after: float | None = None
    crash_at_start: bool = False
    unschedulable: bool = False
    refused: str = ""
    """In these words the API server refuses every new pod."""
    flap: tuple[float, float] | None = None
    """Ready for the first number of seconds, then not for the second, and so on; not a crash."""
    flash: float = 0.0
    """A crash loop is ready for so many seconds of each restart."""
    oom: bool = False
    last_words: str = ""
    """The termination message of a crash."""
    failing_fetch: str = ""
    """The termination message of the init container that fetches the model; it never succeeds."""

    @property
    def fine(self) -> bool:
        return self == Behaviour(load=self.load)


def pod_status(behaviour: Behaviour, age: float, born: float) -> dict[str, Any]:
    """The status of a pod of this age."""
    if behaviour.unschedulable:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
        return {"phase": "Pending", "conditions": [condition]}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": format_time(born)}
    container: dict[str, Any] = {"name": "model", "image": "registry.example/churn", "restartCount": 0, "state": {}}
    ready = age >= behaviour.load and not behaviour.never_ready
    if behaviour.flap and ready:
        ready = (age - behaviour.load) % sum(behaviour.flap) < behaviour.flap[0]
    if behaviour.failing_fetch:
        return {"phase": "Pending", "conditions": [scheduled], "initContainerStatuses": [_failed_fetch(behaviour)]}
    if behaviour.pull_error:
        container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": behaviour.pull_error}}
        ready = False
    since = _crashes_from(behaviour)
    if since is not None and age >= since:
        ready = _crashed(behaviour, container, age - since)
    conditions = [scheduled, {"type": "Ready", "status": "True" if ready else "False"}]
    return {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}


def _failed_fetch(behaviour: Behaviour) -> dict[str, Any]:
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": behaviour.failing_fetch}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    return {"name": "fetch", "restartCount": 5, "state": waiting, "lastState": ended}


def _crashes_from(behaviour: Behaviour) -> float | None:
    return 0.0 if behaviour.crash_at_start else behaviour.crash_after


def _crashed(behaviour: Behaviour, container: dict[str, Any], down: float) -> bool:
    """Fill in a crash loop; return whether the container is up and ready for a moment."""
    restarts = min(int(down // RESTART_EVERY), MOST_RESTARTS)
    exit_ = {"exitCode": 137, "reason": "OOMKilled"} if behaviour.oom else {"exitCode": 1, "reason": "Error"}
    ended = {"terminated": {**exit_, **({"message": behaviour.last_words} if behaviour.last_words else {})}}
    up = restarts > 0 and restarts < MOST_RESTARTS and down % RESTART_EVERY < behaviour.flash
    container["restartCount"] = restarts
    container["state"] = {"running": {}} if up else ended
    if restarts:
        container["lastState"] = ended
    return up


def next_change(behaviour: Behaviour, age: float) -> float | None:
    """Age at which a pod's status changes next, if ever."""
    if behaviour.unschedulable or behaviour.failing_fetch:
        return None
    ages = [behaviour.load]
    since = _crashes_from(behaviour)
    if since is not None:
        done = max(0, int((age - since) // RESTART_EVERY)) if age >= since else -1
        ages.append(since)
        if done < MOST_RESTARTS:
            start = since + max(done, 0) * RESTART_EVERY
            ages += [start + behaviour.flash, start + RESTART_EVERY]
    elif behaviour.flap and not behaviour.never_ready and not behaviour.pull_error:
        turn = max(0, int((age - behaviour.load) // sum(behaviour.flap)))
        start = behaviour.load + turn * sum(behaviour.flap)
        ages += [start + behaviour.flap[0], start + sum(behaviour.flap)]
    return min((each for each in ages if each > age + 1e-6), default=None)
