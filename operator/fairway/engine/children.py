"""Make the children equal to what is desired: create, apply, scale, prune; touch nothing that already is right."""

from collections.abc import Collection, Iterable

from fairway.core import names
from fairway.core.build import alerts
from fairway.core.desired import Child
from fairway.core.drift import says
from fairway.core.revision import digest
from fairway.ports import Cluster, ClusterError, Manifest, Store

_PRUNED = (
    "HTTPRoute", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment", "Service", "ControllerRevision",
    alerts.KIND,
)  # fmt: skip
"""Kinds that we create; what no longer should exist goes in this order: routes first."""


async def apply_children(
    cluster: Cluster, store: Store, owner_uid: str, wanted: Iterable[Child], kept_revisions: Collection[str] = ()
) -> list[ClusterError]:
    """Bring every child to its desired state. One refused child does not hold up the others; returns the refusals.

    A namespace that is being deleted ends it at once. What is no longer wanted goes, unless a route that may name it
    could not be changed: to keep it for another refusal's sake might fill the very quota that is the reason.

    Children of ``kept_revisions`` stay although nothing is wanted of them: their record is lost, not their purpose.
    """
    live = {_name(child): child for child in store.children(owner_uid) if child["kind"] in _PRUNED}
    refused: list[ClusterError] = []
    kept, misrouted = set(), False
    for child in _takes_away_first(list(wanted), live.keys()):
        name = _name(child.manifest)
        kept.add(name)
        try:
            await _bring(cluster, store, child, live)
        except ClusterError as error:
            if error.ending:
                return [error]  # what is left goes with the namespace
            # A kind of others that went away since it was last looked for: what serves does not need it.
            if name[0] != alerts.KIND or error.status != 404:  # noqa: PLR2004
                refused.append(error)
                misrouted = misrouted or (name in live and _routes(child.manifest))
    if not misrouted:  # else requests may still go to what is no longer wanted
        surplus = [child for name, child in live.items() if name not in kept and _is_ours(child, owner_uid)]
        useless = [c for c in surplus if c["metadata"]["labels"].get(names.REVISION) not in kept_revisions]
        refused.extend(await _prune(cluster, store, useless))
    return refused


def _takes_away_first(children: list[Child], live: Collection[tuple[str, str]]) -> list[Child]:
    """Put a route whose Services all exist first: weight leaves a bad revision whatever else is refused."""

    def early(child: Child) -> bool:
        if child.manifest["kind"] != "HTTPRoute":
            return False
        backends = child.manifest["spec"]["rules"][0]["backendRefs"]
        return all(("Service", backend["name"]) in live for backend in backends)

    return sorted(children, key=lambda child: not early(child))


def _routes(manifest: Manifest) -> bool:
    """Whether a child says which revisions get requests: the route, or the entry Service."""
    kind, labels = manifest["kind"], manifest["metadata"]["labels"]
    return kind == "HTTPRoute" or (kind == "Service" and names.REVISION not in labels)


async def _bring(cluster: Cluster, store: Store, child: Child, live: dict[tuple[str, str], Manifest]) -> None:
    manifest, name = child.manifest, _name(child.manifest)
    mark = digest(manifest)
    meta = manifest["metadata"]
    marked = {**manifest, "metadata": {**meta, "annotations": {**meta.get("annotations", {}), names.APPLIED: mark}}}
    if name not in live:
        live[name] = await _create(cluster, store, child, marked)
    await _straighten(cluster, store, child, live[name], marked)


async def _create(cluster: Cluster, store: Store, child: Child, marked: Manifest) -> Manifest:
    """Return the new object, or our own that was there: from before a crash, or out of sight without its label."""
    if child.initial_replicas is not None:
        marked = {**marked, "spec": {**marked["spec"], "replicas": child.initial_replicas}}
    made = await cluster.create(marked)
    if made["kind"] == "ControllerRevision" and _is_hidden(made, marked):
        # No list and no watch of ours finds it, so that the next operator would not know what the revision is. There
        # is no right to patch one, as what it says must never change: the same is made anew.
        await cluster.delete(made)
        same = {**marked["metadata"], "annotations": made["metadata"].get("annotations", {})}
        made = await cluster.create({**marked, "metadata": same, "data": made["data"]})
    store.put(made)
    return made


def _is_hidden(found: Manifest, wanted: Manifest) -> bool:
    """Whether somebody has changed a label by which we find it. What is being deleted is left to go."""
    labels = found["metadata"].get("labels", {})
    bent = any(labels.get(each) != wanted["metadata"]["labels"][each] for each in (names.MANAGED_BY, names.OWNER))
    return bent and not found["metadata"].get("deletionTimestamp")


async def _straighten(cluster: Cluster, store: Store, child: Child, live: Manifest, marked: Manifest) -> None:
    manifest = child.manifest
    if manifest["kind"] == "ControllerRevision":
        return  # immutable: what a revision is never changes
    mark = marked["metadata"]["annotations"][names.APPLIED]
    if live["metadata"].get("annotations", {}).get(names.APPLIED) != mark or not says(live, manifest):
        live = await cluster.apply(marked, live)
        store.put(live)
    if child.replicas is None and child.initial_replicas and live["spec"].get("replicas") == 0:
        await _scale(cluster, store, live, child.initial_replicas)  # an autoscaler stands by while there are none
    if child.replicas is not None and _differs(live["spec"].get("replicas", 1), child):
        await _scale(cluster, store, live, child.replicas)


def _differs(replicas: int, child: Child) -> bool:
    assert child.replicas is not None
    return replicas != child.replicas if child.shrinks else replicas < child.replicas


async def _scale(cluster: Cluster, store: Store, live: Manifest, replicas: int) -> None:
    await cluster.scale(live, replicas)
    store.put({**live, "spec": {**live["spec"], "replicas": replicas}})


async def _prune(cluster: Cluster, store: Store, surplus: list[Manifest]) -> list[ClusterError]:
    refused = []
    for child in sorted(surplus, key=lambda c: _PRUNED.index(c["kind"])):
        if child["metadata"].get("deletionTimestamp"):
            continue
        try:
            await cluster.delete(child)
            store.drop(child)
        except ClusterError as error:
            refused.append(error)
    return refused


def _is_ours(child: Manifest, owner_uid: str) -> bool:
    """A copy that somebody made carries our labels, but has no owner."""
    return any(
        ref.get("controller") and ref["uid"] == owner_uid for ref in child["metadata"].get("ownerReferences", ())
    )


def _name(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]
