"""The model and the server that serves it: everything a revision is made of."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from fairway.api.runtime import ADMINS_ONLY, Metrics, ServerFields
from fairway.api.types import (
    DIGEST,
    MODEL_URI,
    Api,
    Directory,
    Duration,
    Name,
    ObjectName,
    PositiveDuration,
    Quantity,
    Semver,
    Short,
    Text,
    keyed_by,
    require_distinct,
)

URI_FORM = (
    "model.uri is https://host/path, oci://registry/repository:tag@sha256:... or pvc://claim/path, "
    "without user and password: those belong in model.credentials"
)
DRAIN_DELAY = 10.0
DRAIN_GRACE = 90.0
DRAIN_DEFAULTS = "without a word delay is 10s and grace 90s"

FreeForm = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]


class Format(Api):
    """The serialization format of the model, for example sklearn 1.7."""

    name: Short = Field(description="Name of the format.")
    version: Short | None = Field(None, description="Version of the format.")


class Source(Api):
    """The code and the training run that made the model."""

    repository: Short | None = Field(None, description="Where the code is.")
    commit: Short | None = Field(None, description="Which commit of it; shown in status.history.")
    run: Short | None = Field(None, description="Name of the training run.")


class Data(Api):
    """The data that the model was trained on."""

    version: Short | None = Field(None, description="Which version of the data; shown in status.history.")
    uri: Short | None = Field(None, description="Where the data is. Never read by the operator.")
    digest: Short | None = Field(None, description="Digest of the data.")


class Card(Api):
    """The model card, in short."""

    owner: Short | None = Field(None, description="Who answers for the model.")
    license: Short | None = Field(None, description="Under which terms it may be used.")
    intended_use: Text | None = Field(None, description="What it is for.")
    limitations: Text | None = Field(None, description="What it is not for.")
    metrics: Annotated[dict[str, Short], Field(max_length=32)] | None = Field(
        None, description="Numbers from its evaluation, written as text."
    )


class Credentials(Api):
    """What an https model is fetched with. The kubelet mounts it; the operator never reads it."""

    secret_name: ObjectName = Field(
        description=(
            "A Secret with the key `token` (sent as a bearer token), or with `username` and `password`. "
            "Its key `ca.crt`, beside them or alone, holds certificate authorities (PEM) to trust as well."
        )
    )


class Model(Api):
    """Which model, in which version, made from what."""

    name: Name | None = Field(None, description="Name of the model. Default: metadata.name.")
    version: Semver = Field(description="Semantic version: a label, a label of the metrics and a column.")
    uri: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        None,
        description=(
            "Where the model is: https://host/path (fetched before the server starts, through the proxies that "
            "runtime.env names; a file that is no archive keeps the last part of the path as its name), "
            "oci://registry/repository:tag@sha256:... (an image volume) or pvc://claim/path (mounted read-only). "
            "Default: it is in the server's image."
        ),
    )
    digest: Annotated[str, StringConstraints(pattern=DIGEST, max_length=71)] | None = Field(
        None,
        description=(
            "What uri must hold, verified before the server starts: the SHA-256 of a file, "
            "or that of the sorted lines which sha256sum prints for a tree: digest, two spaces, relative path."
        ),
    )
    mount_path: Directory | None = Field(
        None,
        description="Where the server finds the model. Default: modelMountPath of the ModelRuntime, else /mnt/models.",
    )
    credentials: Credentials | None = None
    format: Format | None = None
    source: Source | None = None
    data: Data | None = None
    card: Card | None = None

    @field_validator("uri")
    @classmethod
    def _known_scheme(cls, uri: str | None) -> str | None:
        if uri is not None and not re.fullmatch(MODEL_URI, uri):
            raise ValueError(URI_FORM)
        return uri

    @model_validator(mode="after")
    def _can_be_fetched(self) -> "Model":
        uri = self.uri or ""
        if self.digest is not None and not uri:
            raise ValueError("digest: there is nothing to verify without uri; an image is pinned in runtime.image")
        if self.digest is not None and uri.startswith("oci://"):
            raise ValueError("digest: an oci:// model is pinned in its reference: end model.uri with @sha256:...")
        if self.credentials is not None and not uri.startswith("https://"):
            raise ValueError("credentials: they are for a model at https://")
        return self


class Drain(Api):
    """How a pod goes away without losing a request."""

    delay: Duration | None = Field(
        None, description="Time in which routers learn that the pod goes, before SIGTERM. Default: 10s."
    )
    grace: PositiveDuration | None = Field(
        None, description="Time until the pod is killed, the delay included. Default: 90s."
    )

    @model_validator(mode="after")
    def _includes_the_delay(self) -> "Drain":
        delay = DRAIN_DELAY if self.delay is None else self.delay
        if (DRAIN_GRACE if self.grace is None else self.grace) < delay:
            raise ValueError(f"grace includes delay and must not be shorter; {DRAIN_DEFAULTS}")
        return self


class EmptyDir(Api):
    """A directory that lives as long as the pod."""

    medium: Literal["Memory"] | None = Field(None, description="Memory for a RAM disk. Default: the node's disk.")
    size_limit: Quantity | None = Field(None, description="A pod that writes more is evicted, such as 1Gi.")


class Volume(Api):
    """One volume of a safe kind, mounted into the model container: exactly one source."""

    name: Name = Field(description="Name of the volume.")
    mount_path: Directory = Field(description="Where the model container finds it.")
    config_map: ObjectName | None = Field(None, description="A ConfigMap, mounted read-only.")
    secret: ObjectName | None = Field(None, description="A Secret, mounted read-only.")
    claim: ObjectName | None = Field(None, description="A PersistentVolumeClaim, mounted read-only.")
    empty_dir: EmptyDir | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Volume":
        if sum(source is not None for source in (self.config_map, self.secret, self.claim, self.empty_dir)) != 1:
            raise ValueError("set exactly one of configMap, secret, claim and emptyDir")
        return self


class PodOverlay(Api):
    """What of the pod may be set beside the container: nothing that reaches the host."""

    annotations: Annotated[dict[str, Text], Field(max_length=32)] | None = Field(
        None, description="Annotations of the pods."
    )
    node_selector: Annotated[dict[str, Short], Field(max_length=16)] | None = Field(
        None, description="Labels that a node must have."
    )
    affinity: FreeForm | None = Field(None, description="core/v1 Affinity, verbatim.")
    tolerations: Annotated[tuple[FreeForm, ...], Field(max_length=16)] | None = Field(
        None, description="core/v1 Tolerations, verbatim."
    )
    topology_spread_constraints: Annotated[tuple[FreeForm, ...], Field(max_length=8)] | None = Field(
        None, description="core/v1 TopologySpreadConstraints, verbatim."
    )
    priority_class_name: ObjectName | None = Field(None, description="A PriorityClass.")
    runtime_class_name: ObjectName | None = Field(None, description="A RuntimeClass, such as one for GPUs.")
    image_pull_secrets: Annotated[tuple[ObjectName, ...], Field(max_length=8)] | None = Field(
        None, description="Names of Secrets for the registries of the server's image and of an oci:// model."
    )
    volumes: Annotated[tuple[Volume, ...], Field(max_length=16, json_schema_extra=keyed_by("name"))] | None = Field(
        None, description="Volumes of safe kinds, mounted into the model container."
    )

    @field_validator("volumes")
    @classmethod
    def _distinct_volumes(cls, volumes: tuple[Volume, ...] | None) -> tuple[Volume, ...] | None:
        require_distinct(volume.name for volume in volumes or ())
        require_distinct((volume.mount_path for volume in volumes or ()), what="mount paths")
        return volumes


class Runtime(ServerFields):
    """How the model is served: a ModelRuntime by name, an image, or a ModelRuntime with overrides."""

    name: Name | None = Field(
        None, description="A ModelRuntime. Default, without an image: the one that takes the model's format."
    )
    drain: Drain | None = None
    pod_template: PodOverlay | None = None

    @model_validator(mode="after")
    def _port_of_an_image(self) -> "Runtime":
        if self.name is None and self.image is not None and self.port is None:
            raise ValueError("port: without a ModelRuntime the port of the model server must be given")
        return self

    @field_validator("metrics")
    @classmethod
    def _own_series(cls, metrics: Metrics | None) -> Metrics | None:
        if metrics and metrics.series and metrics.series.revision_matcher:
            raise ValueError(f"series.revisionMatcher: {ADMINS_ONLY}")
        return metrics


class Resources(Api):
    """Kubernetes compute resources of the model container."""

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] | None = Field(
        None, description="What a node must have free. An autoscaler on CPU needs requests.cpu."
    )
    limits: Annotated[dict[str, Quantity], Field(max_length=16)] | None = Field(
        None, description="What the container may not exceed; GPUs are asked for here, such as nvidia.com/gpu."
    )
