"""What the tests declare: two model servers, of which one is the example's and the other is light."""

from typing import Any

IMAGE = "registry.example/churn"
STANDIN = "registry.example/standin"

ONE: dict[str, Any] = {"scaling": {"replicas": 1}}
"""For tests that are not about capacity: starting pods is most of the work that they make."""


def standin(version: str, **spec: Any) -> dict[str, Any]:
    """The spec of a model of which the test asks little: its server starts in a tenth of the example's time."""
    made = model(version, **spec)
    return {**made, "runtime": {**made["runtime"], "image": f"{STANDIN}:1.0.0"}}


def model(version: str, *, env: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """The spec of the example model, for tests that load it; ``env`` are its switches.

    Most of its start would be the import of scikit-learn; S1, the idle model and the demo pay for it.
    """
    variables = {"MODEL_VERSION": version, "MODEL_FORMAT": "json", **(env or {})}
    return {
        "model": {"version": version, "source": {"commit": "4f2c9d1"}},
        "runtime": {
            "image": f"{IMAGE}:1.0.0",
            "port": 8080,
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "probes": {"startup": {"path": "/readyz"}, "readiness": {"path": "/readyz"}},
        },
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "scaling": {"replicas": 2},
        **spec,
    }
