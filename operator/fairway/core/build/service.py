"""The entry Service of a ModelDeployment and the Service of each revision."""

from typing import Any

from fairway.core import names
from fairway.core.build.common import Owner, metadata

_APP_PROTOCOL = {"grpc": "kubernetes.io/h2c"}


def _service(meta: dict[str, Any], selector: dict[str, str], port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "type": "ClusterIP",
            "selector": selector,
            "ports": [{"name": "http", "port": names.SERVICE_PORT, "targetPort": port, "protocol": "TCP"}],
        },
    }


def revision_service(owner: Owner, revision: str, version: str, port: int) -> dict[str, Any]:
    """The Service of one revision: its selector never changes."""
    meta = metadata(owner, names.child(owner.name, revision), revision, version)
    return _service(meta, {names.OWNER: owner.uid, names.REVISION: revision}, port)


def entry_service(owner: Owner, revision: str | None, port: int) -> dict[str, Any]:
    """The Service under the ModelDeployment's own name: in-cluster callers get stable.

    ``revision`` None selects every pod of the ModelDeployment: the split by replica share without a gateway.
    """
    selector = {names.OWNER: owner.uid} | ({names.REVISION: revision} if revision else {})
    return _service(metadata(owner, owner.name), selector, port)
