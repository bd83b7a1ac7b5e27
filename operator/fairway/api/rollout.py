"""How a new revision takes over: steps, approvals, clocks, windows."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fairway.api.types import Api, Duration, Name, Percent, PositiveDuration, Short, Weight, require_distinct

ALL = 100
"""The weight of a revision that gets every request."""


class Step(Api):
    """One step of a canary: a share of the requests for a time, or a person's approval."""

    weight: Weight | None = Field(None, description="The candidate's share of the requests, in percent.")
    for_: Duration | None = Field(
        None,
        alias="for",
        description="How long the share is observed before the next step. Default: 2m with objectives, 0s without.",
    )
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Replicas of the candidate. Default: its share of the current size."
    )
    approval: Name | None = Field(None, description="Wait until a person approves under this name.")
    approvers: Annotated[tuple[Short, ...], Field(min_length=1, max_length=32)] | None = Field(
        None, description="Users and groups that may approve. Default: whoever may write the ModelDeployment."
    )
    timeout: PositiveDuration | None = Field(
        None, description="An approval that has not come by then is a denial. Default: none."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "Step":
        if (self.weight is None) == (self.approval is None):
            raise ValueError("a step has exactly one of weight and approval")
        for name, value in (("for", self.for_), ("replicas", self.replicas)):
            if value is not None and self.weight is None:
                raise ValueError(f"{name} belongs to a step with a weight, not to an approval")
        for name, given in (("approvers", self.approvers), ("timeout", self.timeout)):
            if given is not None and self.approval is None:
                raise ValueError(f"{name} belongs to a step with an approval")
        return self


class Undecided(Api):
    """What happens when the samples cannot decide: too few requests, or none."""

    after: Duration | None = Field(
        None, description="How long a verdict is waited for, counted from the end of the step. Default: 15m."
    )
    then: Literal["Pause", "Rollback", "Promote"] | None = Field(
        None,
        description="What is done then. Missing or broken metrics can only pause, whatever is asked. Default: Pause.",
    )


class Deadlines(Api):
    """Separate clocks for scheduling, pulling the image and loading the model."""

    schedule: PositiveDuration | None = Field(
        None,
        description=(
            "For pods that no node takes, or that a quota or a policy refuses; passing it pauses and blames nobody. "
            "Default: 15m."
        ),
    )
    pull: PositiveDuration | None = Field(
        None, description="For failing pulls; an image that is missing or denied then rejects. Default: 2m."
    )
    ready: PositiveDuration | None = Field(None, description="For loading; passing it rejects. Default: 30m.")


class Watch(Api):
    """How long the former revision stays warm after a promotion, ready to take over again.

    It does so when an objective breaks, or when all pods of the new one crash. The window stays open beyond its length
    while the new one has no ready pod.
    """

    for_: Duration | None = Field(
        None, alias="for", description="Length of the window. Default: 10m with objectives, 0s without."
    )
    keep: Percent | None = Field(
        None, description="Share of the former revision's replicas that stays, at least one. Default: 100%."
    )
    on_breach: Literal["Rollback", "Pause"] | None = Field(
        None,
        description=(
            "What a broken objective, or a crash of all pods, does in the window. Pause leaves both to people, "
            "and the condition Paused tells of a broken objective. Default: Rollback."
        ),
    )


class Rollout(Api):
    """How a new revision takes over."""

    steps: Annotated[tuple[Step, ...], Field(max_length=20)] | None = Field(
        None,
        description=(
            "Steps on the way to 100, which follows by itself. "
            "Default: 5, 25 and 50 for 2m each with objectives, none without."
        ),
    )
    deadlines: Deadlines | None = None
    watch: Watch | None = None
    on_regression: Literal["Rollback", "Pause"] | None = Field(
        None,
        description=(
            "What a broken objective does during the run. Pause holds the run, and the condition Paused and an Event "
            "tell why. Default: Rollback."
        ),
    )
    on_undecided: Undecided | None = None
    fast_return: Annotated[int, Field(ge=0, le=10)] | None = Field(
        None, description="How many proven revisions may return without steps; 0 for none. Default: 3."
    )

    @field_validator("steps")
    @classmethod
    def _in_order(cls, steps: tuple[Step, ...] | None) -> tuple[Step, ...] | None:
        weights = [step.weight for step in steps or () if step.weight is not None]
        if weights != sorted(weights):
            raise ValueError("the weights of the steps must not fall")
        if ALL in (step.weight for step in (steps or ())[:-1]):
            raise ValueError("weight 100 may only be the last step: nothing is left to wait for after it")
        require_distinct(step.approval for step in steps or () if step.approval)
        return steps
