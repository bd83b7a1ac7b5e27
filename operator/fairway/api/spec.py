"""ModelDeployment.spec: what a model owner writes."""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairway.api.rollout import Rollout
from fairway.api.runtime import HttpPath
from fairway.api.serving import FreeForm, Model, Resources, Runtime
from fairway.api.types import HOSTNAME, Api, Latency, Name, Number, ObjectName, Percent, keyed_by, require_distinct

AUTOSCALED = (
    "with minReplicas and maxReplicas an autoscaler of ours owns the size: change those, "
    "or leave them out for replicas, kubectl scale and scaling.external"
)
VARIABLES = ("selector", "revision", "namespace", "name", "window")
"""What a query may name, each after a dollar sign."""
QUERY = rf"^([^$]|[$]({'|'.join(VARIABLES)})\b)*$"
NO_VARIABLE = (
    "the variables of a query are $selector, $revision, $namespace, $name and $window, and no other $ may stand in it"
)
ONE_KIND = "an objective has exactly one of errors, latency, query and template"
ONE_BOUND = "a query needs exactly one of below and above"
NO_BOUND = "below and above are for a query or a template; errors and latency have their own"
NO_SERVER = "name a ModelRuntime, give an image, or give model.format to find a ModelRuntime by"


class Scaling(Api):
    """A fixed number of replicas, or the bounds and metrics of an autoscaler."""

    replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="A fixed size, which kubectl scale changes too. Default, without an autoscaler: 1."
    )
    min_replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Lower bound of the autoscaler. Default: 1."
    )
    max_replicas: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="Upper bound of the autoscaler; with it there is one."
    )
    metrics: Annotated[tuple[FreeForm, ...], Field(max_length=16)] | None = Field(
        None, description="autoscaling/v2 metrics, verbatim. Default: 70% of the requested CPU."
    )
    behavior: FreeForm | None = Field(None, description="autoscaling/v2 behavior, verbatim.")
    external: bool | None = Field(
        None,
        description=(
            "Something else, such as KEDA, scales the ModelDeployment by its scale subresource; replicas is the seed."
        ),
    )

    @model_validator(mode="after")
    def _one_way(self) -> "Scaling":
        bounds = self.min_replicas is not None or self.max_replicas is not None
        if self.replicas is not None and bounds:
            raise ValueError(f"replicas: {AUTOSCALED}")
        if self.external and bounds:
            raise ValueError(f"external: {AUTOSCALED}")
        if self.external and self.replicas is None:
            raise ValueError("replicas: scaling.external needs it, as the size to start with")
        for name, value in (("metrics", self.metrics), ("behavior", self.behavior)):
            if value is not None and self.max_replicas is None:
                raise ValueError(f"{name} is for an autoscaler, which needs maxReplicas")
        if self.min_replicas is not None and self.max_replicas is None:
            raise ValueError("minReplicas needs maxReplicas")
        if self.min_replicas is not None and self.max_replicas is not None and self.min_replicas > self.max_replicas:
            raise ValueError("minReplicas must not exceed maxReplicas")
        return self


class GatewayRef(Api):
    """A Gateway of the Gateway API."""

    name: ObjectName = Field(description="Name of the Gateway.")
    namespace: Name | None = Field(None, description="Default: the ModelDeployment's own namespace.")


class Traffic(Api):
    """How requests reach the model from outside the cluster."""

    gateway: GatewayRef | None = Field(None, description="Default: the operator's default gateway.")
    hostnames: (
        Annotated[tuple[Annotated[str, StringConstraints(pattern=HOSTNAME, max_length=253)], ...], Field(max_length=16)]
        | None
    ) = Field(None, description="Names under which the model answers; the first label may be *.")
    path: HttpPath | None = Field(None, description="Path prefix. Default: /.")

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> "Traffic":
        if self.gateway is not None and not self.hostnames and self.path in (None, "/"):
            raise ValueError("a gateway needs hostnames, or a path other than /, to tell this model from others")
        return self


class Errors(Api):
    """A promise about the share of failed requests."""

    below: Percent = Field(description="The share of requests that may fail, such as 1%.")


class LatencyObjective(Api):
    """A promise about a quantile of the response time."""

    percentile: Annotated[float, Field(gt=0, lt=100)] = Field(
        description="Which quantile: 99 means that 99 of 100 requests are faster."
    )
    below: Latency = Field(description="The time that it may take, such as 50ms.")


class Relative(Api):
    """A promise relative to the stable revision at the same time."""

    at_most: Annotated[float, Field(ge=1, le=100)] = Field(
        description="How many times stable's rate the candidate's may be."
    )
    above: Percent | None = Field(None, description="Rates under this are ignored. Default: 0.1%.")


class Objective(Api):
    """A promise in numbers that a revision must keep: exactly one of errors, latency, query and template."""

    name: Name = Field(description="Name of the objective, in status, Events and metrics.")
    errors: Errors | None = None
    latency: LatencyObjective | None = None
    query: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = Field(
        None,
        description=(
            "PromQL that gives one number, where an admin allows it. "
            "Variables: $selector, $revision, $namespace, $name, $window."
        ),
    )
    template: Name | None = Field(None, description="Name of a query that an admin has written for the provider.")
    below: Number | None = Field(None, description="What the number of a query or template must stay below.")
    above: Number | None = Field(None, description="What the number of a query or template must stay above.")
    provider: Name | None = Field(
        None, description="The metrics provider to ask, by the name an admin gave it. Default: the first one."
    )
    relative_to_stable: Relative | None = None
    dry_run: bool | None = Field(None, description="Judged and shown, but decides nothing.")
    min_requests: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        None,
        description="Requests within the limit that are enough at the end of a step. Default: 3/limit, at least 100.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> "Objective":
        kinds = (self.errors, self.latency, self.query, self.template)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError(ONE_KIND)
        return self._bounds()

    def _bounds(self) -> "Objective":
        bounds = sum(bound is not None for bound in (self.below, self.above))
        if self.counts:
            if bounds:
                raise ValueError(NO_BOUND)
            return self
        if bounds != 1:
            raise ValueError(ONE_BOUND)
        for name, given in (("relativeToStable", self.relative_to_stable), ("minRequests", self.min_requests)):
            if given is not None:
                raise ValueError(f"{name} is for errors and latency, which count requests")
        if self.query is not None and not re.fullmatch(QUERY, self.query):
            raise ValueError(f"query: {NO_VARIABLE}")
        return self

    @property
    def counts(self) -> bool:
        """Whether it is judged by counts of requests; else by the number that a query gives."""
        return self.errors is not None or self.latency is not None


class History(Api):
    """How much of the past is kept."""

    revisions: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None, description="Runs in status.history. Default: 10."
    )


class ModelDeploymentSpec(Api):
    """The model that should serve, and how it gets there."""

    model: Model
    runtime: Runtime
    resources: Resources | None = None
    scaling: Scaling | None = None
    traffic: Traffic | None = None
    objectives: Annotated[tuple[Objective, ...], Field(max_length=10, json_schema_extra=keyed_by("name"))] | None = (
        Field(None, description="Promises in numbers that every revision must keep.")
    )
    rollout: Rollout | None = None
    history: History | None = None
    paused: bool | None = Field(None, description="Hold an open run where it is. A rollback is never held.")
    state: Literal["Active", "Suspended"] | None = Field(
        None, description="Suspended takes all pods away and keeps everything else. Default: Active."
    )

    @model_validator(mode="after")
    def _enough_to_run(self) -> "ModelDeploymentSpec":
        runtime = self.runtime
        if runtime.name is None and runtime.image is None and self.model.format is None:
            raise ValueError(f"runtime.name: {NO_SERVER}")
        return self

    @field_validator("objectives")
    @classmethod
    def _distinct_objectives(cls, objectives: tuple[Objective, ...] | None) -> tuple[Objective, ...] | None:
        require_distinct(objective.name for objective in objectives or ())
        return objectives
