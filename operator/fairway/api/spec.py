"""ModelDeployment.spec: what a model owner writes."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairway.api.runtime import HttpPath, ServerFields
from fairway.api.types import (
    DIGEST,
    HOSTNAME,
    MODEL_URI,
    Api,
    Duration,
    Latency,
    Name,
    Percent,
    Semver,
    Short,
    Text,
    Weight,
    keyed_by,
    require_distinct,
)

FreeForm = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]


ALL = 100
"""The weight of a revision that gets every request."""


class Format(Api):
    """The serialization format of the model, for example sklearn 1.7."""

    name: Short
    version: Short | None = None


class Source(Api):
    """The code and the training run that made the model."""

    repository: Short | None = None
    commit: Short | None = None
    run: Short | None = None


class Data(Api):
    """The data that the model was trained on."""

    version: Short | None = None
    uri: Short | None = None
    digest: Short | None = None


class Card(Api):
    """The model card, in short."""

    owner: Short | None = None
    license: Short | None = None
    intended_use: Text | None = None
    limitations: Text | None = None
    metrics: Annotated[dict[str, Short], Field(max_length=32)] | None = None


class Credentials(Api):
    """What the model is fetched with. The kubelet mounts it; the operator never reads it."""

    secret_name: Name = Field(
        description="A Secret of the namespace with the key `token` (sent as a bearer token), or `username` and `password`."
    )


class Model(Api):
    """Which model, in which version, made from what."""

    name: Name | None = Field(None, description="Default: metadata.name.")
    version: Semver
    uri: Annotated[str, StringConstraints(pattern=MODEL_URI, max_length=1024)] | None = Field(
        None,
        description="Where the model is: https://, oci:// (an image volume) or pvc://claim/path. Default: in the image.",
    )
    digest: Annotated[str, StringConstraints(pattern=DIGEST)] | None = Field(
        None, description="sha256 of a file, or of a tree's sorted lines `<sha256>  <path>`; verified before the server starts."
    )
    mount_path: HttpPath | None = Field(None, description="Where the server finds the model; default /mnt/models.")
    credentials: Credentials | None = None
    format: Format | None = None
    source: Source | None = None
    data: Data | None = None
    card: Card | None = None


class Drain(Api):
    """How a pod goes away without losing a request."""

    delay: Duration | None = Field(None, description="Time in which routers learn of it, before SIGTERM; default 10s.")
    grace: Duration | None = Field(None, description="Time for requests in flight, the delay included; default 90s.")


class EmptyDir(Api):
    """A directory that lives as long as the pod."""

    medium: Literal["Memory"] | None = None
    size_limit: Short | None = None


class Volume(Api):
    """One volume of a safe kind, mounted into the model container: exactly one source."""

    name: Name
    mount_path: HttpPath
    config_map: Name | None = None
    secret: Name | None = None
    claim: Name | None = Field(None, description="A PersistentVolumeClaim, mounted read-only.")
    empty_dir: EmptyDir | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Volume":
        if sum(bool(x) for x in (self.config_map, self.secret, self.claim, self.empty_dir is not None)) != 1:
            raise ValueError("set exactly one of configMap, secret, claim and emptyDir")
        return self


class PodOverlay(Api):
    """What of the pod may be set beside the container: nothing that reaches the host."""

    annotations: Annotated[dict[str, Text], Field(max_length=32)] | None = None
    node_selector: Annotated[dict[str, Short], Field(max_length=16)] | None = None
    affinity: FreeForm | None = None
    tolerations: Annotated[tuple[FreeForm, ...], Field(max_length=16)] | None = None
    topology_spread_constraints: Annotated[tuple[FreeForm, ...], Field(max_length=8)] | None = None
    priority_class_name: Name | None = None
    runtime_class_name: Name | None = None
    image_pull_secrets: Annotated[tuple[Name, ...], Field(max_length=8)] | None = None
    volumes: Annotated[tuple[Volume, ...], Field(max_length=16, json_schema_extra=keyed_by("name"))] | None = None


class Runtime(ServerFields):
    """How the model is served: a ModelRuntime by name, an image, or a ModelRuntime with overrides."""

    name: Name | None = Field(
        None, description="A ModelRuntime; default, without an image: the one that takes the model's format."
    )
    drain: Drain | None = None
    pod_template: PodOverlay | None = None

    @model_validator(mode="after")
    def _enough_to_run(self) -> "Runtime":
        if self.name is None and self.image is None:
            raise ValueError("name a ModelRuntime in runtime.name or give an image")
        if self.name is None and self.port is None:
            raise ValueError("without a ModelRuntime the port of the model server must be given")
        return self


class Resources(Api):
    """Kubernetes compute resources of the model container."""

    requests: Annotated[dict[str, Short | int], Field(max_length=16)] | None = None
    limits: Annotated[dict[str, Short | int], Field(max_length=16)] | None = None


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

    @field_validator("objectives")
    @classmethod
    def _distinct_objectives(cls, objectives: tuple[Objective, ...] | None) -> tuple[Objective, ...] | None:
        require_distinct(objective.name for objective in objectives or ())
        return objectives
