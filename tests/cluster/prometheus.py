"""Prometheus: finds the pods of every namespace by itself and gives each exactly one target."""

from __future__ import annotations

from typing import Any

import yaml

from . import kubectl, pki, settings
from .health import answers
from .processes import Daemon, ensure
from .shell import write_file

NAMESPACE = "monitoring"
RULES: list[dict[str, Any]] = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
_CONFIG = settings.CONFIG / "prometheus.yml"
_POD = "__meta_kubernetes_pod_"
_PORT_NAME = f"{_POD}container_port_name"
_SCRAPE_PORT = f"{_POD}annotation_fairway_dev_scrape_port"
_SCRAPE_PATH = f"{_POD}annotation_fairway_dev_scrape_path"
_GATEWAY = f"127.0.0.1:{settings.TRAEFIK_ADMIN_PORT}"
_LABELS = {
    "namespace": "__meta_kubernetes_namespace",
    "pod": f"{_POD}name",
    "modeldeployment": f"{_POD}label_fairway_dev_name",
    "revision": f"{_POD}label_fairway_dev_revision",
    "version": f"{_POD}label_fairway_dev_version",
}


def _keep(sources: list[str], regex: str) -> dict[str, Any]:
    return {"action": "keep", "source_labels": sources, "regex": regex}


def _set(target: str, sources: list[str], regex: str = "(.+)", replacement: str = "$1") -> dict[str, Any]:
    return {"target_label": target, "source_labels": sources, "regex": regex, "replacement": replacement}


def model_relabeling() -> list[dict[str, Any]]:
    """Return the rules for model pods.

    Discovery yields one candidate per container port. The annotation wins and gives all of them the same address, so
    that they fall together; without it only the port named `metrics` stays. Nothing of the port survives in a label.
    """
    return [
        _keep([f"{_POD}phase"], "Running"),
        _keep([f"{_POD}ip"], ".+"),
        _keep([_PORT_NAME, _SCRAPE_PORT], r"metrics;|.*;\d+"),
        # A sidecar or init container may name a port `metrics`, too; without the annotation the main one counts.
        _keep([f"{_POD}container_init", _SCRAPE_PORT], r"false;|.*;\d+"),
        _set("__address__", [f"{_POD}ip", _SCRAPE_PORT], r"(.+);(\d+)", "$1:$2"),
        _set("__metrics_path__", [_SCRAPE_PATH]),
        *(_set(label, [source]) for label, source in _LABELS.items()),
    ]


def operator_relabeling() -> list[dict[str, Any]]:
    """Return the rules for the operator's own pods."""
    return [
        _keep([f"{_POD}phase"], "Running"),
        _keep([_PORT_NAME], "metrics"),
        _set("namespace", [_LABELS["namespace"]]),
        _set("pod", [_LABELS["pod"]]),
    ]


def gateway_relabeling() -> list[dict[str, Any]]:
    """Return the rules for a gateway that runs as a pod: its metrics are on the port for administration."""
    return [
        _keep([f"{_POD}phase"], "Running"),
        _set("__address__", [f"{_POD}ip"], replacement=f"$1:{settings.TRAEFIK_ADMIN_PORT}"),
        _set("namespace", [_LABELS["namespace"]]),
        _set("pod", [_LABELS["pod"]]),
    ]


def scrape_config(access: dict[str, Any]) -> dict[str, Any]:
    """Build Prometheus's configuration; `access` says how discovery reaches the API server (empty within a pod)."""

    def job(name: str, selector: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
        discovery = {"role": "pod", "selectors": [{"role": "pod", "label": selector}], **access}
        return {"job_name": name, "kubernetes_sd_configs": [discovery], "relabel_configs": rules}

    return {
        "global": {"scrape_interval": "5s", "scrape_timeout": "3s", "evaluation_interval": "5s"},
        "scrape_configs": [
            job("models", "app.kubernetes.io/managed-by=fairway", model_relabeling()),
            # The namespace of an operator's series is its model's.
            {**job("fairway", "app.kubernetes.io/name=fairway", operator_relabeling()), "honor_labels": True},
            # On the host, the gateway runs there, too; within a cluster it is a pod.
            {"job_name": "gateway", "static_configs": [{"targets": [_GATEWAY]}]}
            if access
            else job("gateway", "app=traefik", gateway_relabeling()),
        ],
    }


def manifests() -> list[dict[str, Any]]:
    """Return the account, and the Service by which pods reach the Prometheus of the host."""
    ports = (settings.PROMETHEUS_PORT, settings.PROMETHEUS_PORT)
    return [
        kubectl.namespace(NAMESPACE),
        *kubectl.service_account("prometheus", NAMESPACE, RULES),
        *kubectl.host_service("prometheus", NAMESPACE, ports, settings.PROMETHEUS_SERVICE_IP),
    ]


def prometheus() -> Daemon:
    """Describe Prometheus as a process on the host, reachable from the host and from pods, not from other machines."""
    addresses = ("127.0.0.1", settings.POD_GATEWAY)
    argv = (
        str(settings.BIN / "prometheus"),
        f"--config.file={_CONFIG}",
        f"--storage.tsdb.path={settings.STATE}/prometheus",
        "--storage.tsdb.retention.time=2d",
        *(f"--web.listen-address={address}:{settings.PROMETHEUS_PORT}" for address in addresses),
    )
    ready = f"{settings.PROMETHEUS_URL}/-/ready"
    return Daemon("prometheus", argv, ready=lambda: answers(ready), inputs=(_CONFIG,))


def ensure_running() -> None:
    """Start Prometheus; the manifests are applied already."""
    access = {
        "api_server": settings.API_URL,
        "authorization": {"credentials_file": str(kubectl.save_token("prometheus", NAMESPACE))},
        "tls_config": {"ca_file": str(pki.certificate("ca"))},
    }
    write_file(_CONFIG, yaml.safe_dump(scrape_config(access), sort_keys=False))
    ensure(prometheus())
