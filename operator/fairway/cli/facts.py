"""What ``lint`` needs to know of the cluster; None where we may not look."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import GatewayRef
from fairway.cli.client import Manifest
from fairway.cli.errors import ApiError
from fairway.cli.foresight import GATEWAYS, Cluster, default_gateway, known_runtimes, look
from fairway.cli.manifests import Files
from fairway.cli.rights import FORBIDDEN
from fairway.cli.session import NOT_FOUND, Session, core_path, model_path
from fairway.cli.words import dig

_VERSION = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Facts:
    """One look at the cluster."""

    cluster: Cluster
    runtimes: Mapping[str, ModelRuntimeSpec] | None = None
    kubernetes: tuple[int, int] | None = None
    gateway_api: bool | None = None
    gateway: GatewayRef | None = None
    """The operator's default, where we may know it."""
    models: Sequence[Manifest] | None = None
    claims: Mapping[tuple[str, str], bool] | None = None
    """Whether PersistentVolumeClaims exist, by namespace and name."""


def gather(session: Session, files: Files) -> Facts:
    """Look at everything that a check may need."""
    cluster = look(session, files.models, offline=False)
    models = session.try_list(model_path(None))
    return Facts(
        cluster=cluster,
        runtimes=known_runtimes(cluster, files.runtimes),
        kubernetes=_kubernetes(session),
        gateway_api=_served(session, f"/apis/{GATEWAYS}"),
        gateway=default_gateway(None, cluster),
        models=session.try_list(model_path(session.namespace)) if models is None else models,
        claims=_claims(session, files),
    )


def _kubernetes(session: Session) -> tuple[int, int] | None:
    found = _VERSION.match(str((session.try_get("/version") or {}).get("gitVersion", "")))
    return (int(found[1]), int(found[2])) if found else None


def _served(session: Session, path: str) -> bool | None:
    try:
        session.client.get(path)
    except ApiError as error:
        if error.status == NOT_FOUND:
            return False
        if error.status == FORBIDDEN:
            return None
        raise
    return True


def _claims(session: Session, files: Files) -> dict[tuple[str, str], bool] | None:
    found: dict[tuple[str, str], bool] = {}
    for document in files.models:
        name = claim_of(document.content)
        if not name:
            continue
        namespace = document.namespace or session.namespace
        listed = session.try_list(core_path(namespace, "persistentvolumeclaims"))
        if listed is None:
            return None
        found[namespace, name] = name in {item["metadata"]["name"] for item in listed}
    return found


def claim_of(model: Mapping[str, Any]) -> str:
    """Return the claim of a pvc:// model; empty for another."""
    uri = dig(model, "spec.model.uri")
    return uri.removeprefix("pvc://").partition("/")[0] if isinstance(uri, str) and uri.startswith("pvc://") else ""
