"""The object that the demo applies, version after version."""

from collections.abc import Mapping
from typing import Any

from tests.demo import acts

Manifest = dict[str, Any]

LABEL = "fairway.dev/demo"


def namespace() -> Manifest:
    """The demo's namespace, marked, so that nobody else's is ever removed."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": acts.NAMESPACE, "labels": {LABEL: "true"}},
    }


def model(version: str, env: Mapping[str, str] | None = None) -> Manifest:
    """The model in one version; `env` switches faults on."""
    return {
        "apiVersion": "fairway.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": acts.NAME, "namespace": acts.NAMESPACE},
        "spec": {
            "model": {"version": version},
            "runtime": _runtime(version, env or {}),
            # No CPU limit: throttling would show as latency that no version is guilty of.
            "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "400Mi"}},
            "scaling": {"replicas": 2},
            "traffic": {"hostnames": [acts.HOST]},
            "objectives": [
                {"name": "errors", "errors": {"below": acts.ERRORS_BELOW}},
                {"name": "latency", "latency": {"percentile": 95, "below": acts.LATENCY_BELOW}},
            ],
            "rollout": {
                "steps": [{"weight": weight, "for": acts.STEP} for weight in acts.WEIGHTS],
                "watch": {"for": acts.WATCH},
                "deadlines": {"ready": acts.READY},
            },
        },
    }


def _runtime(version: str, env: Mapping[str, str]) -> Manifest:
    variables = {"MODEL_VERSION": version, **env}
    return {
        "image": f"{acts.IMAGE}:{version}",
        "port": 8080,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "probes": {
            "startup": {"path": "/readyz"},
            "readiness": {"path": "/readyz"},
            "liveness": {"path": "/healthz"},
        },
        "metrics": {"path": "/metrics"},
    }
