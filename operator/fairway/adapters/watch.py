"""Kopf as the watcher: every event goes to the store and the queue, nothing is ever written."""

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import kopf
from kopf._core.engines.peering import Identity

from fairway.core import names
from fairway.ports import Manifest

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

Seen = Callable[[str | None, Manifest], None]
Resource = tuple[str, str, str, str, bool]
"""Kind, group, version, plural, whether it is a child of ours."""


def build(resources: Sequence[Resource], seen: Seen) -> tuple[kopf.OperatorRegistry, kopf.OperatorSettings]:
    """Return a registry with one event handler per kind, and settings that write nothing."""
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 540
    settings.watching.client_timeout = 600
    settings.networking.request_timeout = 15
    kopf.on.login(registry=registry)(_login)
    for kind, group, version, plural, child in resources:
        selector = (group, version, plural)
        kopf.on.event(*selector, registry=registry, id=f"seen-{plural}")(_handler(kind, group, version, seen))
        if child:
            settings.watching.label_selectors[selector] = f"{names.MANAGED_BY}={names.MANAGER}"
    return registry, settings


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    return _service_account() or kopf.login_with_kubeconfig(**kwargs)


def _service_account() -> kopf.ConnectionInfo | None:
    """Log in as the pod by the address that the kubelet gives: Kopf's own way needs the cluster's DNS to work."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        return None
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    token = (ACCOUNT / "token").read_text(encoding="utf-8").strip()
    return kopf.ConnectionInfo(server=server, ca_path=ACCOUNT / "ca.crt", scheme="Bearer", token=token)


def _handler(kind: str, group: str, version: str, seen: Seen) -> Callable[..., Awaitable[None]]:
    group_version = f"{group}/{version}" if group else version

    async def handle(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002  Kopf's word
        manifest = dict(body)
        # Listed items carry neither.
        manifest.setdefault("kind", kind)
        manifest.setdefault("apiVersion", group_version)
        seen(type, manifest)

    return handle


async def run(resources: Sequence[Resource], seen: Seen, namespaces: Sequence[str], identity: str) -> None:
    """Watch until cancelled. An embedded operator that ends by itself is a reason to end the process."""
    registry, settings = build(resources, seen)
    await kopf.operator(
        registry=registry,
        settings=settings,
        standalone=True,
        # Kopf would ask the system for a user name, which a numeric user in a container does not have.
        identity=Identity(identity),
        clusterwide=not namespaces,
        namespaces=list(namespaces),
    )
