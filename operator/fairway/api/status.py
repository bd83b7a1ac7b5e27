"""ModelDeployment.status: what is true, what was decided and why. Written by the operator only."""

from typing import Annotated, Literal

from pydantic import Field

from fairway.api.types import Duration, Time, Tolerant, keyed_by

Phase = Literal["Pending", "Healthy", "Progressing", "RolledBack", "Degraded"]
Stage = Literal["Scaling", "Observing"]
VerdictState = Literal["Healthy", "Regressed", "Undecided", "NoTraffic", "SharedDegradation", "NoData", "ProviderError"]
Outcome = Literal["Promoted", "RolledBack", "Superseded"]


class Condition(Tolerant):
    """A metav1.Condition."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    last_transition_time: Time
    observed_generation: int = 0


class Track(Tolerant):
    """One of the two revisions that may serve."""

    revision: str
    version: str
    weight: int = 0
    replicas: int = 0
    ready: int = 0
    rejected_reason: str | None = None


class Former(Tolerant):
    """The revision that served before the last promotion, warm until the watch window closes."""

    revision: str
    version: str
    replicas: int
    run: str
    promoted_at: Time
    until: Time


class Retiring(Tolerant):
    """A revision without weight whose pods stay a little, so that no request in flight is lost."""

    revision: str
    at: Time
    replicas: int = 0


class PlanStep(Tolerant):
    """A step as it was pinned when the run opened."""

    weight: int
    for_: Duration
    replicas: int | None = None


class Run(Tolerant):
    """One attempt to move from stable to candidate.

    ``step`` counts from 0; ``step == steps`` is the last move to full capacity and promotion.
    """

    id: str
    step: int = 0
    steps: int = 0
    progress: str | None = Field(None, description="The step as people count it, such as 2/4, for the STEP column.")
    stage: Stage = "Scaling"
    since: Time
    started_at: Time
    plan: tuple[PlanStep, ...] = ()
    size: int
    waiting_for: str | None = None
    deadline: Time | None = None
    first_weight_at: Time | None = None
    loading_since: Time | None = None
    pull_failing_since: Time | None = None
    unconfirmed: bool = False
    crash_baseline: int = 0
    reason: str | None = None


class ObjectiveStatus(Tolerant):
    """What the samples say about one objective; values are written for people."""

    name: str
    state: VerdictState
    value: str | None = None
    stable_value: str | None = None
    limit: str
    evidence: str | None = None
    requests: int = 0
    message: str | None = None


class VerdictStatus(Tolerant):
    """What the samples say about the candidate."""

    state: VerdictState
    at: Time
    message: str = ""
    objectives: tuple[ObjectiveStatus, ...] = ()


class Rejected(Tolerant):
    """A revision that was tried and taken out."""

    revision: str
    version: str
    reason: str
    message: str = ""
    at: Time


class HistoryEntry(Tolerant):
    """One run that ended."""

    run: str
    revision: str
    version: str
    image: str | None = None
    commit: str | None = None
    data_version: str | None = None
    started_at: Time
    ended_at: Time
    outcome: Outcome
    reason: str = ""


class Hold(Tolerant):
    """The size that a new stable revision took over and keeps for a while."""

    replicas: int
    until: Time


class Status(Tolerant):
    """Everything the operator knows and has decided about one ModelDeployment."""

    observed_generation: int = 0
    phase: Phase = "Pending"
    message: str = ""
    url: str | None = None
    stable: Track | None = None
    candidate: Track | None = None
    former: Former | None = None
    run: Run | None = None
    verdict: VerdictStatus | None = None
    evidence: str | None = None
    retiring: tuple[Retiring, ...] = ()
    hold: Hold | None = None
    runs: int = 0
    rejected: tuple[Rejected, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    replicas: int = 0
    selector: str = ""
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed_by("type"))] = ()
