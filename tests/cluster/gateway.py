"""The data plane: Traefik on the host, following Gateway API objects with no more rights than that takes."""

from __future__ import annotations

from typing import Any

import yaml

from . import binaries, kubectl, pki, settings
from .health import answers
from .processes import Daemon, ensure
from .shell import ClusterError, wait_for, write_file

NAMESPACE = "gateways"
_GROUP = "gateway.networking.k8s.io"
_CONFIG = settings.CONFIG / "traefik.yml"
_READ = ["get", "list", "watch"]
_ROUTES = ["gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "backendtlspolicies"]

RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["namespaces", "services", "secrets", "configmaps"], "verbs": _READ},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
    {"apiGroups": [_GROUP], "resources": [*_ROUTES, "referencegrants"], "verbs": _READ},
    {"apiGroups": [_GROUP], "resources": [f"{name}/status" for name in _ROUTES], "verbs": ["update"]},
]


def gateway_class() -> dict[str, Any]:
    """Describe the class Traefik answers for."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "traefik"},
        "spec": {"controllerName": "traefik.io/gateway-controller"},
    }


def gateway() -> dict[str, Any]:
    """Describe the Gateway `models`: one HTTP listener that routes of every namespace may join."""
    listener = {
        "name": "http",
        "protocol": "HTTP",
        "port": settings.GATEWAY_PORT,
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Gateway",
        "metadata": {"name": "models", "namespace": NAMESPACE},
        "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
    }


def static_config(provider: dict[str, Any], admin: str) -> dict[str, Any]:
    """Build Traefik's static configuration; `provider` says how to reach the API server."""
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "INFO", "noColor": True},
        "entryPoints": {"web": {"address": f":{settings.GATEWAY_PORT}"}, "admin": {"address": admin}},
        "ping": {"entryPoint": "admin"},
        "metrics": {"prometheus": {"entryPoint": "admin"}},
        # Traefik's default, spelled out: route changes take effect up to 2 s late, as in real clusters.
        "providers": {"providersThrottleDuration": "2s", "kubernetesGateway": provider},
    }


def traefik() -> Daemon:
    """Describe Traefik as a process on the host."""
    argv = (str(binaries.program("traefik")), f"--configFile={_CONFIG}")
    admin = f"http://127.0.0.1:{settings.TRAEFIK_ADMIN_PORT}/ping"
    return Daemon("traefik", argv, ready=lambda: answers(admin), inputs=(_CONFIG,))


def manifests() -> list[dict[str, Any]]:
    """Return all objects of the data plane."""
    account = kubectl.service_account("traefik", NAMESPACE, RULES)
    return [kubectl.namespace(NAMESPACE), *account, gateway_class(), gateway()]


def ensure_running() -> None:
    """Start Traefik on the host; the manifests are applied already."""
    token = kubectl.save_token("traefik", NAMESPACE)
    provider = {
        "endpoint": settings.API_URL,
        "certAuthFilePath": str(pki.certificate("ca")),
        "token": str(token),
        "statusAddress": {"ip": settings.POD_GATEWAY},
    }
    write_file(_CONFIG, yaml.safe_dump(static_config(provider, f"127.0.0.1:{settings.TRAEFIK_ADMIN_PORT}")))
    ensure(traefik())


def current() -> dict[str, Any] | None:
    """Return the Gateway as it is; by its full kind, since other APIs have a `gateway`, too."""
    return kubectl.get(f"gateways.{_GROUP}", "models", "-n", NAMESPACE)


def wait_programmed() -> None:
    """Wait until the Gateway serves; if it does not, show what is known about it."""
    try:
        wait_for(lambda: kubectl.condition(current(), "Programmed"), "Gateway gateways/models Programmed", seconds=60)
    except ClusterError as error:
        words = ("get", f"gateways.{_GROUP}", "models", "-n", NAMESPACE, "-o", "jsonpath={.status}")
        known = kubectl.kubectl(*words, check=False)
        raise ClusterError(f"{error}\n{known.stdout}{known.stderr}\nlog: {settings.LOGS}/traefik.log") from error
