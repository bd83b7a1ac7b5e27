"""The HTTPRoute of a ModelDeployment: who gets which share of the requests."""

from collections.abc import Sequence
from typing import Any

from fairway.api.spec import GatewayRef, Traffic
from fairway.core import names
from fairway.core.build.common import Owner, metadata


def http_route(
    owner: Owner, traffic: Traffic, gateway: GatewayRef, backends: Sequence[tuple[str, int]]
) -> dict[str, Any]:
    """The route with its weighted backends, (revision, weight) in a fixed order.

    Every field that the CRD would default inside an atomic list is written out, so that a compare sees no drift.
    """
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(owner, owner.name),
        "spec": {
            "parentRefs": [
                {
                    "group": "gateway.networking.k8s.io",
                    "kind": "Gateway",
                    "name": gateway.name,
                    "namespace": gateway.namespace or owner.namespace,
                }
            ],
            **({"hostnames": list(traffic.hostnames)} if traffic.hostnames else {}),
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": traffic.path or "/"}}],
                    "backendRefs": [
                        {
                            "group": "",
                            "kind": "Service",
                            "name": names.child(owner.name, revision),
                            "port": names.SERVICE_PORT,
                            "weight": weight,
                        }
                        for revision, weight in backends
                    ],
                }
            ],
        },
    }
