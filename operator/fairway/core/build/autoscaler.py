"""The HorizontalPodAutoscaler of one revision."""

from typing import Any

from fairway.api.spec import Scaling
from fairway.core import names
from fairway.core.build.common import Owner, metadata

DEFAULT_METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
]


def autoscaler(owner: Owner, revision: str, version: str, scaling: Scaling, floor: int) -> dict[str, Any]:
    """The HPA of one revision; ``floor`` is the capacity that its weight needs right now."""
    assert scaling.max_replicas is not None
    name = names.child(owner.name, revision)
    spec: dict[str, Any] = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": min(floor, scaling.max_replicas),
        "maxReplicas": scaling.max_replicas,
        "metrics": list(scaling.metrics) if scaling.metrics else DEFAULT_METRICS,
    }
    if scaling.behavior:
        spec["behavior"] = scaling.behavior
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(owner, name, revision, version),
        "spec": spec,
    }
