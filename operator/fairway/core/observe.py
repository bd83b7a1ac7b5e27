"""Raw children as the watches saw them -> one frozen view that decisions are made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairway.core import names
from fairway.core.pods import Pod, one_line, read_pod, refused_pod
from fairway.core.revision import Record


@dataclass(frozen=True, slots=True)
class TrackView:
    """The pods and the Deployment of one revision."""

    exists: bool = False
    replicas: int = 0
    """What the Deployment asks for."""
    pods: tuple[Pod, ...] = ()
    refused: Pod | None = None
    """Stands for the pods that a quota or a policy keeps out, while one does."""

    @property
    def ready(self) -> int:
        """Pods that take requests: ready and not going away."""
        return sum(pod.ready and not pod.terminating for pod in self.pods)

    @property
    def present(self) -> tuple[Pod, ...]:
        """Pods that are not going away."""
        return tuple(pod for pod in self.pods if not pod.terminating)

    @property
    def crashes(self) -> int:
        """Non-zero exits and OOM kills of all present pods."""
        return sum(pod.crashes for pod in self.present)

    @property
    def all_crashed(self) -> bool:
        """Every present pod is down by its own fault right now."""
        return bool(self.present) and all(pod.crashes and not pod.ready for pod in self.present)

    @property
    def unplaced(self) -> bool:
        """Whether pods wait for a node, or to be let in at all: never their own fault."""
        return self.refused is not None or any(pod.trouble == "Unschedulable" for pod in self.present)

    @property
    def cause(self) -> Pod | None:
        """The pod whose trouble explains why the revision is not ready, the clearest trouble first."""
        known = (*self.present, self.refused) if self.refused else self.present
        troubled = [pod for pod in known if pod.trouble and not pod.ready]
        return min(troubled, key=lambda pod: (_CLARITY.get(pod.trouble or "", 9), pod.name), default=None)


_CLARITY = {"Crash": 0, "Pull": 1, "Fetch": 1, "Config": 1, "Unschedulable": 2, "Refused": 2}


@dataclass(frozen=True, slots=True)
class RouteView:
    """What the router says about our route."""

    weights: Mapping[str, int] = field(default_factory=dict)
    """Revision to weight, as the route object has it now."""
    accepted: bool = False
    reason: str = "Pending"
    message: str = "the gateway's controller has not answered yet"


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything of ours that exists for one ModelDeployment."""

    tracks: Mapping[str, TrackView] = field(default_factory=dict)
    records: Mapping[str, Record] = field(default_factory=dict)
    route: RouteView | None = None
    entry: str | None = None
    """The revision that the entry Service selects, empty for all of them; None when there is no entry Service."""
    blocked: str | None = None
    """Why the last write of a child was refused, if it was."""

    def track(self, revision: str | None) -> TrackView:
        """Return the view of one revision; an empty one if nothing of it exists."""
        return self.tracks.get(revision or "", TrackView())

    def reaches(self, revision: str) -> bool:
        """Whether requests may reach a revision: a route names it, or the entry Service selects its pods."""
        return self.entry in ("", revision) or (self.route is not None and revision in self.route.weights)


def observe(model: str, children: Iterable[Mapping[str, Any]], blocked: str | None = None) -> Observed:
    """Sort a ModelDeployment's children by kind and revision."""
    pods: dict[str, list[Pod]] = {}
    deployments: dict[str, Mapping[str, Any]] = {}
    records: dict[str, Record] = {}
    route: RouteView | None = None
    entry: str | None = None
    for child in children:
        meta = child["metadata"]
        revision = meta.get("labels", {}).get(names.REVISION, "")
        kind = child["kind"]
        if kind == "Pod":
            pods.setdefault(revision, []).append(read_pod(child))
        elif kind == "Deployment":
            deployments[revision] = child
        elif kind == "ControllerRevision":
            records[revision] = Record.load(revision, child["data"])
        elif kind == "HTTPRoute":
            route = _route(model, child)
        elif kind == "Service" and meta["name"] == model:
            entry = child["spec"].get("selector", {}).get(names.REVISION, "")
    tracks = {
        revision: _track(deployments.get(revision), tuple(pods.get(revision, ()))) for revision in {*pods, *deployments}
    }
    return Observed(tracks, records, route, entry, blocked)


def _track(deployment: Mapping[str, Any] | None, pods: tuple[Pod, ...]) -> TrackView:
    if deployment is None:
        return TrackView(pods=pods)
    kept_out = (
        refused_pod(condition.get("message", ""))
        for condition in deployment.get("status", {}).get("conditions", ())
        if (condition["type"], condition["status"]) == ("ReplicaFailure", "True")
        and condition.get("reason") == "FailedCreate"
    )
    return TrackView(True, deployment.get("spec", {}).get("replicas", 1), pods, next(kept_out, None))


def _route(model: str, route: Mapping[str, Any]) -> RouteView:
    rules = route.get("spec", {}).get("rules") or [{}]
    weights = {
        backend["name"].removeprefix(f"{model}-"): backend.get("weight", 1)
        for backend in rules[0].get("backendRefs", ())
    }
    generation = route["metadata"].get("generation", 0)
    verdicts = [
        condition
        for parent in route.get("status", {}).get("parents", ())
        for condition in parent.get("conditions", ())
        if condition["type"] in ("Accepted", "ResolvedRefs") and condition.get("observedGeneration", 0) >= generation
    ]
    refused = next((c for c in verdicts if c["status"] != "True"), None)
    if refused:
        said = one_line(refused.get("message", ""))
        return RouteView(weights, accepted=False, reason=refused["reason"], message=said)
    if not any(c["type"] == "Accepted" for c in verdicts):
        return RouteView(weights)
    return RouteView(weights, accepted=True, reason="Accepted", message="")
