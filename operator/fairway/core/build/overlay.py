"""What of a pod may be set beside its container: nothing that reaches the host is representable here."""

from collections.abc import Sequence
from typing import Any, Final

from fairway.api import GROUP
from fairway.api.serving import Drain, PodOverlay, Volume
from fairway.core.errors import Unresolved

DRAIN_SECONDS: Final = 10
GRACE_SECONDS: Final = 90
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
    """Return the seconds before SIGTERM and the whole grace. Raises Unresolved when the grace is the shorter one."""
    delay = round(asked.delay) if asked and asked.delay is not None else DRAIN_SECONDS
    if asked is None or asked.grace is None:
        return delay, max(GRACE_SECONDS, delay + GRACE_SECONDS - DRAIN_SECONDS)
    grace = round(asked.grace)
    if grace < delay:
        raise Unresolved("DrainInvalid", f"spec.runtime.drain.grace: {grace} s do not hold the delay of {delay} s")
    return delay, grace


def annotations(overlay: PodOverlay | None) -> dict[str, str]:
    """Return the annotations asked for, sorted. Raises Unresolved for one that is reserved."""
    asked = (overlay.annotations if overlay else None) or {}
    for name in sorted(asked):
        if name.startswith(_RESERVED):
            raise Unresolved("PodTemplateRefused", f"spec.runtime.podTemplate.annotations: {name} is reserved")
    return dict(sorted(asked.items()))


def pod_fields(overlay: PodOverlay | None, labels: dict[str, str], pull_secrets: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of the pod's spec that the overlay sets; ``labels`` select the pods of the revision."""
    overlay = overlay or PodOverlay()
    spread = [
        {"labelSelector": {"matchLabels": labels}, **constraint}
        for constraint in overlay.topology_spread_constraints or ()
    ]
    secrets = dict.fromkeys([*(overlay.image_pull_secrets or ()), *pull_secrets])
    fields = {
        "nodeSelector": dict(sorted((overlay.node_selector or {}).items())),
        "affinity": overlay.affinity,
        "tolerations": list(overlay.tolerations or ()),
        "topologySpreadConstraints": spread,
        "priorityClassName": overlay.priority_class_name,
        "runtimeClassName": overlay.runtime_class_name,
        "imagePullSecrets": [{"name": name} for name in secrets],
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


def require_distinct(entries: Sequence[dict[str, Any]], key: str) -> None:
    """Refuse two volumes of one name, or two mounts in one place. Raises Unresolved."""
    seen: set[str] = set()
    for entry in entries:
        value = entry[key].rstrip("/") if key == "mountPath" else entry[key]
        if value in seen:
            raise Unresolved("PodTemplateRefused", f"spec.runtime.podTemplate.volumes: {entry[key]} is taken")
        seen.add(value)
