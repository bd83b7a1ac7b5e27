"""How many pods each revision gets."""

from typing import NamedTuple

from fairway.api.spec import ModelDeploymentSpec, Scaling
from fairway.api.status import Run, Status


class Size(NamedTuple):
    """Pods that a revision is to have; ``autoscaled`` ones are only how many it begins with.

    What has just lost its weight loses no pod (``shrinks`` False): there may be more of them than had been seen.
    """

    replicas: int
    autoscaled: bool = False
    shrinks: bool = True


def sizes(spec: ModelDeploymentSpec, status: Status) -> dict[str, Size]:
    """Every revision that has pods, and how many."""
    if spec.state == "Suspended":
        return {status.stable.revision: Size(0)} if status.stable else {}
    found: dict[str, Size] = {}
    scaled, former = autoscaled(spec), status.former
    if status.stable:
        found[status.stable.revision] = Size(stable_floor(spec, status), scaled)
    if status.run and status.candidate:
        found[status.candidate.revision] = Size(candidate(spec, status, status.run), scaled)
    if former:
        shrunk = former.kept if former.shrinks_at is None else None
        found[former.revision] = Size(former.replicas, shrinks=False) if shrunk is None else Size(shrunk)
    for retiring in status.retiring:
        found.setdefault(retiring.revision, Size(retiring.replicas, shrinks=False))
    return found


def scaling(spec: ModelDeploymentSpec) -> Scaling:
    """Return the asked scaling; a spec that says nothing asks for one replica."""
    return spec.scaling or Scaling()


def autoscaled(spec: ModelDeploymentSpec) -> bool:
    """Whether an HPA owns the replicas."""
    return scaling(spec).max_replicas is not None


def floor(spec: ModelDeploymentSpec) -> int:
    """Smallest size that the spec allows."""
    asked = scaling(spec)
    return asked.min_replicas or (1 if asked.max_replicas else asked.replicas or 1)


def ceiling(spec: ModelDeploymentSpec) -> int:
    """Largest size that the spec allows."""
    asked = scaling(spec)
    return asked.max_replicas or asked.replicas or 1


def total(spec: ModelDeploymentSpec, status: Status) -> int:
    """Size that 100 % of the requests need now: never less than when the run opened."""
    if not autoscaled(spec):
        return floor(spec)
    opened = status.run.size if status.run else 0
    serving = status.stable.replicas if status.stable else 0
    return min(max(opened, serving, floor(spec)), ceiling(spec))


def candidate(spec: ModelDeploymentSpec, status: Status, run: Run) -> int:
    """Pods that the candidate needs for the weight of its current step."""
    size = total(spec, status)
    if run.step >= len(run.plan):
        return size
    step = run.plan[run.step]
    return min(step.replicas or max(1, -(-step.weight * size // 100)), ceiling(spec))


def stable_floor(spec: ModelDeploymentSpec, status: Status) -> int:
    """Return minReplicas of stable: held at its size during a run, and for a while after it took over."""
    held = status.run.size if status.run else status.hold.replicas if status.hold else 0
    return max(floor(spec), min(held, ceiling(spec)))
