"""A small Kubernetes in memory: it stores objects like an API server and runs pods like a patient kubelet.

Implements the Cluster and Recorder ports and the clock. Nothing happens by itself: tests move time.
"""

from __future__ import annotations

import copy
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from fairway.api.status import Status
from fairway.api.types import format_time
from fairway.core import names
from fairway.core.rollout.situation import Policy
from fairway.core.verdict import Key, Question, Reading
from fairway.engine.gather import Defaults
from fairway.engine.reconciler import Reconciler
from fairway.engine.store import MemoryStore
from fairway.ports import ClusterError, Manifest

EPOCH = 1_800_000_000.0


@dataclass
class Behaviour:
    """How pods of one version behave."""

    load: float = 2.0
    never_ready: bool = False
    pull_error: str | None = None
    crash_after: float | None = None
    crash_at_start: bool = False
    unschedulable: bool = False


class FakeAnalysis:
    """Answers with the reading that a test has set."""

    def __init__(self) -> None:
        self.asked: dict[Key, Question] = {}
        self.readings: dict[Key, Reading] = {}

    def ask(self, question: Question) -> None:
        self.asked[question.key] = question

    def forget(self, key: Key) -> None:
        self.asked.pop(key, None)

    def reading(self, key: Key, run: str) -> Reading | None:
        reading = self.readings.get(key)
        return reading if reading and reading.run == run else None


@dataclass
class World:
    """The API server, the controllers and the clock."""

    time: float = EPOCH
    gateway: bool = True
    route_accepts: bool = True
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    writes: list[tuple[str, str, str]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[str, ClusterError] = field(default_factory=dict)
    kill_at: int | None = None

    def __post_init__(self) -> None:
        self.analysis = FakeAnalysis()
        self.objects["Gateway", "models"] = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "models", "namespace": "gateways", "uid": "gw", "resourceVersion": "1"},
            "spec": {"listeners": [{"protocol": "HTTP", "port": 80}]},
        }
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)
        self.restart()

    # --- the operator under test -------------------------------------------------------------------------------

    def restart(self) -> None:
        """Start a new operator process: everything in memory is gone."""
        self.store = MemoryStore()
        self.reconciler = Reconciler(
            cluster=self,
            store=self.store,
            recorder=self,
            analysis=self.analysis,
            clock=self,
            defaults=Defaults(gateway=None, policy=Policy()),
        )
        for manifest in self.objects.values():
            self.store.put(copy.deepcopy(manifest))

    async def settle(self, name: str = "churn", passes: int = 30) -> float | None:
        """Reconcile until nothing is written any more; return when the next pass is due."""
        for _ in range(passes):
            before = len(self.writes)
            self.controllers()
            wake = await self.reconciler.reconcile(("ml", name))
            if len(self.writes) == before:
                return wake
        raise AssertionError(f"did not settle: {self.writes[-10:]}")

    async def wait(self, seconds: float, name: str = "churn", step: float = 1.0) -> None:
        """Let time pass, with a pass each step."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(end, self.time + step)
            await self.settle(name)

    def now(self) -> float:
        return self.time

    # --- the user ----------------------------------------------------------------------------------------------

    def kubectl_apply(self, spec: dict[str, Any], name: str = "churn") -> None:
        """What a user does."""
        known = self.objects.get(("ModelDeployment", name))
        manifest: Manifest = {
            "apiVersion": "fairway.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {
                "name": name,
                "namespace": "ml",
                "uid": known["metadata"]["uid"] if known else f"uid-{next(self._uids)}",
                "generation": (known["metadata"]["generation"] + 1) if known else 1,
            },
            "spec": spec,
        }
        if known and "status" in known:
            manifest["status"] = known["status"]
        self._keep(manifest)

    def model(self, name: str = "churn") -> Manifest:
        return self.objects["ModelDeployment", name]

    def status(self, name: str = "churn") -> Status:
        return Status.model_validate(self.model(name).get("status") or {})

    def condition(self, type_: str, name: str = "churn") -> tuple[str, str] | None:
        return next(((c.status, c.reason) for c in self.status(name).conditions if c.type == type_), None)

    def weights(self, name: str = "churn") -> dict[str, int]:
        """What the router does: version -> weight, as the route says it."""
        route = self.objects.get(("HTTPRoute", name))
        if route is None:
            return {}
        return {
            self.version(ref["name"].removeprefix(f"{name}-")): ref["weight"]
            for ref in route["spec"]["rules"][0]["backendRefs"]
        }

    def version(self, revision: str) -> str:
        record = next(o for (kind, _), o in self.objects.items() if kind == "ControllerRevision"
                      and o["metadata"]["labels"][names.REVISION] == revision)  # fmt: skip
        return str(record["data"]["version"])

    def pods(self, version: str) -> list[Manifest]:
        return [
            o for (kind, _), o in self.objects.items()
            if kind == "Pod" and o["metadata"]["labels"][names.VERSION] == version
        ]  # fmt: skip

    def say(self, state: str, name: str = "churn", **more: Any) -> None:
        """Let the analysis come to a verdict about what is being tried now."""
        status = self.status(name)
        run = status.run.id if status.run else f"{status.former.run}/watch" if status.former else ""
        self.analysis.readings["ml", name] = Reading(run=run, state=state, at=self.time, **more)

    # --- the Cluster port --------------------------------------------------------------------------------------

    async def create(self, manifest: Manifest) -> Manifest:
        self._write("create", manifest)
        if (manifest["kind"], manifest["metadata"]["name"]) in self.objects:
            raise ClusterError(409, "NameTaken", f"{manifest['kind']} {manifest['metadata']['name']} is not ours")
        manifest = copy.deepcopy(manifest)
        manifest["metadata"]["uid"] = f"uid-{next(self._uids)}"
        manifest["metadata"]["generation"] = 1
        return self._keep(manifest)

    async def apply(self, manifest: Manifest, live: Manifest) -> Manifest:
        self._write("apply", manifest)
        known = self.objects[manifest["kind"], manifest["metadata"]["name"]]
        merged = copy.deepcopy(known)
        merged["metadata"]["annotations"] = copy.deepcopy(manifest["metadata"].get("annotations", {}))
        merged["metadata"]["generation"] += 1
        replicas = known.get("spec", {}).get("replicas")
        merged["spec"] = copy.deepcopy(manifest["spec"])
        if replicas is not None:
            merged["spec"]["replicas"] = replicas
        return self._keep(merged)

    async def scale(self, manifest: Manifest, replicas: int) -> None:
        self._write("scale", manifest)
        known = copy.deepcopy(self.objects[manifest["kind"], manifest["metadata"]["name"]])
        known["spec"]["replicas"] = replicas
        self._keep(known)

    async def delete(self, live: Manifest) -> None:
        self._write("delete", live)
        self._forget(live)

    async def write_status(self, owner: Manifest, status: Manifest) -> Manifest:
        self._write("status", owner)
        known = self.objects["ModelDeployment", owner["metadata"]["name"]]
        if known["metadata"]["resourceVersion"] != owner["metadata"]["resourceVersion"]:
            raise ClusterError(409, "Conflict", "the object has been modified")
        return self._keep({**known, "status": json.loads(json.dumps(status))})

    async def list(self, plural: str, group_version: str, namespace: str | None, selector: str) -> list[Manifest]:
        raise AssertionError("a pass never lists")

    def event(self, owner: Manifest, *, type_: str, reason: str, message: str) -> None:
        self.events.append((reason, message))

    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.events]

    # --- the controllers ---------------------------------------------------------------------------------------

    def controllers(self) -> None:
        """Deployments make pods, pods load, the gateway accepts."""
        deployments = {n: o for (kind, n), o in self.objects.items() if kind == "Deployment"}
        for name, deployment in deployments.items():
            self._replicate(name, deployment)
        for (kind, _), pod in list(self.objects.items()):
            if kind == "Pod":
                owner = pod["metadata"]["name"].rsplit("-", 1)[0]
                self._live(pod) if owner in deployments else self._forget(pod)
        for (kind, _), route in list(self.objects.items()):
            if kind == "HTTPRoute" and self.route_accepts:
                self._accept(route)

    def _replicate(self, name: str, deployment: Manifest) -> None:
        pods = sorted(n for (kind, n) in self.objects if kind == "Pod" and n.rsplit("-", 1)[0] == name)
        wanted = deployment["spec"].get("replicas", 1)
        for surplus in pods[wanted:]:
            self._forget(self.objects["Pod", surplus])
        for number in range(len(pods), wanted):
            template = deployment["spec"]["template"]
            meta = {
                **copy.deepcopy(template["metadata"]),
                "name": f"{name}-{number}",
                "namespace": "ml",
                "uid": f"uid-{next(self._uids)}",
                "creationTimestamp": format_time(self.time),
            }
            self._keep({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "born": self.time, "spec": {}})

    def _live(self, pod: Manifest) -> None:
        behaviour = self.behaviours.get(pod["metadata"]["labels"][names.VERSION], Behaviour())
        age = self.time - pod["born"]
        status = pod_status(behaviour, age, pod["born"])
        if pod.get("status") != status:
            self._keep({**pod, "status": status})

    def _accept(self, route: Manifest) -> None:
        generation = route["metadata"]["generation"]
        conditions = [
            {"type": type_, "status": "True", "reason": type_, "observedGeneration": generation}
            for type_ in ("Accepted", "ResolvedRefs")
        ]
        status = {"parents": [{"conditions": conditions}]}
        if route.get("status") != status:
            self._keep({**route, "status": status})

    # --- storage -----------------------------------------------------------------------------------------------

    def _write(self, verb: str, manifest: Manifest) -> None:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        if self.kill_at is not None and len(self.writes) >= self.kill_at:
            raise Killed
        if kind in self.refuse:
            raise self.refuse[kind]
        self.writes.append((verb, kind, name))

    def _keep(self, manifest: Manifest) -> Manifest:
        stored = copy.deepcopy(manifest)
        stored["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[stored["kind"], stored["metadata"]["name"]] = stored
        self.store.put(copy.deepcopy(stored))
        return copy.deepcopy(stored)

    def _forget(self, manifest: Manifest) -> None:
        self.objects.pop((manifest["kind"], manifest["metadata"]["name"]), None)
        self.store.drop(manifest)


class Killed(BaseException):
    """The operator process died at this write."""


def pod_status(behaviour: Behaviour, age: float, born: float) -> dict[str, Any]:
    """The status of a pod of this age."""
    if behaviour.unschedulable:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
        return {"phase": "Pending", "conditions": [condition]}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": format_time(born)}
    container: dict[str, Any] = {"name": "model", "image": "registry.example/churn", "restartCount": 0, "state": {}}
    ready = age >= behaviour.load and not behaviour.never_ready
    if behaviour.pull_error:
        container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": behaviour.pull_error}}
        ready = False
    crashed = behaviour.crash_after is not None and age >= behaviour.crash_after
    if behaviour.crash_at_start or crashed:
        since = 0.0 if behaviour.crash_at_start else behaviour.crash_after or 0.0
        container["restartCount"] = int((age - since) // 5)
        ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
        container["state"] = ended
        if container["restartCount"]:
            container["lastState"] = ended
        ready = False
    conditions = [scheduled, {"type": "Ready", "status": "True" if ready else "False"}]
    return {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}
