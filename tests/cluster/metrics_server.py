"""metrics-server on the host, behind the API server's aggregation: `kubectl top` and the HPA read from it."""

from __future__ import annotations

from typing import Any

from . import kubectl, pki, settings
from .health import answers
from .processes import Daemon, ensure

_NAMESPACE = "kube-system"
_RBAC = "rbac.authorization.k8s.io"
_USER = {"apiGroup": _RBAC, "kind": "User", "name": "fairway:metrics-server"}


def _binding(kind: str, name: str, role: tuple[str, str], space: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": space} if space else {})}
    reference = {"apiGroup": _RBAC, "kind": role[0], "name": role[1]}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": reference,
        "subjects": [_USER],
    }


def manifests() -> list[dict[str, Any]]:
    """Return rights, the Service to the host and the aggregated API."""
    name = "fairway-cluster-metrics-server"
    rules = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]},
    ]
    api = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"name": "metrics-server", "namespace": _NAMESPACE, "port": 443},
        "caBundle": pki.encoded(pki.certificate("ca")),
    }
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        _binding("ClusterRoleBinding", name, ("ClusterRole", name)),
        _binding("ClusterRoleBinding", f"{name}-delegator", ("ClusterRole", "system:auth-delegator")),
        _binding("RoleBinding", name, ("Role", "extension-apiserver-authentication-reader"), _NAMESPACE),
        *kubectl.host_service("metrics-server", _NAMESPACE, (443, settings.METRICS_SERVER_PORT)),
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": api,
        },
    ]


def metrics_server() -> Daemon:
    """Describe metrics-server; without the shorter kubelet timeout it panics at this resolution."""
    access = pki.kubeconfig("metrics-server-client")
    argv = (
        str(settings.BIN / "metrics-server"),
        *(f"--{flag}={access}" for flag in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")),
        f"--secure-port={settings.METRICS_SERVER_PORT}",
        f"--bind-address={settings.POD_GATEWAY}",
        f"--tls-cert-file={pki.certificate('metrics-server')}",
        f"--tls-private-key-file={pki.key('metrics-server')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={pki.certificate('ca')}",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",
    )
    # `readyz` waits for a first round of samples; `livez` is enough to go on.
    url = f"https://{settings.POD_GATEWAY}:{settings.METRICS_SERVER_PORT}/livez"
    return Daemon("metrics-server", argv, ready=lambda: answers(url), inputs=(access,))


def ensure_running() -> None:
    """Start it; the manifests are applied already."""
    ensure(metrics_server())
