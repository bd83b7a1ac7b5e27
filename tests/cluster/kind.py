"""The `kind` provider, for machines with a container engine: the same parts as `local`, but within the cluster.

On macOS and Windows the host cannot reach pods, so Traefik and Prometheus cannot run on the host as they do in `local`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from . import control_plane, gateway, kind_manifests, kubectl, settings
from .progress import step
from .shell import ClusterError, run, wait_for, write_file

if TYPE_CHECKING:
    from .build import Request

_POLICY = settings.CONFIG / "audit-policy.json"
_IN_NODE = "/etc/kubernetes/fairway"
_GITHUB = "https://github.com/kubernetes-sigs/gateway-api/releases/download"
_RAW = "https://raw.githubusercontent.com/prometheus-operator/prometheus-operator"


def engine() -> str | None:
    """Return the container engine that answers; a client without its engine is no engine."""
    for name in ("docker", "podman"):
        if shutil.which(name) is None:
            continue
        try:
            done = subprocess.run([name, "info"], capture_output=True, timeout=10, check=False)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            return name
    return None


def cluster_config() -> dict[str, Any]:
    """Build kind's configuration: the local provider's addresses, its ports on the host, and the audit log."""
    audit = {"name": "fairway", "hostPath": _IN_NODE, "mountPath": _IN_NODE, "pathType": "DirectoryOrCreate"}
    api_server = {
        # kind writes kubeadm's v1beta3 form, where extraArgs is a mapping.
        "extraArgs": {
            "audit-policy-file": f"{_IN_NODE}/{_POLICY.name}",
            "audit-log-path": f"{_IN_NODE}/audit/{settings.AUDIT_LOG.name}",
        },
        "extraVolumes": [audit],
    }
    patch = {"kind": "ClusterConfiguration", "apiServer": api_server}
    ports = (settings.GATEWAY_PORT, settings.PROMETHEUS_PORT)
    node = {
        "role": "control-plane",
        "extraPortMappings": [
            {"containerPort": port, "hostPort": port, "listenAddress": "127.0.0.1"} for port in ports
        ],
        "extraMounts": [
            {"hostPath": str(_POLICY), "containerPath": f"{_IN_NODE}/{_POLICY.name}", "readOnly": True},
            {"hostPath": str(settings.AUDIT_LOG.parent), "containerPath": f"{_IN_NODE}/audit"},
        ],
        "kubeadmConfigPatches": [yaml.safe_dump(patch)],
    }
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"serviceSubnet": settings.SERVICE_CIDR},
        "nodes": [node],
    }


def crd_urls() -> list[str]:
    """Return where the CRDs are: the same versions as the Go modules of the local provider."""
    folder = f"{_RAW}/{settings.PROMETHEUS_OPERATOR_VERSION}/example/prometheus-operator-crd"
    kinds = ("podmonitors", "servicemonitors", "prometheusrules")
    gateway_api = f"{_GITHUB}/{settings.GATEWAY_API_VERSION}/standard-install.yaml"
    return [gateway_api, *(f"{folder}/monitoring.coreos.com_{kind}.yaml" for kind in kinds)]


def build_words(engine_name: str, request: Request) -> list[str]:
    """Compose the build; the Dockerfile's own default base image is used."""
    names = [word for name in request.names() for word in ("--tag", name)]
    arguments = [word for key, value in request.arguments.items() for word in ("--build-arg", f"{key}={value}")]
    return [engine_name, "build", *names, *arguments, "--file", str(request.dockerfile), str(request.context)]


def _kind(*words: str | Path) -> subprocess.CompletedProcess[str]:
    name = _require_engine()
    env = {"KIND_EXPERIMENTAL_PROVIDER": name} if name == "podman" else None
    return run(["kind", *words, "--name", settings.KIND_CLUSTER], env=env)


def _require_engine() -> str:
    name = engine()
    if name is None or shutil.which("kind") is None:
        raise ClusterError("the kind provider needs `kind` and a running Docker or Podman")
    return name


def up() -> None:
    """Bring up whatever is not up; kind itself keeps its node across restarts of the engine."""
    _require_engine()
    settings.make_directories()
    if settings.KIND_CLUSTER not in run(["kind", "get", "clusters"]).stdout.split():
        with step("kind create cluster"):
            write_file(_POLICY, json.dumps(control_plane.AUDIT_POLICY))
            config = settings.CONFIG / "kind.yaml"
            write_file(config, yaml.safe_dump(cluster_config()))
            _kind("create", "cluster", "--config", config, "--kubeconfig", settings.KUBECONFIG, "--wait", "120s")
    wait_for(lambda: kubectl.get("nodes") is not None, "API server ready", seconds=60, every=0.5)
    with step("CRDs of Gateway API and Prometheus Operator"):
        for url in crd_urls():
            kubectl.kubectl("apply", "--server-side", "--force-conflicts", "-f", url)
        kubectl.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    with step("Traefik, Prometheus, metrics-server"):
        kubectl.apply(kind_manifests.everything())
        for namespace, name in kind_manifests.DEPLOYMENTS:
            words = ("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=300s")
            kubectl.kubectl(*words)
        gateway.wait_programmed()


def down(*, purge: bool) -> None:
    """Delete the cluster; kind cannot stop one and keep it."""
    _kind("delete", "cluster", "--kubeconfig", settings.KUBECONFIG)
    if purge:
        shutil.rmtree(settings.STATE, ignore_errors=True)


def build_image(request: Request) -> None:
    """Build with the engine, whose own cache makes an unchanged build cheap, and load into the node."""
    name = _require_engine()
    with step(f"build {request.name}"):
        run(build_words(name, request))
    with step(f"load {request.name}"), tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        run([name, "save", "--output", archive, *request.names()])
        load_image(archive)


def load_image(archive: Path) -> None:
    """Import an image archive into the node."""
    _kind("load", "image-archive", archive)
