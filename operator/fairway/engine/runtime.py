"""The moving parts together: sync, workers, sweeps. Started and stopped in one place."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from fairway.core import names
from fairway.core.build import alerts
from fairway.core.routing import CONTESTED
from fairway.core.verdict import Key
from fairway.engine.reconciler import Reconciler, is_stale
from fairway.engine.store import GATEWAY, MODEL, RUNTIME, MemoryStore
from fairway.engine.workqueue import WorkQueue
from fairway.ports import Clock, Cluster, ClusterError, Manifest

log = logging.getLogger(__name__)

SWEEP_EVERY = 600.0
SWEEP_EVERY_NAMESPACED = 60.0
"""Gateways mostly live in other namespaces than those that are watched: there, only a sweep sees them change."""
LISTED_AFTER = 2.0
MOST_PAUSES = 15
"""A watch that begins anew lists page by page, and others begin anew with it: so many seconds without a word of that
are waited for, so many times at most."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One watched kind."""

    name: str
    plural: str
    group_version: str
    child: bool = True
    namespaced: bool = True
    """Looked for in the served namespaces only."""

    @property
    def selector(self) -> str:
        """Label selector of the objects that are ours."""
        return f"{names.MANAGED_BY}={names.MANAGER}" if self.child else ""


KINDS = (
    Kind("ModelRuntime", "modelruntimes", "fairway.dev/v1alpha1", child=False, namespaced=False),
    Kind("Gateway", "gateways", "gateway.networking.k8s.io/v1", child=False, namespaced=False),
    Kind("ControllerRevision", "controllerrevisions", "apps/v1"),
    Kind("Deployment", "deployments", "apps/v1"),
    Kind("Service", "services", "v1"),
    Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling/v2"),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy/v1"),
    Kind("HTTPRoute", "httproutes", "gateway.networking.k8s.io/v1"),
    Kind("Pod", "pods", "v1"),
    Kind("ModelDeployment", "modeldeployments", "fairway.dev/v1alpha1", child=False),
)
"""Everything that decisions read. Owners come last: when they are known, so are their children."""
RULES = Kind(alerts.KIND, "prometheusrules", "monitoring.coreos.com/v1")


def kinds(*, rules: bool) -> tuple[Kind, ...]:
    """Return what is watched; rules for a Prometheus only where they are wanted, as it takes a right to see them."""
    return (RULES, *KINDS) if rules else KINDS


class Runtime:
    """Feeds events to the queue and runs passes from it."""

    def __init__(  # noqa: PLR0913  the composition root names every part
        self,
        *,
        cluster: Cluster,
        store: MemoryStore,
        queue: WorkQueue,
        reconciler: Reconciler,
        clock: Clock,
        namespaces: Sequence[str] = (),
        watched: Sequence[Kind] = KINDS,
        observed: Callable[[float, bool], None] = lambda _seconds, _ok: None,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._queue = queue
        self._reconciler = reconciler
        self._clock = clock
        self._namespaces = namespaces
        self._kinds = watched
        self._observed = observed
        self._begun: set[str] = set()
        """Kinds whose watch has listed since they were last listed here."""
        self._begins = asyncio.Event()

    def seen(self, type_: str | None, manifest: Manifest) -> None:
        """Take one watch event into the store and ask for a pass over its owner. None is an object of a new listing."""
        if type_ is None:
            self._begun.add(manifest["kind"])
            self._begins.set()
        if self._is_changed(type_, manifest):
            self._wake_contesting()
        if type_ == "DELETED":
            self._wake(manifest)
            self._store.lose(manifest)
        else:
            self._store.put(manifest)
            self._wake(manifest)

    def _wake(self, manifest: Manifest) -> None:
        """Ask for a pass over the owner of an object, or over all whom it concerns."""
        if manifest["kind"] in (RUNTIME, GATEWAY):
            for model in self._store.models():
                self._queue.add(model)
        elif key := self._store.owner(manifest):
            self._queue.add(key)

    def _is_changed(self, type_: str | None, manifest: Manifest) -> bool:
        """Whether a ModelDeployment that may have had a hostname now asks for something else, or for nothing."""
        key = self._store.owner(manifest) if manifest["kind"] == MODEL else None
        known = self._store.deployment_of_model(key) if key else None
        return known is not None and (type_ == "DELETED" or _asks(known) != _asks(manifest))

    def _wake_contesting(self) -> None:
        """Ask for a pass over all that were refused a hostname: it may be free now."""
        for model in self._store.all_models():
            conditions = (model.get("status") or {}).get("conditions") or ()
            if any(condition.get("reason") == CONTESTED for condition in conditions):
                self._wake(model)

    async def sync(self) -> None:
        """List everything, so that no decision is made from half a view; ask for a pass over every owner."""
        await self._list_all(self._kinds)
        for key in self._store.models():
            self._queue.add(key)

    async def _list_all(self, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            for namespace in (self._namespaces or (None,)) if kind.namespaced else (None,):
                await self._list(kind, namespace)

    async def _list(self, kind: Kind, namespace: str | None) -> None:
        since = self._store.mark()
        there = True
        try:
            listed = await self._cluster.list(kind.plural, kind.group_version, namespace, kind.selector)
        except ClusterError as error:
            if error.status != 404:  # noqa: PLR2004
                raise
            listed, there = [], False  # the kind is not installed
        self._store.found(kind.name, there=there)
        for manifest in listed:
            manifest.setdefault("kind", kind.name)
            manifest.setdefault("apiVersion", kind.group_version)
        gone = self._store.replace(kind.name, listed, namespace, since)
        for manifest in gone:
            self._wake(manifest)
        if gone and kind.name == MODEL:
            self._wake_contesting()

    async def sweep(self) -> None:
        """List everything again from time to time: a watch may lose a deletion."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_NAMESPACED if self._namespaces else SWEEP_EVERY)
            try:
                await self.sync()
            except ClusterError as error:
                log.warning("what exists was not listed again: %s", error)

    async def follow(self) -> None:
        """List again each kind whose watch has begun anew: no watch tells what vanished before it began.

        A watch that finds nothing at all at its begin says nothing of that, either: this is left to the next sweep.
        """
        while True:
            await self._begins.wait()
            for _ in range(MOST_PAUSES):
                self._begins.clear()
                await asyncio.sleep(LISTED_AFTER)
                if not self._begins.is_set():
                    break
            begun, self._begun = self._begun, set()
            try:
                # Those kinds alone: a watch that often begins anew costs its own lists once more, not everybody's.
                await self._list_all(kind for kind in self._kinds if kind.name in begun)
            except ClusterError as error:
                self._begun |= begun
                self._begins.set()
                log.warning("what may have vanished is not known yet: %s", error)

    async def work(self) -> None:
        """Run passes until cancelled."""
        while True:
            key = await self._queue.get()
            try:
                await self._one(key)
            finally:
                self._queue.done(key)

    async def _one(self, key: Key) -> None:
        started = time.perf_counter()
        ok = False
        try:
            wake_at = await self._reconciler.reconcile(key)
            ok = True
            self._queue.succeeded(key)
            if wake_at is not None:
                self._queue.add_at(key, wake_at)
        except ClusterError as error:
            delay = self._queue.retry(key)
            level = logging.DEBUG if is_stale(error) else logging.WARNING
            log.log(level, "will try again in %.1f s: %s", delay, error, extra={"namespace": key[0], "model": key[1]})
        except Exception:
            # One broken ModelDeployment must not take the others down with it.
            self._queue.retry(key)
            log.exception("a pass failed", extra={"namespace": key[0], "model": key[1]})
        finally:
            self._observed(time.perf_counter() - started, ok)


def _asks(model: Manifest) -> tuple[str, int]:
    return model["metadata"].get("uid", ""), model["metadata"].get("generation", 0)


async def supervise(jobs: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run all jobs until the first one ends or fails; then stop the rest."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            group.create_task(_ends_all(job))


async def _ends_all(job: Callable[[], Awaitable[None]]) -> None:
    await job()
    raise JobEndedError(getattr(job, "__qualname__", str(job)))


class JobEndedError(Exception):
    """A part that should run forever has ended: the process has to go with it."""
