"""The invariants I1-I8 and I10 of the rollout engine, watched at every write and whenever the operator rests.

The referee knows what was asked (spec, commands, verdicts) and what is stored. It never asks the engine.
"""

from __future__ import annotations

from typing import Any

from fairway.core import names
from tests.fakes.world import World, Write
from tests.property import truth
from tests.property.promises import Bans, bounded, justified, rises
from tests.property.truth import MODEL, breach

DELAY = 30.0


class Referee:
    """Watches one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bans = Bans()
        self.last_exposed: dict[str, float] = {}
        self._was_exposed: set[str] = set()
        self._events_seen = 0
        self._runs: dict[str, str] = {}
        world.watchers.append(self.saw)

    def forget(self) -> None:
        """The ModelDeployment is gone, and with it everything that was promised about it."""
        self.bans = Bans()
        self.last_exposed.clear()
        self._was_exposed.clear()
        self._runs.clear()

    # --- at every write ----------------------------------------------------------------------------------------

    def saw(self, write: Write) -> None:
        self._ours(write)
        if write.verb == "status":
            self._status(write)
        elif write.kind == "HTTPRoute":
            self._route(write)
        elif write.kind == "Deployment":
            self._deployment(write)
        elif write.kind == "Service" and write.verb == "delete":
            self._service_gone(write)
        self._note_exposure()

    def _ours(self, write: Write) -> None:
        """I8: only the status of the ModelDeployment and children of ours are written."""
        uid = self.world.model()["metadata"]["uid"] if ("ModelDeployment", MODEL) in self.world.objects else None
        if write.kind == "ModelDeployment":
            assert write.before is not None
            assert write.after is not None
            before, after = _without_status(write.before), _without_status(write.after)
            if write.verb != "status" or before != after:
                breach("I8", f"the ModelDeployment was written by {write.verb}")
            return
        for each in (write.before, write.after):
            if each is not None and each["metadata"].get("labels", {}).get(names.OWNER) != uid:
                breach("I8", f"{write.verb} of {write.kind} {write.name}, which is not ours")
        if write.name != MODEL and not write.name.startswith(f"{MODEL}-"):
            breach("I8", f"{write.kind} {write.name} is no name of ours")

    def _status(self, write: Write) -> None:
        assert write.before is not None
        assert write.after is not None
        before, after = write.before.get("status") or {}, write.after["status"]
        run = after.get("run")
        if run:
            started = self._runs.setdefault(run["id"], run["startedAt"])
            if started != run["startedAt"]:
                breach("I6", f"the id {run['id']} was given to two runs")
        self.bans.decided(before, after, truth.routed(self.world))
        rises(self.world, before, after)
        justified(self.world, before, after)
        self._promoted_capacity(before, after)
        bounded("status", after)

    def _route(self, write: Write) -> None:
        before, after = truth.route_weights(write.before), truth.route_weights(write.after)
        if write.after is None:
            return
        if sum(after.values()) != 100:
            breach("I1", f"weights sum to {sum(after.values())}: {after}")
        self.bans.routed(after)
        self._fence(after)
        self._to_nobody(before, after)

    def _fence(self, weights: dict[str, int]) -> None:
        """What is written to a route is what the status says: children follow from the stored status alone."""
        status = self.world.model().get("status") or {}
        told = {each["revision"]: each["weight"] for each in (status.get("stable"), status.get("candidate")) if each}
        if any(told.get(revision) != weight for revision, weight in weights.items()):
            breach("fence", f"the route gets {weights}, the stored status says {told}")

    def _to_nobody(self, before: dict[str, int], after: dict[str, int]) -> None:
        """I1 at the write: no weight moves from a revision with ready pods to one without."""
        spec = self.world.model()["spec"]
        if spec.get("state") == "Suspended" or self.world.lag:
            return
        ready = {revision: truth.endpoints(self.world, revision) for revision in {*before, *after}}
        gains = [revision for revision, weight in after.items() if weight > before.get(revision, 0)]
        loses = [revision for revision, weight in before.items() if after.get(revision, 0) < weight]
        for revision in gains:
            if not ready[revision] and any(ready[other] for other in loses):
                breach("I1", f"{revision} without ready pods gets weight: {before} -> {after}, ready {ready}")

    def _deployment(self, write: Write) -> None:
        """I6: pods outlive the last weight by the delay. I4: what has weight keeps the pods for it."""
        if write.before is None:
            return
        revision = write.before["metadata"]["labels"][names.REVISION]
        had = write.before["spec"].get("replicas", 1)
        has = write.after["spec"].get("replicas", 1) if write.after else 0
        spec = self.world.model()["spec"]
        if has >= had or not had or spec.get("state") == "Suspended":
            return
        weight = truth.exposed(self.world).get(revision)
        if weight and not has:
            breach("I6", f"{revision} is scaled to 0 while {truth.exposed(self.world)} point at it")
        if weight:
            total = truth.size(spec, had)
            if has < min(truth.share(truth.routed(self.world).get(revision, 0), total), truth.ceiling(spec)):
                breach("I4", f"{revision} has weight {weight} and shrinks from {had} to {has} of {total}")
            return
        since = self.world.time - self.last_exposed.get(revision, float("-inf"))
        if revision not in self._in_use() and since < DELAY and not self.world.lag:
            breach("I6", f"{revision} shrinks from {had} to {has}, {since:.0f} s after its last weight")

    def _in_use(self) -> set[str]:
        """Revisions whose size is what their share of the requests needs."""
        status = self.world.model().get("status") or {}
        return {each["revision"] for each in (status.get("stable"), status.get("run") and status["candidate"]) if each}

    def _service_gone(self, write: Write) -> None:
        revision = write.name.removeprefix(f"{MODEL}-")
        if revision in truth.routed(self.world):
            breach("I6", f"the Service of {revision} goes while the route names it")

    def _promoted_capacity(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """I4: who takes over has the pods for it, ready."""
        old, new = before.get("stable"), after.get("stable")
        promoted = new and before.get("candidate") and new["revision"] == before["candidate"]["revision"]
        if not promoted or not old or old["revision"] == new["revision"] or self.world.lag:
            return
        spec = self.world.model()["spec"]
        live = truth.deployments(self.world).get(old["revision"])
        serving = live["spec"].get("replicas", 1) if live else 0
        needed, has = truth.size(spec, serving), truth.endpoints(self.world, new["revision"])
        if has < needed:
            breach("I4", f"{new['version']} is promoted with {has} ready pods where {needed} serve")

    def _note_exposure(self) -> None:
        now = set(truth.exposed(self.world))
        for revision in self._was_exposed - now:
            self.last_exposed[revision] = self.world.time
        self._was_exposed = now

    # --- when the operator rests -------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """Check what must hold when the operator has seen everything and has nothing left to do."""
        self._note_exposure()
        for reason, message in self.world.events[self._events_seen :]:
            bounded(f"Event {reason}", [reason, message])
        self._events_seen = len(self.world.events)
        model = self.world.objects.get(("ModelDeployment", MODEL))
        if model is None or "status" not in model:
            return
        status = model["status"]
        if any(c["type"] == "Stalled" and c["reason"] in _NOT_ACTED_ON for c in status.get("conditions", ())):
            return
        self._split(model["spec"], status)
        self._entry(model["spec"], status)
        self._sizes(model["spec"], status)
        self._acted_on(model["spec"], status)

    def _split(self, spec: dict[str, Any], status: dict[str, Any]) -> None:
        weights = truth.routed(self.world)
        if not weights or spec.get("state") == "Suspended":
            return
        if sum(weights.values()) != 100:
            breach("I1", f"weights {weights}")
        ready = {revision: truth.endpoints(self.world, revision) for revision in weights}
        wrong = [revision for revision, weight in weights.items() if weight and not ready[revision]]
        if wrong and any(ready.values()):
            breach("I1", f"{wrong} without ready pods has weight: {weights}, ready {ready}")

    def _entry(self, spec: dict[str, Any], status: dict[str, Any]) -> None:
        """Without a gateway the entry Service widens only over ready pods of stable and candidate."""
        selector = truth.entry(self.world)
        if selector is None or not status.get("stable") or spec.get("state") == "Suspended":
            return
        stable, candidate = status["stable"]["revision"], (status.get("candidate") or {}).get("revision")
        selected = selector.get(names.REVISION)
        if truth.has_gateway(spec):
            if selected != stable:
                breach("I1", f"with a gateway the entry Service selects {selected}, not stable")
        elif selected is None:
            found = {pod["metadata"]["labels"][names.REVISION] for pod in truth.pods(self.world) if truth.ready(pod)}
            if not found <= {stable, candidate} or not status.get("run"):
                breach("I1", f"the entry Service selects everything while {found} have pods")
        elif not truth.endpoints(self.world, selected) and status.get("run"):
            others = {revision for revision in (stable, candidate) if revision}
            tried = status["run"].get("firstWeightAt")
            if tried and any(truth.endpoints(self.world, revision) for revision in others):
                breach("I1", f"the entry Service selects {selected}, which has no ready pod")

    def _sizes(self, spec: dict[str, Any], status: dict[str, Any]) -> None:
        """I4 and I6: stable keeps its size, and nobody has pods without a reason."""
        found = truth.deployments(self.world)
        known = {each["revision"] for each in (status.get("stable"), status.get("former")) if each}
        known |= {each["revision"] for each in status.get("retiring", ())}
        if status.get("run"):
            known.add(status["candidate"]["revision"])
        if set(found) - known:
            breach("I6", f"{set(found) - known} have Deployments, but nobody needs them")
        if not status.get("stable") or spec.get("state") == "Suspended":
            return
        stable = status["stable"]["revision"]
        if not truth.recorded(self.world, stable):
            return
        needed = truth.size(spec, (status.get("run") or {}).get("size", 0))
        has = found[stable]["spec"].get("replicas", 1) if stable in found else 0
        if has < needed:
            breach("I4", f"stable has {has} replicas, it needs {needed}")

    def _acted_on(self, spec: dict[str, Any], status: dict[str, Any]) -> None:
        """A regression that is known is acted on, whatever else is wrong with the candidate."""
        run, held = status.get("run"), (spec.get("rollout") or {}).get("onRegression") == "Pause"
        if not run or held or not status.get("stable") or run["stage"] == "RollingBack" or self.world.lag:
            return
        reading = self.world.analysis.reading(("ml", MODEL), run["id"])
        if reading is not None and reading.state == "Regressed":
            breach("rollback", f"{run['id']} goes on although its candidate is Regressed")


_NOT_ACTED_ON = ("InvalidSpec",)


def _without_status(model: dict[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in model["metadata"].items() if key != "resourceVersion"}
    return {**model, "metadata": meta, "status": None}
