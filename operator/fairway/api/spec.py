"""ModelDeployment.spec: what a model owner writes."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairway.api.rollout import Rollout
from fairway.api.runtime import HttpPath
from fairway.api.serving import FreeForm, Model, Resources, Runtime
from fairway.api.types import HOSTNAME, Api, Latency, Name, Percent, keyed_by, require_distinct


class Scaling(Api):
    """A fixed number of replicas, or the bounds and metrics of an autoscaler."""

    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    min_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    metrics: Annotated[tuple[FreeForm, ...], Field(max_length=16)] | None = Field(
        None, description="autoscaling/v2 metrics, verbatim. Default: 70 % of the requested CPU."
    )
    behavior: FreeForm | None = Field(None, description="autoscaling/v2 behavior, verbatim.")
    external: bool | None = Field(
        None, description="Something else scales the ModelDeployment by its scale subresource; replicas is the seed."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "Scaling":
        if self.replicas is not None and (self.min_replicas or self.max_replicas):
            raise ValueError("set either replicas or minReplicas and maxReplicas")
        if self.min_replicas is not None and self.max_replicas is None:
            raise ValueError("minReplicas needs maxReplicas")
        if self.min_replicas is not None and self.max_replicas is not None and self.min_replicas > self.max_replicas:
            raise ValueError("minReplicas must not exceed maxReplicas")
        return self


class GatewayRef(Api):
    """A Gateway of the Gateway API."""

    name: Name
    namespace: Name | None = Field(None, description="Default: the ModelDeployment's own namespace.")


class Traffic(Api):
    """How requests reach the model from outside the cluster."""

    gateway: GatewayRef | None = Field(None, description="Default: the operator's default gateway.")
    hostnames: (
        Annotated[tuple[Annotated[str, StringConstraints(pattern=HOSTNAME, max_length=253)], ...], Field(max_length=16)]
        | None
    ) = None
    path: HttpPath | None = Field(None, description="Path prefix; default /.")

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> "Traffic":
        if self.gateway is not None and not self.hostnames and self.path in (None, "/"):
            raise ValueError("a gateway needs hostnames, or a path other than /, to tell this model from others")
        return self


class Errors(Api):
    """A promise about the share of failed requests."""

    below: Percent


class LatencyObjective(Api):
    """A promise about a quantile of the response time."""

    percentile: Annotated[float, Field(gt=0, lt=100)]
    below: Latency


class Relative(Api):
    """A promise relative to the stable revision at the same time."""

    at_most: Annotated[float, Field(ge=1, le=100)]
    above: Percent | None = Field(None, description="Ignore rates under this; default 0.1%.")


class Objective(Api):
    """A promise in numbers that a revision must keep: exactly one of errors and latency."""

    name: Name
    errors: Errors | None = None
    latency: LatencyObjective | None = None
    relative_to_stable: Relative | None = None
    dry_run: bool | None = Field(None, description="Judged and shown, but decides nothing.")
    min_requests: Annotated[int, Field(ge=1, le=10_000_000)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Objective":
        if (self.errors is None) == (self.latency is None):
            raise ValueError("set exactly one of errors and latency")
        return self


class History(Api):
    """How much of the past is kept."""

    revisions: Annotated[int, Field(ge=1, le=50)] | None = Field(None, description="Default 10.")


class ModelDeploymentSpec(Api):
    """The model that should serve, and how it gets there."""

    model: Model
    runtime: Runtime
    resources: Resources | None = None
    scaling: Scaling | None = None
    traffic: Traffic | None = None
    objectives: Annotated[tuple[Objective, ...], Field(max_length=10, json_schema_extra=keyed_by("name"))] | None = None
    rollout: Rollout | None = None
    history: History | None = None
    paused: bool | None = Field(None, description="Hold an open run where it is. A rollback is never held.")
    state: Literal["Active", "Suspended"] | None = Field(
        None, description="Suspended takes all pods away and keeps the rest; default Active."
    )

    @model_validator(mode="after")
    def _enough_to_run(self) -> "ModelDeploymentSpec":
        runtime = self.runtime
        if runtime.name is None and runtime.image is None and self.model.format is None:
            raise ValueError(
                "runtime: name a ModelRuntime, give an image, or give model.format to find a ModelRuntime by"
            )
        if runtime.name is None and runtime.image is not None and runtime.port is None:
            raise ValueError("runtime: without a ModelRuntime the port of the model server must be given")
        return self

    @field_validator("objectives")
    @classmethod
    def _distinct_objectives(cls, objectives: tuple[Objective, ...] | None) -> tuple[Objective, ...] | None:
        require_distinct(objective.name for objective in objectives or ())
        return objectives
