"""The `local` provider: a real cluster out of plain processes, for machines without a container engine."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

from . import (
    binaries,
    build,
    cleanup,
    control_plane,
    crds,
    gateway,
    host,
    images,
    kubectl,
    metrics_server,
    network,
    node,
    pki,
    prometheus,
    settings,
)
from .progress import step

if TYPE_CHECKING:
    from pathlib import Path

# In the order in which they start.
DAEMONS = {
    "etcd": control_plane.etcd,
    "kube-apiserver": control_plane.apiserver,
    "kube-controller-manager": control_plane.controller_manager,
    "kube-scheduler": control_plane.scheduler,
    "containerd": node.containerd,
    "kubelet": node.kubelet,
    "kube-proxy": node.kube_proxy,
    "metrics-server": metrics_server.metrics_server,
    "prometheus": prometheus.prometheus,
    "traefik": gateway.traefik,
}


def up() -> None:
    """Bring up whatever is not up."""
    host.check()
    settings.make_directories()
    host.install_packages()
    _raise_file_limit()
    binaries.ensure_all()
    with step("certificates"):
        pki.ensure_all()
    with step("network"):
        network.ensure()
    with step("etcd, API server, controllers, scheduler"):
        control_plane.ensure()
    with step("containerd"):
        node.ensure_containerd()
    with step("kubelet, kube-proxy"):
        node.ensure_kubelet()
    with step("Gateway API, RBAC, Services"):
        crds.ensure()
        kubectl.apply([*gateway.manifests(), *prometheus.manifests(), *metrics_server.manifests(), _dns_service()])
    with step("metrics-server, Prometheus, Traefik"):
        metrics_server.ensure_running()
        prometheus.ensure_running()
        gateway.ensure_running()
    with step("node and Gateway ready"):
        kubectl.wait_condition("node", "Ready", "node", settings.NODE_NAME)
        gateway.wait_programmed()


def down(*, purge: bool) -> None:
    """Stop it and leave nothing on the machine but, unless purged, the state folder."""
    cleanup.take_down()
    if purge:
        cleanup.purge()


def build_image(request: build.Request) -> None:
    """Build into the node's containerd."""
    build.build_image(request)


def load_image(archive: Path) -> None:
    """Import an archive (docker or OCI) with the names it carries."""
    with step(f"load {archive}"):
        images.load(archive)


def _dns_service() -> dict[str, Any]:
    """Describe the address pods have in resolv.conf: without endpoints kube-proxy rejects at once what asks there."""
    ports = [{"name": f"dns-{protocol.lower()}", "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": settings.DNS_SERVICE_IP, "ports": ports},
    }


def _raise_file_limit() -> None:
    """Let the daemons, which inherit it, open as many files as the machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
