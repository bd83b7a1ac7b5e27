"""What makes a revision: intent, hash, recorded pod template."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from fairway.api.runtime import GENERIC_HTTP, ModelRuntimeSpec, SecurityContext, Series, ServerFields
from fairway.api.spec import ModelDeploymentSpec
from fairway.core.errors import Unresolved

_OF_THE_MODEL = ("name", "version", "format", "uri", "digest", "mountPath", "credentials")
"""What of a model can change a prediction or a pod; its card, source and data cannot."""


@dataclass(frozen=True, slots=True)
class Server:
    """A model server with every override applied: what a pod is rendered from."""

    image: str
    port: int
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    protocol: str = "http"
    startup_path: str | None = None
    startup_timeout: float = 1800.0
    readiness_path: str | None = None
    liveness_path: str | None = None
    liveness: bool = False
    metrics_port: int = 0
    metrics_path: str = "/metrics"
    series: Series = GENERIC_HTTP
    security: SecurityContext = field(default_factory=SecurityContext)


@dataclass(frozen=True, slots=True)
class Record:
    """One revision as it is kept in a ControllerRevision: the rendered pod template and the lineage."""

    revision: str
    intent: str
    version: str
    template: dict[str, Any]
    image: str = ""
    port: int = 0
    series: Series = GENERIC_HTTP
    lineage: dict[str, Any] | None = None

    def data(self) -> dict[str, Any]:
        """Return the record as it is stored."""
        return {
            "intent": self.intent,
            "version": self.version,
            "image": self.image,
            "port": self.port,
            "series": self.series.model_dump(mode="json", by_alias=True, exclude_none=True),
            "template": self.template,
            "lineage": self.lineage or {},
        }

    @classmethod
    def load(cls, revision: str, data: dict[str, Any]) -> "Record":
        """Read a stored record, also one of a newer operator."""
        return cls(
            revision=revision,
            intent=data["intent"],
            version=data["version"],
            template=data["template"],
            image=data.get("image", ""),
            port=data.get("port", 0),
            series=_stored_series(data.get("series") or {}),
            lineage=data.get("lineage"),
        )


def _stored_series(stored: Any) -> Series:
    """Read series without what only a newer operator knows; none at all where the rest makes no sense.

    Without series there is nothing to judge by, so that a run waits: better than judging by others.
    """
    try:
        return Series.model_validate(stored, extra="ignore")
    except ValidationError:
        return Series.model_validate({})


def digest(value: Any) -> str:
    """SHA-256 over canonical JSON, hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def intent(spec: ModelDeploymentSpec, name: str) -> str:
    """Hash everything in a spec that can change a prediction or a pod; nothing that an operator version defaults."""
    return digest(shaping(spec, name))


def shaping(spec: ModelDeploymentSpec, name: str) -> dict[str, Any]:
    """Return what of a spec makes a revision, as it is hashed."""
    dump = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    model = {key: value for key, value in dump["model"].items() if key in _OF_THE_MODEL}
    model.setdefault("name", name)
    return {"model": model, "runtime": dump["runtime"], "resources": dump.get("resources")}


def revision(intent_hash: str, runtime: ModelRuntimeSpec | None) -> str:
    """First 10 characters of the base32 hash of intent and runtime content; the first is always a letter."""
    content = runtime.model_dump(mode="json", by_alias=True, exclude_none=True) if runtime else None
    raw = bytes.fromhex(digest([intent_hash, content]))
    text = base64.b32encode(raw).decode().lower()
    first = "abcdefghijklmnopqrstuvwxyz"[raw[-1] % 26]
    return first + text[:9]


def resolve(spec: ModelDeploymentSpec, runtime: ModelRuntimeSpec | None) -> Server:
    """Lay the ModelDeployment's runtime fields over the ModelRuntime's. Raises Unresolved without image or port."""
    layers: list[ServerFields] = [spec.runtime, *([runtime] if runtime else [])]

    def first(field: str) -> Any:
        return next((value for layer in layers if (value := getattr(layer, field)) is not None), None)

    image, port = first("image"), first("port")
    if image is None or port is None:
        missing = "image" if image is None else "port"
        raise Unresolved("RuntimeIncomplete", f"spec.runtime.{missing}: set it here or in the ModelRuntime")
    env: dict[str, str] = {}
    for layer in reversed(layers):
        env.update({variable.name: variable.value for variable in layer.env or ()})
    probes, metrics = first("probes"), first("metrics")
    startup, readiness, liveness = (probes.startup, probes.readiness, probes.liveness) if probes else (None, None, None)
    return Server(
        image=image,
        port=port,
        command=first("command") or (),
        args=first("args") or (),
        env=tuple(env.items()),
        protocol=first("protocol") or "http",
        startup_path=(startup and startup.path) or (readiness and readiness.path) or None,
        startup_timeout=(startup and startup.timeout) or 1800.0,
        readiness_path=readiness.path if readiness else None,
        liveness_path=liveness.path if liveness else None,
        liveness=liveness is not None,
        metrics_port=(metrics and metrics.port) or port,
        metrics_path=(metrics and metrics.path) or "/metrics",
        security=_security([layer.security_context for layer in layers if layer.security_context]),
        series=_series([layer.metrics.series for layer in layers if layer.metrics and layer.metrics.series]),
    )


def _series(declared: Iterable[Series]) -> Series:
    layers = [*declared, GENERIC_HTTP]
    # Whoever names other series says whose they are.
    return Series(
        requests=next(layer.requests for layer in layers if layer.requests),
        latency=next(layer.latency for layer in layers if layer.latency),
        revision_matcher=layers[0].revision_matcher,
    )


def _security(declared: Iterable[SecurityContext]) -> SecurityContext:
    """Lay one over the other, field by field; the first one wins."""
    merged: dict[str, Any] = {}
    for layer in declared:
        merged = {**layer.model_dump(exclude_none=True), **merged}
    return SecurityContext(**merged)


def lineage(spec: ModelDeploymentSpec) -> dict[str, Any]:
    """Return what the model was made from, as history shows it."""
    return spec.model.model_dump(mode="json", by_alias=True, exclude_none=True)
