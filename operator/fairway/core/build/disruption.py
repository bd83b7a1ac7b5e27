"""The PodDisruptionBudget of one revision."""

from typing import Any

from fairway.core import names
from fairway.core.build.common import Owner, metadata


def disruption_budget(owner: Owner, revision: str, version: str) -> dict[str, Any]:
    """One pod at a time, and a pod that is not healthy never blocks a drain."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(owner, names.child(owner.name, revision), revision, version),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {names.OWNER: owner.uid, names.REVISION: revision}},
        },
    }
