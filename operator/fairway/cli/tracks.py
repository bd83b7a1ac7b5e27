"""The revisions of one ModelDeployment as people look at them: each with its pods, and the weight asked and served."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.cli.words import dig, safe
from fairway.core import names
from fairway.core.pods import Pod, read_pod

Raw = Mapping[str, Any]
MOST_PODS = 5
"""Pods without trouble that are listed of a revision; the rest is counted."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod, and the one-line cause when something is wrong with it."""

    name: str
    state: str
    cause: str = ""
    since: str = ""

    @property
    def fine(self) -> bool:
        """Whether there is nothing to tell."""
        return self.state == "ready"


@dataclass(frozen=True, slots=True)
class TrackView:
    """One revision that has pods or weight. Weights are in percent; None where nobody knows or it makes no sense."""

    role: str
    revision: str
    version: str
    asked: int | None = None
    served: int | None = None
    replicas: int = 0
    ready: int = 0
    note: str = ""
    until: str | None = None
    pods: tuple[PodView, ...] = ()
    hidden: int = 0


def tracks_of(name: str, status: Raw, pods: Sequence[Raw] | None, route: Raw | None) -> Iterator[TrackView]:
    """Yield what serves, what is tried or was rejected, what stays warm, and what goes, in this order."""
    run, stable, candidate = status.get("run"), status.get("stable"), status.get("candidate")
    by_revision = _by_revision(pods or ())
    served = _served(name, status, route)
    if stable:
        asked = 100 - run.get("weight", 0) if run else stable.get("weight")
        yield _track("stable", stable, by_revision, weights=(asked, served))
    if candidate and run:
        weights = (run.get("weight", 0), served) if stable else (None, {})
        yield _track("candidate", candidate, by_revision, weights=weights)
    elif candidate and candidate.get("rejectedReason"):
        yield _track("rejected", candidate, by_revision, note=safe(candidate["rejectedReason"]).partition(":")[0])
    former = status.get("former")
    if former:
        yield _track("former", former, by_revision, note="stays warm", until=former.get("until"))
    for entry in status.get("retiring") or ():
        if not candidate or entry["revision"] != candidate.get("revision"):
            yield _track("going", {"version": "", **entry}, by_revision, note="its pods go")


def _track(  # noqa: PLR0913  each is one thing to show
    role: str,
    track: Raw,
    pods: Mapping[str, list[PodView]],
    *,
    weights: tuple[int | None, Mapping[str, int]] = (None, {}),
    note: str = "",
    until: str | None = None,
) -> TrackView:
    """Build one revision; ``weights`` are the asked one and those served, by revision."""
    revision, (asked, served) = track["revision"], weights
    found = pods.get(revision, [])
    troubled = [pod for pod in found if not pod.fine]
    shown = [*troubled, *(pod for pod in found if pod.fine)][: max(MOST_PODS, len(troubled))][: 4 * MOST_PODS]
    return TrackView(
        role=role,
        revision=safe(revision),
        version=safe(track.get("version")),
        asked=asked,
        served=served.get(revision, 0 if served else None),
        replicas=track.get("replicas", 0),
        ready=track.get("ready", sum(pod.fine for pod in found)),
        note=note,
        until=until,
        pods=tuple(shown),
        hidden=len(found) - len(shown),
    )


def _by_revision(pods: Iterable[Raw]) -> dict[str, list[PodView]]:
    found: dict[str, list[PodView]] = {}
    for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"])):
        revision = pod["metadata"].get("labels", {}).get(names.REVISION, "")
        found.setdefault(revision, []).append(_pod(pod))
    return found


def _pod(raw: Raw) -> PodView:
    pod: Pod = read_pod(raw)
    name, since = safe(pod.name), raw["metadata"].get("creationTimestamp", "")
    if pod.terminating:
        return PodView(name, "going", "", since)
    if pod.trouble and not pod.ready:
        return PodView(name, pod.trouble, safe(pod.message), since)
    if pod.ready:
        return PodView(name, "ready", safe(pod.message) if pod.trouble else "", since)
    return PodView(name, "starting" if pod.scheduled_at else "pending", "", since)


def _served(name: str, status: Raw, route: Raw | None) -> dict[str, int]:
    """Return what the router carries, in percent by revision: the route's weights, else the shares of ready pods."""
    if route:
        rules = dig(route, "spec.rules") or [{}]
        backends = {
            ref["name"].removeprefix(f"{name}-"): ref.get("weight", 1) for ref in rules[0].get("backendRefs", ())
        }
        total = sum(backends.values())
        return {revision: round(100 * weight / total) for revision, weight in backends.items()} if total else {}
    weighted = [t for t in (status.get("stable"), status.get("candidate")) if t and t.get("weight")]
    if dig(status, "effective.router") != "Replicas" or not weighted:
        return {}
    ready = {t["revision"]: t.get("ready", 0) for t in weighted}
    total = sum(ready.values())
    return {revision: round(100 * count / total) for revision, count in ready.items()} if total else {}
