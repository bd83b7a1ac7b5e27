"""What a decision sees, and what it may answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from fairway.api.spec import ModelDeploymentSpec
from fairway.api.status import HistoryEntry, Rejected, Retiring, Run, Status, Track
from fairway.core.commands import Command
from fairway.core.errors import Problem
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
    """The operator's own clocks, in seconds, and whether the names in approvals are checked before they get here."""

    settle: float = 3.0
    scale_down_delay: float = 30.0
    hold: float = 300.0
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """One Kubernetes Event: a stable reason and one line for people."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class RouteTrouble:
    """Why no route is there: a stable reason and one line for people."""

    reason: str
    message: str


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
    commands: Mapping[str, Command] = field(default_factory=dict)
    """What people have asked for and was not handled yet, by the command's name."""
    upgrade: str | None = None
    """The revision that today's ModelRuntime makes of the spec, where it is not the target."""
    created: float = 0.0
    """Epoch seconds of the ModelDeployment's creation."""
    preflight: Reading | None = None
    """What the samples say about stable between runs: whether the objectives can be measured at all."""
    problem: Problem | None = None
    """Why an objective cannot be asked at all."""
    url: str | None = None
    """Where the model answers."""
    runtime: str | None = None
    """The ModelRuntime in use."""
    unresolved: Problem | None = None
    """Why no revision can be made of the spec; the target is then what is tried, or else what serves."""
    trouble: RouteTrouble | None = None
    """Why no route can carry the requests: no gateway, or another ModelDeployment has the hostname."""

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

    @property
    def paused(self) -> bool:
        """Whether the spec holds an open run where it is."""
        return bool(self.spec.paused) and self.status.stable is not None  # nothing serves yet: nothing to protect

    @property
    def held(self) -> bool:
        """Whether an open run stays where it is: by the spec, or because nobody knows what the spec asks for."""
        if self.returning:
            return False
        return self.paused or (self.unresolved is not None and self.status.stable is not None)

    @property
    def returning(self) -> bool:
        """Whether the open run takes the requests away from a rejected revision: nothing holds that back."""
        status = self.status
        if status.run is None or status.stable is None or status.run.reason != "FastReturn":
            return False
        return any(entry.revision == status.stable.revision for entry in status.rejected)

    @property
    def suspended(self) -> bool:
        """Whether the spec asks for no pods at all."""
        return self.spec.state == "Suspended"


@dataclass(frozen=True, slots=True)
class Transition:
    """A decision: the next status and what to tell about it."""

    status: Status
    events: tuple[Event, ...] = ()


Concern = Callable[[Situation], Transition | None]


def unless_held(concern: Concern) -> Concern:
    """Hold a concern back while the run is held: what takes weight away never is."""

    def unless(s: Situation) -> Transition | None:
        return None if s.held else concern(s)

    return unless


def objectives(spec: ModelDeploymentSpec) -> bool:
    """Whether anything is promised in numbers."""
    return bool(spec.objectives)


def split(status: Status, weight: int, **more: object) -> Status:
    """Give the candidate this share of the requests and stable the rest."""
    assert status.candidate is not None
    stable = status.stable.model_copy(update={"weight": 100 - weight}) if status.stable else None
    candidate = status.candidate.model_copy(update={"weight": weight})
    return status.model_copy(update={"stable": stable, "candidate": candidate, **more})


def carried(s: Situation, asked: int) -> int:
    """Return the candidate's share when this one is asked: no requests go to who has no ready pod while the other has.

    Weights in percent.
    """
    if not s.candidate.ready:
        return 0
    return asked if s.stable.ready else 100


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
            "uri": lineage.get("uri", "").partition("?")[0] or None,
            "digest": lineage.get("digest"),
            "commit": lineage.get("source", {}).get("commit"),
            "dataVersion": lineage.get("data", {}).get("version"),
            "startedAt": run.started_at,
            "endedAt": s.now,
            "outcome": outcome,
            "reason": reason,
            "approvals": run.approvals,
        }
    )
    keep = (s.spec.history and s.spec.history.revisions) or 10
    return (entry, *s.status.history)[:keep]


def handled(status: Status, command: Command) -> Status:
    """Remember that a command was acted on, so that its annotation acts once."""
    return status.model_copy(update={"commands": {**status.commands, command.name: command.mark}})


def reject(s: Situation, track: Track, reason: str, message: str) -> tuple[Rejected, ...]:
    """Put a revision on top of the rejected ones."""
    entry = Rejected(revision=track.revision, version=track.version, reason=reason, message=message, at=s.now)
    return (entry, *s.status.rejected)[:MAX_REJECTED]
