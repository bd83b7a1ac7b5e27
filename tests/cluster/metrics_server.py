"""metrics-server on the host, behind the API server's aggregation: `kubectl top` and the HPA read from it."""

from __future__ import annotations

from typing import Any

from . import kubectl, pki, settings
from .health import answers
from .processes import Daemon, ensure

NAMESPACE = "kube-system"
_RBAC = "rbac.authorization.k8s.io"
_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]},
]
HOST_USER = {"apiGroup": _RBAC, "kind": "User", "name": "fairway:metrics-server"}


def rbac(subject: dict[str, str]) -> list[dict[str, Any]]:
    """Return the rights it needs: read usage, and let the API server decide who may read it here."""
    name = "fairway-cluster-metrics-server"

    def binding(kind: str, suffix: str, role: tuple[str, str], space: dict[str, str]) -> dict[str, Any]:
        return {
            "apiVersion": f"{_RBAC}/v1",
            "kind": kind,
            "metadata": {"name": f"{name}{suffix}", **space},
            "roleRef": {"apiGroup": _RBAC, "kind": role[0], "name": role[1]},
            "subjects": [subject],
        }

    reader = ("Role", "extension-apiserver-authentication-reader")
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": _RULES},
        binding("ClusterRoleBinding", "", ("ClusterRole", name), {}),
        binding("ClusterRoleBinding", "-delegator", ("ClusterRole", "system:auth-delegator"), {}),
        binding("RoleBinding", "", reader, {"namespace": NAMESPACE}),
    ]


def api_service(trust: dict[str, Any]) -> dict[str, Any]:
    """Describe the aggregated API; `trust` says how the API server knows the serving certificate."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": "metrics-server", "namespace": NAMESPACE, "port": 443},
            **trust,
        },
    }


def manifests() -> list[dict[str, Any]]:
    """Return rights, the Service to the host and the aggregated API."""
    return [
        *rbac(HOST_USER),
        *kubectl.host_service("metrics-server", NAMESPACE, (443, settings.METRICS_SERVER_PORT)),
        api_service({"caBundle": pki.encoded(pki.certificate("ca"))}),
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
