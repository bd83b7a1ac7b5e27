"""ModelRuntime: how one kind of model server runs and is measured. Written by admins, cluster-scoped."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairway.api.types import (
    LABEL,
    METRIC,
    PATH,
    Api,
    Directory,
    Port,
    PositiveDuration,
    Short,
    Text,
    keyed_by,
    require_distinct,
)

MetricName = Annotated[str, StringConstraints(pattern=METRIC, max_length=128)]
LabelName = Annotated[str, StringConstraints(pattern=LABEL, max_length=64)]
ONE_WAY = "say in one way which requests failed: failure, failed or succeeded"
ADMINS_ONLY = "it may look at the requests of others: only a ModelRuntime may have it"
UNBOUND = (
    "$namespace, $name and $revision are needed: without them, one model would be judged by the requests of others"
)
REVISION_VARIABLES = ("namespace", "name", "revision")
HttpPath = Annotated[str, StringConstraints(pattern=PATH, max_length=256)]


class EnvVar(Api):
    """One environment variable with a literal value."""

    name: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=128)] = Field(
        description="Name of the variable."
    )
    value: Text = Field("", description="Its value, as it is. Default: empty.")


class Probe(Api):
    """Where a probe asks: an HTTP path on the model's port, or the open port itself when no path is given."""

    path: HttpPath | None = Field(None, description="Any 2xx or 3xx is a yes. Default: that the port is open.")


class StartupProbe(Probe):
    """The startup probe: how long loading may take before the container is restarted."""

    timeout: PositiveDuration | None = Field(
        None, description="How long it may fail. Default: 30m, as loading has its own clock in rollout.deadlines."
    )


class Probes(Api):
    """The probes of the model container.

    Readiness is asked each 5 s, liveness each 10 s; three answers in a row that fail or take more than 5 s take the pod
    out of its Service, or restart the container.
    """

    startup: StartupProbe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None


class Matcher(Api):
    """One label matcher, as in PromQL."""

    label: LabelName = Field(description="The label to compare.")
    op: Literal["=", "!=", "=~", "!~"] = Field(
        "=", description="Default: =.", json_schema_extra={"x-fairway-default": "="}
    )
    value: Short = Field(description="What to compare it with: text, or a regular expression for =~ and !~.")


class FailedCounter(Api):
    """A counter of failed requests alone, with the labels of the pod that `metric` has."""

    metric: MetricName = Field(description="Name of the counter.")
    apart: bool | None = Field(
        None, description="True where `requests.metric` leaves the failed requests out. Default: it counts them, too."
    )


class GoodCounter(Api):
    """A counter of good requests alone: what `requests.metric` counts beyond it has failed."""

    metric: MetricName = Field(description="Name of the counter.")


class RequestSeries(Api):
    """The counter of requests and how a failed one is told from a good one: by labels, or by a second counter."""

    metric: MetricName = Field(description="Name of the counter.")
    matchers: Annotated[tuple[Matcher, ...], Field(max_length=8)] = Field(
        (), description="Which of its series count: leave probes and /metrics out."
    )
    failure: Annotated[tuple[Matcher, ...], Field(max_length=8)] = Field(
        (), description="A request failed if any of these matches its labels."
    )
    failed: FailedCounter | None = None
    succeeded: GoodCounter | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "RequestSeries":
        if (self.failure != ()) + (self.failed is not None) + (self.succeeded is not None) > 1:
            raise ValueError(ONE_WAY)
        return self


class LatencySeries(Api):
    """The latency histogram: its name without `_bucket`, and the unit of its buckets."""

    metric: MetricName = Field(description="Name of the histogram, without `_bucket`.")
    matchers: Annotated[tuple[Matcher, ...], Field(max_length=8)] = Field(
        (), description="Which of its series count: leave probes and /metrics out."
    )
    unit: Literal["s", "ms", "us"] | None = Field(None, description="Unit of the bucket edges. Default: s.")


class RevisionMatcher(Api):
    """By which label a series of somebody else, such as a gateway, names the revision that it is about."""

    label: LabelName = Field(description="The label that names the revision.")
    value: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description=(
            "Regular expression for its whole value, in which $namespace, $name and $revision stand for those of the "
            "revision, as in $namespace-$name-$revision-.*."
        )
    )

    @field_validator("value")
    @classmethod
    def _bound(cls, value: str) -> str:
        if any(f"${name}" not in value for name in REVISION_VARIABLES):
            raise ValueError(UNBOUND)
        return value


class Series(Api):
    """The series that objectives are judged by. Names and matchers only, never PromQL."""

    requests: RequestSeries | None = Field(
        None,
        description=(
            "The counter of requests and how a failed one is told from a good one. "
            "Default: http_requests_total, failed with a status or code of 5xx."
        ),
    )
    latency: LatencySeries | None = Field(
        None, description="The latency histogram. Default: http_request_duration_seconds."
    )
    revision_matcher: RevisionMatcher | None = Field(
        None,
        description=(
            "Whose the series are, where they do not come from the model's own pods; in a ModelRuntime only. "
            "Default: by their namespace and pod labels."
        ),
    )


class Metrics(Api):
    """Where the model server exposes its counters."""

    port: Port | None = Field(None, description="Default: the model's port.")
    path: HttpPath | None = Field(None, description="Default: /metrics.")
    series: Series | None = Field(
        None, description="The series that objectives are judged by: names and matchers, never PromQL."
    )


UserId = Annotated[int, Field(ge=1, le=2**31 - 1)]


class SecurityContext(Api):
    """Under which user the model server runs. No capability, no escalation and the default seccomp profile are given.

    Where a namespace enforces the restricted Pod Security standard, its pods need `runAsNonRoot`. Root is not
    representable: it is what an image without a user has. A ModelDeployment wins over its ModelRuntime, field by field.
    """

    run_as_non_root: bool | None = Field(
        None, description="True: the kubelet refuses to run the server as root. Default: the image decides."
    )
    run_as_user: UserId | None = Field(None, description="User ID of the server. Default: the image's.")
    run_as_group: UserId | None = Field(None, description="Group ID of the server. Default: the image's.")
    fs_group: UserId | None = Field(
        None, description="Group that owns the files of volumes which support it. Default: none."
    )
    read_only_root_filesystem: bool | None = Field(
        None, description="True: the server can write to its volumes only. Default: it may write to its own layer."
    )


class ServerFields(Api):
    """What a ModelRuntime sets and a ModelDeployment may override, field by field."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = Field(
        None, description="The container image of the model server."
    )
    command: Annotated[tuple[Text, ...], Field(max_length=64)] | None = Field(
        None, description="Replaces the image's entrypoint."
    )
    args: Annotated[tuple[Text, ...], Field(max_length=64)] | None = Field(
        None, description="Replaces the image's arguments."
    )
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64, json_schema_extra=keyed_by("name"))] | None = Field(
        None, description="Environment variables; those of a ModelDeployment win over its ModelRuntime's, name by name."
    )
    port: Port | None = Field(None, description="The port on which the model answers.")
    protocol: Literal["v1", "v2", "openai", "http", "grpc"] | None = Field(
        None, description="What is spoken on the port. Default: http."
    )
    probes: Probes | None = None
    metrics: Metrics | None = None
    security_context: SecurityContext | None = None

    @field_validator("env")
    @classmethod
    def _distinct_env(cls, env: tuple[EnvVar, ...] | None) -> tuple[EnvVar, ...] | None:
        require_distinct(variable.name for variable in env or ())
        return env


class RuntimeFormat(Api):
    """A model format that a runtime can serve."""

    name: Short = Field(description="Name of the format, as in model.format.name.")
    version: Short | None = Field(None, description="Exactly this version of the format. Default: any.")


class ModelRuntimeSpec(ServerFields):
    """The desired behaviour of every model served by this runtime."""

    formats: Annotated[tuple[RuntimeFormat, ...], Field(max_length=16)] | None = Field(
        None, description="What this runtime serves without being named: models of these formats find it."
    )
    model_mount_path: Directory | None = Field(
        None, description="Where the server expects the model. Default: /mnt/models."
    )


GENERIC_HTTP = Series(
    requests=RequestSeries(
        metric="http_requests_total",
        failure=(Matcher(label="status", op="=~", value="5.."), Matcher(label="code", op="=~", value="5..")),
    ),
    latency=LatencySeries(metric="http_request_duration_seconds"),
)
"""The series of a server that names none: the common OpenMetrics HTTP names."""
