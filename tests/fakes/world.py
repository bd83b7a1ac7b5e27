"""A small Kubernetes in memory: it stores objects like an API server and runs pods like a patient kubelet.

Implements the Cluster and Recorder ports and the clock. Nothing happens by itself: tests move time.
``settle`` and ``wait`` do a pass each second; ``live`` does passes only when an operator would: when something has
happened, or at the time that it asked to be woken.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairway.api.status import Status
from fairway.api.types import format_time
from fairway.core import names
from fairway.core.alerting import Alerting
from fairway.core.providers import Providers
from fairway.core.rollout.situation import Event, Policy
from fairway.core.verdict import Key, Question, Reading
from fairway.engine.gather import Defaults
from fairway.engine.reconciler import Reconciler
from fairway.engine.store import MemoryStore
from fairway.ports import ClusterError, Manifest
from tests.fakes.apiserver import EPOCH, NAMESPACE, Fault, Killed, Write, watched
from tests.fakes.behaviour import Behaviour, pod_status
from tests.fakes.controllers import Controllers

__all__ = ["EPOCH", "Behaviour", "FakeAnalysis", "Fault", "Killed", "RestlessError", "World", "Write", "pod_status"]

GATEWAY: Manifest = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "models", "namespace": "gateways", "uid": "gw"},
    "spec": {"listeners": [{"protocol": "HTTP", "port": 80}]},
}
MOST_PASSES = 40


class RestlessError(AssertionError):
    """The operator writes again and again although nothing happens."""


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

    def next_reading(self, now: float) -> float | None:
        """When the next verdict comes by itself: never."""
        return None

    def tick(self, now: float) -> bool:
        """Ask the metrics; whether there is a new verdict."""
        return False

    def restarted(self) -> None:
        """The operator's memory is gone; what a test has set stays."""


@dataclass
class World(Controllers):
    """The API server, the controllers, the clock, and the operator under test."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.analysis = FakeAnalysis()
        self.providers: Providers | None = None
        self.policy = Policy()
        self.stuck: Callable[[Key, Status, Event | None], None] = lambda _key, _status, _event: None
        self.alerting: Alerting | None = None
        self.errors: list[ClusterError] = []
        self._keep(GATEWAY)
        self.restart()

    # --- the operator under test -------------------------------------------------------------------------------

    def restart(self) -> None:
        """Start a new operator process: everything in memory is gone."""
        self._undelivered.clear()
        self.analysis.restarted()
        self.store = MemoryStore()
        self.wake: float | None = None
        self._retry_at: float | None = None
        self._failures = 0
        self.reconciler = Reconciler(
            cluster=self,
            store=self.store,
            recorder=self,
            analysis=self.analysis,  # type: ignore[arg-type]
            clock=self,
            defaults=Defaults(
                gateway=None,
                providers=self.providers,
                fetch_image="registry.example/fairway:0",
                policy=self.policy,
                alerting=self.alerting,
            ),
            stuck=self.stuck,
        )
        for manifest in filter(watched, self.objects.values()):
            self.store.put(manifest)
        self.news = True

    async def settle(self, name: str = "churn", passes: int = 30) -> float | None:
        """Reconcile until nothing is written any more; return when the next pass is due."""
        for _ in range(passes):
            before = len(self.writes)
            self.controllers()
            wake = await self.reconciler.reconcile((NAMESPACE, name))
            if len(self.writes) == before:
                return wake
        raise AssertionError(f"did not settle: {self.writes[-10:]}")

    async def wait(self, seconds: float, name: str = "churn", step: float = 1.0) -> None:
        """Let time pass, with a pass each step."""
        end = self.time + seconds
        while self.time < end:
            self.time = min(end, self.time + step)
            await self.settle(name)

    async def live(self, seconds: float, name: str = "churn") -> None:
        """Let time pass; the operator looks when something has happened, when it is due, and again after an error."""
        end = self.time + seconds
        while True:
            await self._catch_up(name)
            if self.time >= end:
                return
            self.time = min(end, *(at for at in self._alarms() if at is not None and at > self.time))

    def _alarms(self) -> list[float | None]:
        return [float("inf"), self.wake, self._retry_at, self.next_change(), self.analysis.next_reading(self.time)]

    async def _catch_up(self, name: str) -> None:
        for _ in range(MOST_PASSES):
            self.controllers()
            self.news |= self.analysis.tick(self.time)
            due = [at for at in (self.wake, self._retry_at) if at is not None and at <= self.time]
            if not due and not self.news:
                return
            await self.once(name)
        raise RestlessError(f"I7: does not come to rest: {self.writes[-10:]}")

    @property
    def retrying(self) -> bool:
        """The last pass has failed."""
        return self._retry_at is not None

    async def once(self, name: str = "churn") -> None:
        """One pass; one that fails is done again later, and later still."""
        self.news, self.wake, self._retry_at = False, None, None
        try:
            self.wake = await self.reconciler.reconcile((NAMESPACE, name))
            self._failures = 0
        except ClusterError as error:
            self.errors.append(error)
            self._retry_at = self.time + min(60.0, 0.25 * 2**self._failures)
            self._failures += 1

    # --- the user ----------------------------------------------------------------------------------------------

    def kubectl_apply(self, spec: dict[str, Any], name: str = "churn") -> None:
        """What a user does."""
        known = self.objects.get(("ModelDeployment", name))
        if known is not None and known["spec"] == spec:
            return
        meta: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{next(self._uids)}"}
        meta["creationTimestamp"] = format_time(self.time)
        manifest: Manifest = {
            **(known or {"apiVersion": "fairway.dev/v1alpha1", "kind": "ModelDeployment", "metadata": meta}),
            "spec": json.loads(json.dumps(spec)),
        }
        generation = known["metadata"]["generation"] + 1 if known else 1
        self._keep({**manifest, "metadata": {**manifest["metadata"], "generation": generation}})

    def annotate(self, key: str, value: str | None, name: str = "churn") -> None:
        """Set an annotation of the ModelDeployment, or take it away."""
        known = self.model(name)
        kept = {k: v for k, v in known["metadata"].get("annotations", {}).items() if k != key}
        annotations = kept if value is None else {**kept, key: value}
        self._keep({**known, "metadata": {**known["metadata"], "annotations": annotations}})

    def command(self, command: str, value: str, name: str = "churn") -> None:
        """Give a command, as a person does."""
        self.annotate(f"fairway.dev/{command}", value, name)

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
        self.analysis.readings[NAMESPACE, name] = Reading(run=run, state=state, at=self.time, **more)
        self.news = True
