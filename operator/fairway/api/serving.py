"""The model and the server that serves it: everything a revision is made of."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from fairway.api.runtime import HttpPath, ServerFields
from fairway.api.types import DIGEST, MODEL_URI, Api, Duration, Name, Semver, Short, Text, keyed_by

FreeForm = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]


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
        description="A Secret with the key `token` (sent as a bearer token), or with `username` and `password`."
    )


class Model(Api):
    """Which model, in which version, made from what."""

    name: Name | None = Field(None, description="Default: metadata.name.")
    version: Semver
    uri: Annotated[str, StringConstraints(pattern=MODEL_URI, max_length=1024)] | None = Field(
        None,
        description="https://, oci:// (an image volume) or pvc://claim/path. Default: the model is in the image.",
    )
    digest: Annotated[str, StringConstraints(pattern=DIGEST)] | None = Field(
        None,
        description="Digest of a file, or of a tree's sorted lines `<sha256>  <path>`; verified before the start.",
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


class Resources(Api):
    """Kubernetes compute resources of the model container."""

    requests: Annotated[dict[str, Short | int], Field(max_length=16)] | None = None
    limits: Annotated[dict[str, Short | int], Field(max_length=16)] | None = None
