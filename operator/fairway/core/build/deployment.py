"""The Deployment of one revision, and the pod template that its record keeps."""

from typing import Any

from fairway.api.spec import ModelDeploymentSpec
from fairway.core import names
from fairway.core.build import overlay
from fairway.core.build.common import Owner, metadata
from fairway.core.build.model import Parts, Place, parts
from fairway.core.revision import Record, Server

PROBE_PERIOD = 5


def pod_template(
    owner: Owner, spec: ModelDeploymentSpec, revision: str, server: Server, place: Place | None = None
) -> dict[str, Any]:
    """Render the pod template of a new revision. It is recorded, and never rendered again for this revision.

    Raises Unresolved for a model source or an overlay that cannot work.
    """
    asked = spec.runtime.pod_template
    model = parts(spec.model, place or Place(), server.env)
    own, mounts = overlay.volumes(asked)
    overlay.require_free([*model.volumes, *own], "name")
    overlay.require_free([*model.mounts, *mounts], "mountPath")
    return {
        "metadata": {
            "labels": {
                names.MANAGED_BY: names.MANAGER,
                names.NAME: owner.name,
                names.OWNER: owner.uid,
                names.REVISION: revision,
                names.VERSION: names.label_value(spec.model.version),
            },
            "annotations": {
                **overlay.annotations(asked),
                names.SCRAPE_PORT: str(server.metrics_port),
                names.SCRAPE_PATH: server.metrics_path,
            },
        },
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": overlay.drain(spec.runtime.drain)[1],
            "securityContext": {**_security(server, _OF_THE_POD), "seccompProfile": {"type": "RuntimeDefault"}},
            **overlay.pod_fields(asked, _selector(owner, revision)),
            **_containers(spec, server, model, [*model.mounts, *mounts]),
            **_unless_empty(volumes=[*model.volumes, *own]),
        },
    }


def _containers(
    spec: ModelDeploymentSpec, server: Server, model: Parts, mounts: list[dict[str, Any]]
) -> dict[str, Any]:
    container = {**_container(spec, server), **_unless_empty(volumeMounts=mounts)}
    return {**_unless_empty(initContainers=list(model.init_containers)), "containers": [container]}


def _container(spec: ModelDeploymentSpec, server: Server) -> dict[str, Any]:
    delay, _ = overlay.drain(spec.runtime.drain)
    container: dict[str, Any] = {
        "name": "model",
        "image": server.image,
        "ports": [{"name": "model", "containerPort": server.port, "protocol": "TCP"}],
        "env": [{"name": name, "value": value} if value else {"name": name} for name, value in server.env],
        "resources": _resources(spec),
        "securityContext": {
            **_security(server, _OF_THE_CONTAINER),
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        **_probes(server),
    }
    if delay:  # a sleep of 0 seconds is an error before Kubernetes 1.34
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": delay}}}
    if server.command:
        container["command"] = list(server.command)
    if server.args:
        container["args"] = list(server.args)
    return container


_OF_THE_POD = {"fs_group"}
_OF_THE_CONTAINER = {"run_as_non_root", "run_as_user", "run_as_group", "read_only_root_filesystem"}
"""What is said of the container is not said of the one that fetches the model, which has its own."""


def _security(server: Server, fields: set[str]) -> dict[str, Any]:
    return server.security.model_dump(mode="json", by_alias=True, exclude_none=True, include=fields)


def _unless_empty(**lists: list[dict[str, Any]]) -> dict[str, Any]:
    """Name a list only where it has items: the API server drops empty ones, and a compare would see a drift."""
    return {name: items for name, items in lists.items() if items}


def _selector(owner: Owner, revision: str) -> dict[str, str]:
    return {names.OWNER: owner.uid, names.REVISION: revision}


def _resources(spec: ModelDeploymentSpec) -> dict[str, Any]:
    return spec.resources.model_dump(mode="json", by_alias=True, exclude_none=True) if spec.resources else {}


def _probes(server: Server) -> dict[str, Any]:
    def ask(path: str | None) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": "model"}} if path else {"tcpSocket": {"port": "model"}}

    # The startup probe is as quick as the start of a light model and as patient as that of a heavy one.
    tries = max(1, round(server.startup_timeout))
    probes = {
        "startupProbe": {
            **ask(server.startup_path),
            "periodSeconds": 1,
            "failureThreshold": tries,
            "timeoutSeconds": 1,
        },
        "readinessProbe": {
            **ask(server.readiness_path),
            # A process that ends is unready at once. One that is busy answers late, and its requests would go to the
            # others, which then are late, too.
            "periodSeconds": PROBE_PERIOD,
            "failureThreshold": 3,
            "timeoutSeconds": 5,
        },
    }
    if server.liveness:
        probes["livenessProbe"] = {
            **ask(server.liveness_path),
            "periodSeconds": 2 * PROBE_PERIOD,
            "failureThreshold": 3,
            "timeoutSeconds": 5,
        }
    return probes


def deployment(owner: Owner, record: Record, restarted_at: str | None = None) -> dict[str, Any]:
    """The Deployment of a recorded revision, without replicas: those have an owner of their own."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(owner, names.child(owner.name, record.revision), record.revision, record.version),
        "spec": {
            "selector": {"matchLabels": _selector(owner, record.revision)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "revisionHistoryLimit": 1,
            "template": _restarted(record.template, restarted_at) if restarted_at else record.template,
        },
    }


def _restarted(template: dict[str, Any], at: str) -> dict[str, Any]:
    """Mark the pods as those of a restart: another template to Kubernetes, the same revision to us."""
    meta = template["metadata"]
    return {**template, "metadata": {**meta, "annotations": {**meta.get("annotations", {}), names.RESTARTED_AT: at}}}
