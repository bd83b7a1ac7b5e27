"""How a new revision takes over: steps, approvals, clocks, windows."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fairway.api.types import Api, Duration, Name, Percent, Short, Weight, require_distinct

ALL = 100
"""The weight of a revision that gets every request."""


class Step(Api):
    """One step of a canary: a share of the requests for a time, or a person's approval."""

    weight: Weight | None = None
    for_: Duration | None = Field(None, alias="for", description="Default 2m with objectives, 0s without.")
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Candidate replicas; default: its share of the current size."
    )
    approval: Name | None = Field(None, description="Wait until a person approves under this name.")
    approvers: Annotated[tuple[Short, ...], Field(max_length=32)] | None = Field(
        None, description="Users and groups that may approve; default: whoever may write the ModelDeployment."
    )
    timeout: Duration | None = Field(None, description="An approval that has not come by then is a denial.")

    @model_validator(mode="after")
    def _one_kind(self) -> "Step":
        if (self.weight is None) == (self.approval is None):
            raise ValueError("a step has exactly one of weight and approval")
        return self


class Undecided(Api):
    """What happens when the samples cannot decide."""

    after: Duration | None = Field(None, description="Default 15m after the end of the step.")
    then: Literal["Pause", "Rollback", "Promote"] | None = Field(None, description="Default Pause.")


class Deadlines(Api):
    """Separate clocks for scheduling, pulling the image and loading the model."""

    schedule: Duration | None = Field(None, description="Default 15m; passing it pauses and blames nobody.")
    pull: Duration | None = Field(None, description="Default 2m of failed pulls; permanent failures reject.")
    ready: Duration | None = Field(None, description="Default 30m of loading; passing it rejects.")


class Watch(Api):
    """How long the former revision stays warm after a promotion, ready to take over again."""

    for_: Duration | None = Field(None, alias="for", description="Default 10m with objectives, 0s without.")
    keep: Percent | None = Field(None, description="Share of the former replicas that stays; default 100%.")
    on_breach: Literal["Rollback", "Pause"] | None = Field(None, description="Default Rollback.")


class Rollout(Api):
    """How a new revision takes over."""

    steps: Annotated[tuple[Step, ...], Field(max_length=20)] | None = Field(
        None, description="Default with objectives: 5, 25 and 50 for 2m each. 100 follows by itself."
    )
    deadlines: Deadlines | None = None
    watch: Watch | None = None
    on_regression: Literal["Rollback", "Pause"] | None = Field(None, description="Default Rollback.")
    on_undecided: Undecided | None = None
    fast_return: Annotated[int, Field(ge=0, le=10)] | None = Field(
        None, description="How many proven revisions may return without steps; default 3."
    )

    @field_validator("steps")
    @classmethod
    def _rising(cls, steps: tuple[Step, ...] | None) -> tuple[Step, ...] | None:
        weights = [step.weight for step in steps or () if step.weight is not None]
        if weights != sorted(weights):
            raise ValueError("the weights of the steps must not fall")
        if ALL in weights[:-1]:
            raise ValueError("weight 100 may only be the last step")
        require_distinct(step.approval for step in steps or () if step.approval)
        return steps
