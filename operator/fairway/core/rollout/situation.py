"""What a decision sees, and what it may answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import HistoryEntry, Rejected, Retiring, Run, Status, Track
from fairway.core.observe import Observed, TrackView
from fairway.core.verdict import Reading

MAX_REJECTED = 10


@dataclass(frozen=True, slots=True)
class Target:
    """The revision that the spec asks for."""

    revision: str
    version: str
    image: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """The operator's own clocks, in seconds."""

    settle: float = 3.0
    scale_down_delay: float = 30.0
    hold: float = 300.0


@dataclass(frozen=True, slots=True)
class Event:
    """One Kubernetes Event: a stable reason and one line for people."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a decision may depend on."""

    now: float
    spec: ModelDeploymentSpec
    generation: int
    target: Target
    status: Status
    observed: Observed
    reading: Reading | None = None
    policy: Policy = Policy()
    gateway: bool = True
    """Whether a gateway splits the requests; else pods do, behind the entry Service."""

    @property
    def stable(self) -> TrackView:
        """The world's view of the stable revision."""
        return self.observed.track(self.status.stable.revision if self.status.stable else None)

    @property
    def candidate(self) -> TrackView:
        """The world's view of the candidate."""
        return self.observed.track(self.status.candidate.revision if self.status.candidate else None)

    def after(self, transition: "Transition") -> "Situation":
        """Return the same world with the decision taken."""
        return replace(self, status=transition.status)


@dataclass(frozen=True, slots=True)
class Transition:
    """A decision: the next status and what to tell about it."""

    status: Status
    events: tuple[Event, ...] = ()


Concern = Callable[[Situation], Transition | None]


def objectives(spec: ModelDeploymentSpec) -> bool:
    """Whether anything is promised in numbers."""
    return bool(spec.objectives)


def split(status: Status, weight: int, **more: object) -> Status:
    """Give the candidate this share of the requests and stable the rest."""
    assert status.candidate is not None
    stable = status.stable.model_copy(update={"weight": 100 - weight}) if status.stable else None
    candidate = status.candidate.model_copy(update={"weight": weight})
    return status.model_copy(update={"stable": stable, "candidate": candidate, **more})


def retire(s: Situation, status: Status, track: Track) -> tuple[Retiring, ...]:
    """Queue a revision without weight for removal after the scale-down delay."""
    view = s.observed.track(track.revision)
    others = tuple(r for r in status.retiring if r.revision != track.revision)
    if not view.exists:
        return others
    return (*others, Retiring(revision=track.revision, at=s.now + s.policy.scale_down_delay, replicas=view.replicas))


def history(s: Situation, run: Run, track: Track, outcome: str, reason: str) -> tuple[HistoryEntry, ...]:
    """Put a run that ends on top of the history."""
    record = s.observed.records.get(track.revision)
    lineage = (record.lineage or {}) if record else {}
    entry = HistoryEntry.model_validate(
        {
            "run": run.id,
            "revision": track.revision,
            "version": track.version,
            "image": record.image if record else None,
            "commit": lineage.get("source", {}).get("commit"),
            "dataVersion": lineage.get("data", {}).get("version"),
            "startedAt": run.started_at,
            "endedAt": s.now,
            "outcome": outcome,
            "reason": reason,
        }
    )
    keep = (s.spec.history and s.spec.history.revisions) or 10
    return (entry, *s.status.history)[:keep]


def reject(s: Situation, track: Track, reason: str, message: str) -> tuple[Rejected, ...]:
    """Put a revision on top of the rejected ones."""
    entry = Rejected(revision=track.revision, version=track.version, reason=reason, message=message, at=s.now)
    return (entry, *s.status.rejected)[:MAX_REJECTED]
