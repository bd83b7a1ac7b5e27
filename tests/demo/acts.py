"""The play: which versions are asked for, what is wrong with them, and how each must end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Fault = Literal["errors", "latency"]
Ending = Literal["Promoted", "RolledBack"]

NAME = "churn"
NAMESPACE = "demo"
# A name of its own: a second route with the same one, say that of a model somebody tries out, would take our requests.
HOST = "churn.demo.example"
IMAGE = "registry.example/churn"

FIRST = "1.0.0"
RATE = 120.0  # requests a second
ERRORS_BELOW = "2%"
LATENCY_LIMIT = 0.1  # seconds; slower answers break the promise
LATENCY_BELOW = "100ms"
WEIGHTS = (5, 25, 50)
STEP = "15s"
WATCH = "30s"
# For images that cannot be pulled: no registry answers here, and whether that is for good nobody can know.
READY = "40s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One version: what is told about it, how it misbehaves, and how it has to end within so many seconds."""

    version: str
    heading: str
    ending: Ending
    seconds: float
    blamed: str
    """What the operator's reason has to name."""
    fault: Fault | None = None
    env: Mapping[str, str] = field(default_factory=dict)


ACTS = (
    Act(
        version="1.1.0",
        heading="1.1.0 is a good version",
        ending="Promoted",
        seconds=240,
        blamed="Healthy",
    ),
    Act(
        version="1.2.0",
        heading="1.2.0 fails half of its requests",
        ending="RolledBack",
        seconds=120,
        blamed="errors",
        fault="errors",
        env={"FAULT_ERROR_SHARE": "0.5"},
    ),
    Act(
        version="1.3.0",
        heading="1.3.0 answers correctly, but takes 250 ms more",
        ending="RolledBack",
        seconds=180,
        blamed="latency",
        fault="latency",
        env={"FAULT_LATENCY": "0.25"},
    ),
    Act(
        version="1.4.0",
        heading="1.4.0 has an image that does not exist",
        ending="RolledBack",
        seconds=120,
        blamed="NotReadyInTime",
    ),
)
"""1.4.0's image is the only one that nobody built."""
