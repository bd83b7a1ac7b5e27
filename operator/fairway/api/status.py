"""ModelDeployment.status: what is true, what was decided and why. Written by the operator only."""

from typing import Annotated, Any, Literal

from pydantic import Field

from fairway.api.types import Duration, Time, Tolerant, keyed_by

Phase = Literal["Pending", "Healthy", "Progressing", "Paused", "RollingBack", "RolledBack", "Degraded", "Suspended"]
Stage = Literal["Scaling", "Observing", "RollingBack"]
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
    for_: Duration = 0.0
    replicas: int | None = None
    approval: str | None = None
    approvers: tuple[str, ...] | None = None
    timeout: Duration | None = None


class Approval(Tolerant):
    """A person's word: who, when, and why. ``by`` is unverified unless the shipped policy checks it."""

    name: str
    by: str
    via: str | None = None
    comment: str = ""
    at: Time


class Refusal(Tolerant):
    """The revision that the spec asks for and that is not tried again, until it is forgiven or the spec changes."""

    revision: str
    run: str


class Restart(Tolerant):
    """A rolling restart that was asked for, for one revision."""

    revision: str
    at: str


class Run(Tolerant):
    """One attempt to move from stable to candidate.

    ``step`` counts from 0; ``step == steps`` is the last move to full capacity and promotion.
    """

    id: str
    step: int = 0
    weight: int = Field(0, description="The candidate's weight by plan; its track has what it really gets.")
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
    full: bool = Field(False, description="promote-full was asked for: only capacity and approvals are waited for.")
    promoted_step: int | None = Field(None, description="The step that a command has ended.")
    approvals: tuple[Approval, ...] = ()
    approvers: tuple[str, ...] | None = Field(None, description="Who may approve what is waited for now.")
    end: str | None = Field(None, description="Reason of a rollback that waits for stable's first ready pod.")
    end_message: str | None = None


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
    by: str | None = None
    approvals: tuple[Approval, ...] = ()


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
    refused: Refusal | None = None
    chosen: str | None = Field(None, description="The revision that upgrade-runtime asked for.")
    suspended: bool = False
    restarts: tuple[Restart, ...] = ()
    commands: dict[str, str] = Field({}, description="The last handled value of each command.")
    effective: dict[str, Any] = Field(
        {},
        description="What the spec means with every default resolved.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    retiring: tuple[Retiring, ...] = ()
    hold: Hold | None = None
    runs: int = 0
    rejected: tuple[Rejected, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    replicas: int = 0
    selector: str = ""
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed_by("type"))] = ()
