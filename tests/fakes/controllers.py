"""The other controllers of the cluster: Deployments, the kubelet, autoscalers, the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fairway.api.types import format_time
from fairway.core import names
from fairway.ports import Manifest
from tests.fakes.apiserver import NAMESPACE, ApiServer
from tests.fakes.behaviour import Behaviour, next_change, pod_status


@dataclass
class Controllers(ApiServer):
    """An API server with everything that acts on its objects beside the operator."""

    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    route_lag: float = 0.0
    route_refusal: tuple[str, str] | None = None
    """Reason and message with which the gateway refuses routes."""
    demand: int = 0
    """Pods that all requests together need: what autoscalers follow."""
    grace: float = 0.0
    """Seconds that a pod takes to go away."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._seen: dict[tuple[str, int], float] = {}

    def controllers(self) -> None:
        """Autoscalers scale, Deployments make pods, pods load, the gateway accepts."""
        for autoscaler in self._all("HorizontalPodAutoscaler"):
            self._autoscale(autoscaler)
        deployments = {each["metadata"]["name"]: each for each in self._all("Deployment")}
        pods: dict[str, list[Manifest]] = {name: [] for name in deployments}
        for pod in self._all("Pod"):
            owner = _deployment(pod)
            if pod.get("gone_at", self.time + 1) <= self.time or owner not in pods:
                self._forget(pod)
            elif "gone_at" not in pod:
                pods[owner].append(pod)
        for name, deployment in deployments.items():
            self._replicate(name, deployment, pods[name])
        for pod in self._all("Pod"):
            self._live(pod)
        for route in self._all("HTTPRoute"):
            self._accept(route)

    def next_change(self) -> float | None:
        """When one of them will do something by itself."""
        return min((time for time in self._changes() if time > self.time), default=None)

    def evict(self, pod: Manifest, *, leave: bool = False) -> None:
        """Drain a pod; ``leave`` is the kubelet's own eviction, after which the dead pod lies around."""
        if leave:
            conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]
            status = {"phase": "Failed", "reason": "Evicted", "conditions": conditions}
            self._keep({**pod, "status": status, "gone_at": self.time + 60})
            return
        going = {"type": "DisruptionTarget", "status": "True"}
        status = {**pod.get("status", {}), "conditions": [*pod.get("status", {}).get("conditions", ()), going]}
        self._keep({**_terminating(pod, self.time), "status": status, "gone_at": self.time + max(self.grace, 1.0)})

    def _changes(self) -> Iterator[float]:
        for pod in self._all("Pod"):
            if "gone_at" in pod:
                yield pod["gone_at"]
            elif (age := next_change(self._behaviour(pod), self.time - pod["born"])) is not None:
                yield pod["born"] + age
        yield from (time + self.route_lag for time in self._seen.values())

    def _all(self, kind: str) -> list[Manifest]:
        return [each for (found, _), each in self.objects.items() if found == kind]

    # --- Deployments and autoscalers ---------------------------------------------------------------------------

    def _autoscale(self, autoscaler: Manifest) -> None:
        target = self.objects.get(("Deployment", autoscaler["spec"]["scaleTargetRef"]["name"]))
        if target is None or not target["spec"].get("replicas", 1):
            return
        share = self._share(target["metadata"]["labels"][names.REVISION])
        low, high = autoscaler["spec"].get("minReplicas", 1), autoscaler["spec"]["maxReplicas"]
        wanted = max(low, min(high, -(-self.demand * share // 100)))
        if wanted != target["spec"]["replicas"]:
            self.resize(target, wanted)

    def _share(self, revision: str) -> int:
        """The percentage of the requests that a revision gets: by the route, or by its pods behind the entry."""
        route = next(iter(self._all("HTTPRoute")), None)
        if route is not None:
            backends = route["spec"]["rules"][0]["backendRefs"]
            return next((each["weight"] for each in backends if each["name"].endswith(f"-{revision}")), 0)
        entry = next((each for each in self._all("Service") if names.REVISION not in each["metadata"]["labels"]), None)
        selected = entry["spec"]["selector"].get(names.REVISION) if entry else revision
        if selected is not None:
            return 100 if selected == revision else 0
        serving = [pod["metadata"]["labels"][names.REVISION] for pod in self._all("Pod") if ready(pod)]
        return 100 * serving.count(revision) // len(serving) if serving else 0

    def _replicate(self, name: str, deployment: Manifest, pods: list[Manifest]) -> None:
        wanted, template = deployment["spec"].get("replicas", 1), deployment["spec"]["template"]
        pods.sort(key=lambda pod: (pod["template"] != template, not ready(pod), pod["born"], pod["number"]))
        refusal = self.behaviours.get(template["metadata"]["labels"][names.VERSION], _FINE).refused
        self._complain(deployment, refusal if len(pods) < wanted else "")
        stale = [pod for pod in pods if pod["template"] != template]
        fresh = [pod for pod in pods if pod["template"] == template]
        surplus = len(pods) - wanted
        if refusal and surplus <= 0:
            return
        if stale and len(fresh) < wanted and surplus <= 0 and all(ready(pod) for pod in fresh):
            self._start(name, template, max([pod["number"] for pod in pods], default=-1) + 1)  # maxSurge 1
        elif stale and surplus > 0 and not all(ready(pod) for pod in fresh) and surplus <= 1:
            return  # maxUnavailable 0: an old pod stays until the new one is ready
        for pod in reversed(pods[wanted:]):
            self._end(pod)
        taken = {pod["number"] for pod in pods}
        for _ in range(wanted - len(pods) if not stale else 0):
            number = next(n for n in range(len(taken) + 1) if n not in taken)
            taken.add(number)
            self._start(name, template, number)

    def _complain(self, deployment: Manifest, refusal: str) -> None:
        """Say on a Deployment that its pods cannot be made, or no longer say it."""
        failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refusal}
        conditions = [failure] if refusal else []
        if deployment.get("status", {}).get("conditions", []) != conditions:
            self._keep({**deployment, "status": {**deployment.get("status", {}), "conditions": conditions}})

    def _start(self, name: str, template: Manifest, number: int) -> None:
        uid = next(self._uids)
        full = f"{name}-{number}" if ("Pod", f"{name}-{number}") not in self.objects else f"{name}-{number}x{uid}"
        meta = {
            **json.loads(json.dumps(template["metadata"])),
            "name": full,
            "namespace": NAMESPACE,
            "uid": f"uid-{uid}",
            "creationTimestamp": format_time(self.time),
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "born": self.time, "number": number, "spec": {}}
        self._keep({**pod, "template": template})

    def _end(self, pod: Manifest) -> None:
        if self.grace:
            self._keep({**_terminating(pod, self.time), "gone_at": self.time + self.grace})
        else:
            self._forget(pod)

    # --- the kubelet and the gateway ---------------------------------------------------------------------------

    def _behaviour(self, pod: Manifest) -> Behaviour:
        return self.behaviours.get(pod["metadata"]["labels"][names.VERSION], _FINE)

    def _live(self, pod: Manifest) -> None:
        if "gone_at" in pod:
            return
        status = pod_status(self._behaviour(pod), self.time - pod["born"], pod["born"])
        if pod.get("status") != status:
            self._keep({**pod, "status": status})

    def _accept(self, route: Manifest) -> None:
        if not (self.route_accepts and self.gateway):
            return
        mark = route["metadata"]["uid"], route["metadata"]["generation"]
        if route.get("status", {}).get("for") == [*mark, self.route_refusal]:
            return
        if self.time < self._seen.setdefault(mark, self.time) + self.route_lag:
            return
        self._seen.pop(mark)
        reason, message = self.route_refusal or ("", "")
        conditions: list[dict[str, Any]] = [
            {"type": type_, "status": "True", "reason": type_, "observedGeneration": mark[1]}
            for type_ in ("Accepted", "ResolvedRefs")
        ]
        if reason:
            conditions[0] |= {"status": "False", "reason": reason, "message": message}
        self._keep({**route, "status": {"parents": [{"conditions": conditions}], "for": [*mark, self.route_refusal]}})


def ready(pod: Manifest) -> bool:
    """Whether a pod takes requests."""
    if "deletionTimestamp" in pod["metadata"]:
        return False
    return {"type": "Ready", "status": "True"} in pod.get("status", {}).get("conditions", ())


def _terminating(pod: Manifest, now: float) -> Manifest:
    return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": format_time(now)}}


def _deployment(pod: Manifest) -> str:
    return str(pod["metadata"]["name"]).rsplit("-", 1)[0]


_FINE = Behaviour()
