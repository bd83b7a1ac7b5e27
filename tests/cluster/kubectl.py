"""The cluster's own kubectl, and the few questions this tool asks with it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import yaml

from . import settings
from .binaries import program
from .shell import run, wait_for, write_file

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable
    from pathlib import Path


def kubectl(*words: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run kubectl as the administrator, whatever the caller's own configuration says."""
    # An own cache: what kubectl remembers of an address may stem from another cluster that had it before.
    options = (f"--kubeconfig={settings.KUBECONFIG}", f"--cache-dir={settings.STATE}/kubectl-cache")
    return run([program("kubectl"), *options, *words], stdin=stdin, check=check)


def apply(documents: Iterable[dict[str, Any] | str]) -> None:
    """Apply objects, given as dicts or as YAML text, in one call."""
    texts = [document if isinstance(document, str) else yaml.safe_dump(document) for document in documents]
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=fairway-cluster", "-f", "-")
    kubectl(*words, stdin="\n---\n".join(texts))


def get(*words: str) -> dict[str, Any] | None:
    """Return one object, None if it is not there."""
    done = kubectl("get", *words, "-o", "json", "--ignore-not-found", check=False)
    if done.returncode != 0 or not done.stdout.strip():
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def condition(found: dict[str, Any] | None, wanted: str) -> bool:
    """Tell whether a condition of an object is True."""
    conditions = (found or {}).get("status", {}).get("conditions", [])
    return any(item["type"] == wanted and item["status"] == "True" for item in conditions)


def wait_condition(what: str, wanted: str, *words: str, seconds: float = 60.0) -> None:
    """Wait until an object's condition is True."""
    wait_for(lambda: condition(get(*words), wanted), f"{what} {wanted}", seconds=seconds, every=0.3)


def service_account(name: str, namespace: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Describe an account with exactly these rights in all namespaces and a token that does not expire."""
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": f"fairway-cluster-{name}"}
    token = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": f"{name}-token",
            "namespace": namespace,
            "annotations": {"kubernetes.io/service-account.name": name},
        },
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": role["name"]}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role["name"]},
            "roleRef": role,
            "subjects": [subject],
        },
        token,
    ]


def namespace(name: str) -> dict[str, Any]:
    """Describe a namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def host_service(name: str, space: str, ports: tuple[int, int], cluster_ip: str | None = None) -> list[dict[str, Any]]:
    """Describe a Service that leads from pods to a program on the host; ports are (Service, host)."""
    spec: dict[str, Any] = {"ports": [{"name": "main", "port": ports[0], "targetPort": ports[1]}]}
    if cluster_ip is not None:
        spec["clusterIP"] = cluster_ip
    labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "fairway-cluster"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space}, "spec": spec},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-host", "namespace": space, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [settings.POD_GATEWAY], "conditions": {"ready": True}}],
            "ports": [{"name": "main", "port": ports[1], "protocol": "TCP"}],
        },
    ]


def save_token(name: str, space: str) -> Path:
    """Wait for the account's token and keep it in a file for a program on the host."""

    def token() -> str | None:
        found = get("secret", f"{name}-token", "-n", space)
        encoded = (found or {}).get("data", {}).get("token")
        return base64.b64decode(encoded).decode() if encoded else None

    path = settings.TOKENS / name
    wait_for(lambda: token() is not None, f"token of {space}/{name}", seconds=30, every=0.2)
    write_file(path, token() or "", mode=0o600)
    return path
