"""What kstatus computes for a custom resource: what Flux, Helm 4, kpt and Config Sync wait for.

Source: https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md; its generic.go for the order.
"""

from typing import Any


def kstatus(model: dict[str, Any]) -> str:
    """Return Current, InProgress, Failed or Terminating."""
    meta, status = model["metadata"], model.get("status", {})
    if "deletionTimestamp" in meta:
        return "Terminating"
    if "observedGeneration" in status and status["observedGeneration"] != meta.get("generation"):
        return "InProgress"
    conditions = status.get("conditions", ())
    for condition in conditions:  # the first of the two that holds decides
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return "InProgress" if condition["type"] == "Reconciling" else "Failed"
    ready = next((condition["status"] for condition in conditions if condition["type"] == "Ready"), "True")
    return "Current" if ready == "True" else "InProgress"
