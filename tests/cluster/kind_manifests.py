"""What `local` runs on the host, as plain manifests for a cluster that pulls public images."""

from __future__ import annotations

from typing import Any

import yaml

from . import gateway, kubectl, metrics_server, prometheus, settings

DEPLOYMENTS = (
    (gateway.NAMESPACE, "traefik"),
    (prometheus.NAMESPACE, "prometheus"),
    (metrics_server.NAMESPACE, "metrics-server"),
)
_METRICS_SERVER_ARGS = [
    "--secure-port=10250",
    "--cert-dir=/tmp",
    "--kubelet-preferred-address-types=InternalIP",
    "--kubelet-insecure-tls",
    "--metric-resolution=10s",
    "--kubelet-request-timeout=5s",
]


def _configured(space: str, name: str, files: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": space}, "data": files}


def _deployment(space: str, name: str, container: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe one pod that is replaced, not doubled, since its port of the node exists once."""
    labels = {"app": name}
    pod = {"serviceAccountName": name, "containers": [{"name": name, **container}], "volumes": volumes}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _service(space: str, name: str, ports: tuple[int, int], cluster_ip: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"selector": {"app": name}, "ports": [{"port": ports[0], "targetPort": ports[1]}]}
    if cluster_ip:
        spec["clusterIP"] = cluster_ip
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space}, "spec": spec}


def _mounted(image: str, arguments: list[str], port: int, path: str) -> dict[str, Any]:
    return {
        "image": image,
        "args": arguments,
        "ports": [{"containerPort": port, "hostPort": port}],
        "volumeMounts": [{"name": "config", "mountPath": path}],
    }


def traefik() -> list[dict[str, Any]]:
    """Return the data plane; within a pod Traefik finds the API server by itself."""
    config = gateway.static_config({"statusAddress": {"ip": "127.0.0.1"}}, f":{settings.TRAEFIK_ADMIN_PORT}")
    container = _mounted(
        settings.TRAEFIK_IMAGE, ["--configFile=/etc/traefik/traefik.yml"], settings.GATEWAY_PORT, "/etc/traefik"
    )
    volume = {"name": "config", "configMap": {"name": "traefik"}}
    return [
        *gateway.manifests(),
        _configured(gateway.NAMESPACE, "traefik", {"traefik.yml": yaml.safe_dump(config)}),
        _deployment(gateway.NAMESPACE, "traefik", container, [volume]),
    ]


def prometheus_server() -> list[dict[str, Any]]:
    """Return Prometheus with the same scrape rules and the same address for pods as in `local`."""
    space, port = prometheus.NAMESPACE, settings.PROMETHEUS_PORT
    arguments = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
    container = _mounted(settings.PROMETHEUS_IMAGE, arguments, port, "/etc/prometheus")
    volume = {"name": "config", "configMap": {"name": "prometheus"}}
    return [
        kubectl.namespace(space),
        *kubectl.service_account("prometheus", space, prometheus.RULES),
        _configured(space, "prometheus", {"prometheus.yml": yaml.safe_dump(prometheus.scrape_config({}))}),
        _deployment(space, "prometheus", container, [volume]),
        _service(space, "prometheus", (port, port), settings.PROMETHEUS_SERVICE_IP),
    ]


def usage_metrics() -> list[dict[str, Any]]:
    """Return metrics-server for `kubectl top` and the HPA."""
    space, name = metrics_server.NAMESPACE, "metrics-server"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    container = {
        "image": settings.METRICS_SERVER_IMAGE,
        "args": _METRICS_SERVER_ARGS,
        "ports": [{"containerPort": 10250}],
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": space}},
        *metrics_server.rbac(subject),
        _deployment(space, name, container, [{"name": "scratch", "emptyDir": {}}]),
        _service(space, name, (443, 10250)),
        metrics_server.api_service({"insecureSkipTLSVerify": True}),
    ]


def everything() -> list[dict[str, Any]]:
    """Return all objects in an order in which they can be created."""
    return [*traefik(), *prometheus_server(), *usage_metrics()]
