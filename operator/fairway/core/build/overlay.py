"""What of a pod may be set beside its container: nothing that reaches the host is representable here."""

from collections.abc import Sequence
from typing import Any, Final

from fairway.api import GROUP
from fairway.api.serving import DRAIN_DELAY, DRAIN_GRACE, Drain, PodOverlay, Volume
from fairway.core.errors import Unresolved

_RESERVED: Final = (
    f"{GROUP}/",
    "container.apparmor.security.beta.kubernetes.io/",
    "seccomp.security.alpha.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/",
    "cdi.k8s.io/",
    "io.kubernetes.cri-o.",
    "io.katacontainers.",
    "sidecar.istio.io/userVolume",
    "sidecar.istio.io/proxyImage",
    "inject.istio.io/",
    "vault.hashicorp.com/agent-json-patch",
    "vault.hashicorp.com/agent-init-json-patch",
)
"""Annotations by which runtimes and injectors loosen a sandbox, add devices or rewrite a pod, and our own."""


def drain(asked: Drain | None) -> tuple[int, int]:
    """Return the seconds before SIGTERM, and those until the kill, the former included."""
    delay = DRAIN_DELAY if asked is None or asked.delay is None else asked.delay
    grace = DRAIN_GRACE if asked is None or asked.grace is None else asked.grace
    return round(delay), round(grace)


def annotations(overlay: PodOverlay | None) -> dict[str, str]:
    """Return the annotations asked for, sorted. Raises Unresolved for one that is reserved."""
    asked = (overlay.annotations if overlay else None) or {}
    for name in sorted(asked):
        if name.startswith(_RESERVED):
            raise Unresolved("PodTemplateRefused", f"spec.runtime.podTemplate.annotations: {name} is reserved")
    return dict(sorted(asked.items()))


def pod_fields(overlay: PodOverlay | None, labels: dict[str, str]) -> dict[str, Any]:
    """Return the fields of the pod's spec that the overlay sets; ``labels`` select the pods of the revision."""
    overlay = overlay or PodOverlay()
    spread = [
        {"labelSelector": {"matchLabels": labels}, **constraint}
        for constraint in overlay.topology_spread_constraints or ()
    ]
    fields = {
        "nodeSelector": dict(sorted((overlay.node_selector or {}).items())),
        "affinity": overlay.affinity,
        "tolerations": list(overlay.tolerations or ()),
        "topologySpreadConstraints": spread,
        "priorityClassName": overlay.priority_class_name,
        "runtimeClassName": overlay.runtime_class_name,
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(overlay.image_pull_secrets or ())],
    }
    return {name: value for name, value in fields.items() if value}


def volumes(overlay: PodOverlay | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return volumes and mounts of the model container, sorted by name; all but an emptyDir are read-only."""
    asked = sorted((overlay.volumes if overlay else None) or (), key=lambda volume: volume.name)
    mounts = [
        {"name": volume.name, "mountPath": volume.mount_path, **({} if volume.empty_dir else {"readOnly": True})}
        for volume in asked
    ]
    return [{"name": volume.name, **_source(volume)} for volume in asked], mounts


def _source(volume: Volume) -> dict[str, Any]:
    if volume.config_map:
        return {"configMap": {"name": volume.config_map}}
    if volume.secret:
        return {"secret": {"secretName": volume.secret}}
    if volume.claim:
        return {"persistentVolumeClaim": {"claimName": volume.claim, "readOnly": True}}
    assert volume.empty_dir is not None
    return {"emptyDir": volume.empty_dir.model_dump(mode="json", by_alias=True, exclude_none=True)}


def require_free(entries: Sequence[dict[str, Any]], key: str) -> None:
    """Refuse what takes the name or the place of the model's own volume. Raises Unresolved."""
    values = [entry[key] for entry in entries]
    taken = next((value for at, value in enumerate(values) if value in values[:at]), None)
    if taken is not None:
        raise Unresolved("PodTemplateRefused", f"spec.runtime.podTemplate.volumes: {taken} is where the model is")
