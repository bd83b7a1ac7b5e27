"""The API server's side of the world: storage, versions, ownership, and refusals on demand.

Objects are never changed in place: a change stores a new one, so that nobody needs a copy.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from fairway.core import names
from fairway.engine.store import MemoryStore
from fairway.ports import ClusterError, Manifest

EPOCH = 1_800_000_000.0
NAMESPACE = "ml"


class Killed(BaseException):
    """The operator process died at this write."""


@dataclass(frozen=True)
class Write:
    """One write of the operator that the API server has accepted."""

    verb: str
    kind: str
    name: str
    before: Manifest | None
    after: Manifest | None
    time: float


@dataclass
class Fault:
    """Something that happens once, ``skip`` writes from now."""

    action: Literal["kill", "kill-after", "refuse", "refuse-after"]
    skip: int = 0
    error: ClusterError = field(default_factory=lambda: ClusterError(500, "InternalError", "etcd has no leader"))


@dataclass
class ApiServer:
    """Implements the Cluster and Recorder ports and the clock."""

    time: float = EPOCH
    gateway: bool = True
    route_accepts: bool = True
    objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    writes: list[tuple[str, str, str]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    refuse: dict[str, ClusterError] = field(default_factory=dict)
    kill_at: int | None = None
    faults: list[Fault] = field(default_factory=list)
    watchers: list[Callable[[Write], None]] = field(default_factory=list)
    lag: bool = False
    """The operator's watches are late: what happens is seen by ``deliver``."""
    news: bool = True
    """Something has happened that asks for a pass."""
    witnesses: ClassVar[list[Callable[[int, Manifest], None]]] = []
    """Hear of every ModelDeployment that any world stores, with the world's number."""
    number: int = field(default_factory=itertools.count().__next__)

    def __post_init__(self) -> None:
        self.store = MemoryStore()
        self._versions = itertools.count(1)
        self._uids = itertools.count(1)
        self._undelivered: list[tuple[str, Manifest]] = []

    def now(self) -> float:
        return self.time

    # --- the Cluster port --------------------------------------------------------------------------------------

    async def create(self, manifest: Manifest) -> Manifest:
        with self._writing("create", manifest) as done:
            known = self.objects.get(_name(manifest))
            if known is not None:
                if _controller(known) == _controller(manifest):
                    return done(known, known)
                raise ClusterError(409, "NameTaken", f"{manifest['kind']} {_name(manifest)[1]} is not ours")
            return done(None, self._keep(self._new(manifest)))

    async def apply(self, manifest: Manifest, live: Manifest) -> Manifest:
        with self._writing("apply", manifest) as done:
            known = self.objects.get(_name(manifest))
            if known is None:
                return done(None, self._keep(self._new(manifest)))
            old, new = known["metadata"], manifest["metadata"]
            meta = {**old, **{each: {**old.get(each, {}), **new.get(each, {})} for each in ("labels", "annotations")}}
            spec = json.loads(json.dumps(manifest["spec"]))
            if "replicas" in known.get("spec", {}):
                spec["replicas"] = known["spec"]["replicas"]
            meta["generation"] = old.get("generation", 1) + (spec != known.get("spec"))
            return done(known, self._keep({**known, "metadata": meta, "spec": spec}))

    async def scale(self, manifest: Manifest, replicas: int) -> None:
        with self._writing("scale", manifest) as done:
            known = self.objects.get(_name(manifest))
            if known is None:
                raise ClusterError(404, "NotFound", f"{_name(manifest)} is not there")
            done(known, self.resize(known, replicas))

    async def delete(self, live: Manifest) -> None:
        with self._writing("delete", live) as done:
            known = self.objects.get(_name(live))
            if known is not None and known["metadata"]["uid"] != live["metadata"]["uid"]:
                raise ClusterError(409, "Conflict", "the UID in the precondition is another one")
            if known is not None:
                self._forget(known)
                done(known, None)

    async def write_status(self, owner: Manifest, status: Manifest) -> Manifest:
        with self._writing("status", owner) as done:
            known = self.objects.get(_name(owner))
            if known is None:
                raise ClusterError(404, "NotFound", f"{_name(owner)} is not there")
            if known["metadata"]["resourceVersion"] != owner["metadata"]["resourceVersion"]:
                raise ClusterError(409, "Conflict", "the object has been modified")
            return done(known, self._keep({**known, "status": json.loads(json.dumps(status))}))

    async def list(self, plural: str, group_version: str, namespace: str | None, selector: str) -> list[Manifest]:
        raise AssertionError("a pass never lists")

    def event(self, owner: Manifest, *, type_: str, reason: str, message: str) -> None:
        self.events.append((reason, message))

    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.events]

    # --- what others than the operator do ----------------------------------------------------------------------

    def resize(self, deployment: Manifest, replicas: int) -> Manifest:
        """Somebody scales a Deployment."""
        meta = {**deployment["metadata"], "generation": deployment["metadata"].get("generation", 1) + 1}
        return self._keep({**deployment, "metadata": meta, "spec": {**deployment["spec"], "replicas": replicas}})

    def relabel(self, kind: str, name: str, label: str, value: str) -> None:
        """Somebody changes a label."""
        known = self.objects[kind, name]
        labels = {**known["metadata"].get("labels", {}), label: value}
        self._keep({**known, "metadata": {**known["metadata"], "labels": labels}})

    def remove(self, kind: str, name: str) -> None:
        """Somebody deletes an object; what it owns goes with it."""
        gone = self.objects.get((kind, name))
        if gone is None:
            return
        self._forget(gone)
        for each in list(self.objects.values()):
            if _controller(each) == gone["metadata"]["uid"]:
                self.remove(*_name(each))

    def deliver(self) -> None:
        """Let the operator's watches see everything."""
        for verb, manifest in self._undelivered:
            self.store.lose(manifest) if verb == "drop" else self.store.put(manifest)
            self.news = True
        self._undelivered.clear()

    # --- storage -----------------------------------------------------------------------------------------------

    def _new(self, manifest: Manifest) -> Manifest:
        made = json.loads(json.dumps(manifest))
        made["metadata"] |= {"uid": f"uid-{next(self._uids)}", "generation": 1}
        return made

    @contextlib.contextmanager
    def _writing(self, verb: str, manifest: Manifest) -> Iterator[Callable[[Manifest | None, Manifest | None], Any]]:
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        if self.kill_at is not None and len(self.writes) >= self.kill_at:
            raise Killed
        fault = self._due_fault()
        if fault and fault.action == "kill":
            raise Killed
        if fault and fault.action == "refuse":
            raise fault.error
        if kind in self.refuse:
            raise self.refuse[kind]
        self.writes.append((verb, kind, name))

        def done(before: Manifest | None, after: Manifest | None) -> Manifest | None:
            for watcher in self.watchers:
                watcher(Write(verb, kind, name, before, after, self.time))
            if fault and fault.action == "kill-after":
                raise Killed
            if fault and fault.action == "refuse-after":
                raise fault.error
            return after

        yield done

    def _due_fault(self) -> Fault | None:
        due = next((fault for fault in self.faults if fault.skip <= 0), None)
        for fault in self.faults:
            fault.skip -= 1
        if due:
            self.faults.remove(due)
        return due

    def _keep(self, manifest: Manifest) -> Manifest:
        stored, before = self._now(manifest), self.objects.get(_name(manifest))
        self.objects[_name(stored)] = stored
        if stored["kind"] == "ModelDeployment":
            for witness in self.witnesses:
                witness(self.number, stored)
        if watched(stored):
            self._show("put", stored)
        elif before and watched(before):  # to a watch by labels, what has lost them is gone
            self._show("drop", {**before, "metadata": {**before["metadata"], "resourceVersion": _version(stored)}})
        return stored

    def _now(self, manifest: Manifest) -> Manifest:
        return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(next(self._versions))}}

    def _forget(self, manifest: Manifest) -> None:
        self.objects.pop(_name(manifest), None)
        if watched(manifest):
            self._show("drop", self._now(manifest))

    def _show(self, verb: str, manifest: Manifest) -> None:
        self._undelivered.append((verb, manifest))
        if not self.lag:
            self.deliver()


def watched(manifest: Manifest) -> bool:
    """Whether the operator's lists and watches tell of it: of children, those with its label."""
    if manifest["kind"] in ("ModelDeployment", "ModelRuntime", "Gateway"):
        return True
    return manifest["metadata"].get("labels", {}).get(names.MANAGED_BY) == names.MANAGER


def _version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


def _name(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _controller(manifest: Manifest) -> str | None:
    references = manifest["metadata"].get("ownerReferences", ())
    return next((each["uid"] for each in references if each.get("controller")), None)
