"""What runs, since when, and how to use it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from . import gateway, kubectl, local, settings
from .processes import running
from .shell import ClusterError

if TYPE_CHECKING:
    from .providers import Provider


def _part(name: str) -> str:
    current = running(name)
    if current is None:
        return f"{name:<26}{'stopped':<10}"
    return f"{name:<26}{'running':<10}{current.pid:<9}{timedelta(seconds=int(current.age()))}"


def _readiness() -> list[str]:
    try:
        node = kubectl.get("nodes")
        models = gateway.current()
    except ClusterError as error:
        return [f"API server does not answer: {error}"]
    if node is None:
        return ["API server does not answer"]
    lines = []
    for item in node["items"]:
        version = item["status"]["nodeInfo"]["kubeletVersion"]
        state = "Ready" if kubectl.condition(item, "Ready") else "NOT ready"
        lines.append(f"node {item['metadata']['name']}: {state}, {version}")
    programmed = "serves" if kubectl.condition(models, "Programmed") else "is NOT programmed"
    return [*lines, f"Gateway gateways/models {programmed} at {settings.GATEWAY_URL}"]


def report(provider: Provider) -> str:
    """Compose the whole report."""
    lines = []
    if provider is local:
        lines = [f"{'PART':<26}{'STATE':<10}{'PID':<9}UP", *map(_part, local.DAEMONS), ""]
    return "\n".join([*lines, *_readiness(), "", how_to_use()])


def how_to_use() -> str:
    """Tell how to point a shell at the cluster."""
    return "\n".join(
        [
            'use it:     eval "$(.venv/bin/python -m tests.cluster env)" && kubectl get pods -A',
            f"kubeconfig: {settings.KUBECONFIG}",
            f"audit log:  {settings.AUDIT_LOG}",
            f"logs:       {settings.LOGS}",
        ]
    )
