"""ModelRuntime: how one kind of model server runs and is measured. Written by admins, cluster-scoped."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from fairway.api.types import LABEL, METRIC, PATH, Api, Duration, Port, Short, Text, keyed_by, require_distinct

MetricName = Annotated[str, StringConstraints(pattern=METRIC, max_length=128)]
LabelName = Annotated[str, StringConstraints(pattern=LABEL, max_length=64)]
HttpPath = Annotated[str, StringConstraints(pattern=PATH, max_length=256)]


class EnvVar(Api):
    """One environment variable with a literal value."""

    name: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=128)]
    value: Text = ""


class Probe(Api):
    """Where a probe asks: an HTTP path on the model's port, or the open port itself when no path is given."""

    path: HttpPath | None = None


class StartupProbe(Probe):
    """The startup probe: how long loading may take before the container is restarted."""

    timeout: Duration | None = Field(
        None, description="Default 30m: loading has its own deadline in rollout.deadlines."
    )


class Probes(Api):
    """The three probes of the model container."""

    startup: StartupProbe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None


class Matcher(Api):
    """One label matcher, as in PromQL."""

    label: LabelName
    op: Literal["=", "!=", "=~", "!~"] = Field("=", json_schema_extra={"x-fairway-default": "="})
    value: Short


class RequestSeries(Api):
    """The counter of requests and how a failed one is told from a good one."""

    metric: MetricName
    matchers: Annotated[tuple[Matcher, ...], Field(max_length=8)] = ()
    failure: Annotated[tuple[Matcher, ...], Field(max_length=8)] = Field(
        (), description="A request failed if any of these matches its labels."
    )


class LatencySeries(Api):
    """The latency histogram: its name without `_bucket`, and the unit of its buckets."""

    metric: MetricName
    matchers: Annotated[tuple[Matcher, ...], Field(max_length=8)] = ()
    unit: Literal["s", "ms", "us"] | None = Field(None, description="Unit of the bucket edges; default s.")


class Series(Api):
    """The series that objectives are judged by. Names and matchers only, never PromQL."""

    requests: RequestSeries | None = None
    latency: LatencySeries | None = None


class Metrics(Api):
    """Where the model server exposes its counters."""

    port: Port | None = Field(None, description="Default: the model's port.")
    path: HttpPath | None = Field(None, description="Default: /metrics.")
    series: Series | None = None


class ServerFields(Api):
    """What a ModelRuntime sets and a ModelDeployment may override, field by field."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    command: Annotated[tuple[Text, ...], Field(max_length=64)] | None = None
    args: Annotated[tuple[Text, ...], Field(max_length=64)] | None = None
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64, json_schema_extra=keyed_by("name"))] | None = None
    port: Port | None = None
    protocol: Literal["v1", "v2", "openai", "http", "grpc"] | None = None
    probes: Probes | None = None
    metrics: Metrics | None = None

    @field_validator("env")
    @classmethod
    def _distinct_env(cls, env: tuple[EnvVar, ...] | None) -> tuple[EnvVar, ...] | None:
        require_distinct(variable.name for variable in env or ())
        return env


class RuntimeFormat(Api):
    """A model format that a runtime can serve."""

    name: Short
    version: Short | None = Field(None, description="Exactly this version; default: any.")


class ModelRuntimeSpec(ServerFields):
    """The desired behaviour of every model served by this runtime."""

    formats: Annotated[tuple[RuntimeFormat, ...], Field(max_length=16)] | None = Field(
        None, description="What this runtime serves without being named: models of these formats find it."
    )
    model_mount_path: HttpPath | None = Field(None, description="Where the server expects the model.")


GENERIC_HTTP = Series(
    requests=RequestSeries(
        metric="http_requests_total",
        failure=(Matcher(label="status", op="=~", value="5.."), Matcher(label="code", op="=~", value="5..")),
    ),
    latency=LatencySeries(metric="http_request_duration_seconds"),
)
"""The series of a server that names none: the common OpenMetrics HTTP names."""
