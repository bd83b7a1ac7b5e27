"""ModelDeployment.status: what is true, what was decided and why. Written by the operator only."""

from typing import Annotated, Any, Literal

from pydantic import Field

from fairway.api.types import Duration, Time, Tolerant, keyed_by

Phase = Literal["Pending", "Healthy", "Progressing", "Paused", "RollingBack", "RolledBack", "Degraded", "Suspended"]
Stage = Literal["Scaling", "Observing", "RollingBack"]
VerdictState = Literal[
    "Healthy",
    "Regressed",
    "Undecided",
    "NoTraffic",
    "SharedDegradation",
    "NoData",
    "ProviderError",
    "SampleRatioMismatch",
]
Outcome = Literal["Promoted", "RolledBack", "Superseded"]


class Condition(Tolerant):
    """A metav1.Condition."""

    type: str = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: str = Field(description="One stable word for the cause.")
    message: str = Field("", description="One line for people.")
    last_transition_time: Time = Field(description="Since when the status is what it is.")
    observed_generation: int = Field(0, description="The generation of the spec that it speaks of.")


class Track(Tolerant):
    """One of the two revisions that may serve."""

    revision: str = Field(description="The revision's name.")
    version: str = Field(description="The model's version in it.")
    weight: int = Field(0, description="The share of the requests that it gets now, in percent.")
    replicas: int = Field(0, description="Its pods.")
    ready: int = Field(0, description="Its ready pods.")
    rejected_reason: str | None = Field(None, description="Why it was taken out, if it was.")


class Former(Tolerant):
    """The revision that served before the last promotion, warm until the watch window closes."""

    revision: str = Field(description="The revision's name.")
    version: str = Field(description="The model's version in it.")
    replicas: int = Field(description="Pods that it had; it keeps them all for the scale-down delay.")
    kept: int | None = Field(None, description="Pods that stay warm after it, where watch.keep lets some go.")
    shrinks_at: Time | None = Field(None, description="When that is.")
    run: str = Field(description="The run that replaced it.")
    crash_baseline: int = Field(0, description="Crashes before the window opened of the pods that serve now.")
    promoted_at: Time = Field(description="When the window opened.")
    until: Time = Field(description="When it closes.")


class Retiring(Tolerant):
    """A revision without weight whose pods stay a little, so that no request in flight is lost."""

    revision: str = Field(description="The revision's name.")
    at: Time = Field(description="When its pods may go.")
    replicas: int = Field(0, description="Pods that it keeps until then.")


class PlanStep(Tolerant):
    """A step as it was pinned when the run opened."""

    weight: int = Field(description="The candidate's share, in percent; an approval keeps that of the step before.")
    for_: Duration = Field(0.0, alias="for", description="How long it is observed.")
    replicas: int | None = Field(None, description="Replicas of the candidate, where the step says so.")
    approval: str | None = Field(None, description="The approval that is waited for.")
    approvers: tuple[str, ...] | None = Field(None, description="Who may approve; absent for everybody.")
    timeout: Duration | None = Field(None, description="How long it is waited for.")


class Approval(Tolerant):
    """A person's word: who, when, and why. ``by`` is unverified unless the shipped policy checks it."""

    name: str = Field(description="Which approval.")
    by: str = Field(description="Who gave it; unverified, where no policy compares the name with the requester.")
    via: str | None = Field(None, description="The program that wrote it, by its own word, such as argocd-server.")
    comment: str = Field("", description="Why.")
    at: Time = Field(description="When.")


class Refusal(Tolerant):
    """The revision that the spec asks for and that is not tried again, until it is forgiven or the spec changes."""

    revision: str = Field(description="The revision's name.")
    run: str = Field(description="The run that rejected it: what the command retry names.")


class Restart(Tolerant):
    """A rolling restart that was asked for, for one revision."""

    revision: str = Field(description="The revision's name.")
    at: str = Field(description="The time that was given with the command.")


class Run(Tolerant):
    """One attempt to move from stable to candidate.

    ``step`` counts from 0; ``step == steps`` is the last move to full capacity and promotion.
    """

    id: str = Field(description="Its name, such as run-7: what commands are bound to. Never used twice.")
    step: int = Field(0, description="The step that it is at, from 0.")
    weight: int = Field(0, description="The candidate's weight by plan; its track has what it really gets.")
    steps: int = Field(0, description="Steps before the last move to 100.")
    progress: str | None = Field(None, description="The step as people count it, such as 2/4, for the STEP column.")
    stage: Stage = Field("Scaling", description="What the step is at: pods come up, or requests are observed.")
    since: Time = Field(description="Since when it is at this stage.")
    started_at: Time = Field(description="When it opened.")
    plan: tuple[PlanStep, ...] = Field((), description="The steps as they were when it opened.")
    size: int = Field(description="Stable's size when it opened.")
    waiting_for: str | None = Field(None, description="What is waited for, for people.")
    deadline: Time | None = Field(None, description="When the waiting ends.")
    first_weight_at: Time | None = Field(None, description="When the candidate got its first requests.")
    pull_failing_since: Time | None = Field(None, description="Since when pulls fail: the clock of deadlines.pull.")
    unconfirmed: bool = Field(False, description="The router has not confirmed the weights yet.")
    crash_baseline: int = Field(0, description="Crashes before the first requests, which do not count.")
    reason: str | None = Field(None, description="Why it has no steps, if it has none.")
    full: bool = Field(False, description="promote-full was asked for: only capacity and approvals are waited for.")
    promoted_step: int | None = Field(None, description="The step that a command has ended.")
    approvals: tuple[Approval, ...] = Field((), description="Approvals given in it.")
    approvers: tuple[str, ...] | None = Field(None, description="Who may approve what is waited for now.")
    end: str | None = Field(None, description="Reason of a rollback that waits for stable's first ready pod.")
    end_message: str | None = Field(None, description="Its words.")


class ObjectiveStatus(Tolerant):
    """What the samples say about one objective; values are written for people."""

    name: str = Field(description="Name of the objective.")
    state: VerdictState = Field(description="What the samples say about it.")
    value: str | None = Field(None, description="The candidate's number.")
    stable_value: str | None = Field(None, description="Stable's number at the same time.")
    limit: str = Field(description="What was promised.")
    evidence: str | None = Field(None, description="How sure the samples make it that the promise is broken.")
    requests: int = Field(0, description="Requests to the candidate that were counted.")
    message: str | None = Field(None, description="What hinders it, such as a missing series.")


class VerdictStatus(Tolerant):
    """What the samples say about the candidate."""

    state: VerdictState = Field(description="The verdict.")
    at: Time = Field(description="When.")
    message: str = Field("", description="One line for people.")
    cause: str | None = Field(None, description="One stable word for what hinders a verdict, such as NoBucket.")
    objectives: tuple[ObjectiveStatus, ...] = Field((), description="One by one.")


class Rejected(Tolerant):
    """A revision that was tried and taken out."""

    revision: str = Field(description="The revision's name.")
    version: str = Field(description="The model's version in it.")
    reason: str = Field(description="One stable word for the cause.")
    message: str = Field("", description="Value, limit and evidence, or the cause of a crash.")
    at: Time = Field(description="When.")


class HistoryEntry(Tolerant):
    """One run that ended."""

    run: str = Field(description="The run.")
    revision: str = Field(description="The revision that was tried.")
    version: str = Field(description="The model's version in it.")
    image: str | None = Field(None, description="Its image.")
    uri: str | None = Field(None, description="From model.uri, without a query: that may be a signature.")
    digest: str | None = Field(None, description="From model.digest.")
    commit: str | None = Field(None, description="From model.source.commit.")
    data_version: str | None = Field(None, description="From model.data.version.")
    started_at: Time = Field(description="When the run began.")
    ended_at: Time = Field(description="When it ended.")
    outcome: Outcome = Field(description="How it ended.")
    reason: str = Field("", description="Why it ended so.")
    by: str | None = Field(None, description="Who ended it, if a person did.")
    approvals: tuple[Approval, ...] = Field((), description="Who approved what in it.")


class Hold(Tolerant):
    """The size that a new stable revision took over and keeps for a while."""

    replicas: int = Field(description="The size.")
    until: Time = Field(description="How long it is kept.")


class Status(Tolerant):
    """Everything the operator knows and has decided about one ModelDeployment."""

    observed_generation: int = Field(0, description="The generation of the spec that this status speaks of.")
    phase: Phase = Field("Pending", description="All in one word.")
    message: str = Field("", description="All in one line.")
    url: str | None = Field(None, description="Where the model answers.")
    stable: Track | None = Field(None, description="The revision that serves.")
    candidate: Track | None = Field(None, description="The revision that is tried, or was taken out last.")
    former: Former | None = None
    run: Run | None = Field(None, description="The attempt to move from stable to candidate, while there is one.")
    verdict: VerdictStatus | None = None
    evidence: str | None = Field(None, description="Bookkeeping: what the samples have said so far.")
    refused: Refusal | None = None
    chosen: str | None = Field(None, description="The revision that upgrade-runtime asked for.")
    suspended: bool = Field(False, description="Whether the pods are away for state: Suspended.")
    restarts: tuple[Restart, ...] = Field((), description="Rolling restarts that were asked for.")
    commands: dict[str, str] = Field({}, description="The last handled value of each command.")
    effective: dict[str, Any] = Field(
        {},
        description="What the spec means with every default resolved.",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )
    retiring: tuple[Retiring, ...] = Field((), description="Revisions without weight whose pods stay a little.")
    hold: Hold | None = None
    runs: int = Field(0, description="Bookkeeping: runs so far.")
    rejected: tuple[Rejected, ...] = Field((), description="Revisions that were taken out, the last one first.")
    history: tuple[HistoryEntry, ...] = Field((), description="Runs that ended, the last one first.")
    replicas: int = Field(0, description="Stable's pods, for the scale subresource.")
    selector: str = Field("", description="Selects stable's pods, for the scale subresource.")
    conditions: Annotated[tuple[Condition, ...], Field(json_schema_extra=keyed_by("type"))] = Field(
        (), description="See docs/reference/reasons.md."
    )
