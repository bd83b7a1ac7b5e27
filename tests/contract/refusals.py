"""What the API takes and what it refuses, as the API server and the models must both see it."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

MINIMAL: Json = {"model": {"version": "1.0.0"}, "runtime": {"image": "registry.example/churn:1.0.0", "port": 8080}}
FULL: Json = {
    "model": {
        "name": "churn",
        "version": "2.1.0-rc.1+build.7",
        "format": {"name": "sklearn", "version": "1.7"},
        "source": {"repository": "https://git.example/churn", "commit": "4f2c9d1", "run": "train-881"},
        "data": {"version": "2026-11-01", "uri": "s3://data/churn/", "digest": "sha256:00"},
        "card": {"owner": "risk-team", "license": "proprietary", "intendedUse": "churn", "metrics": {"auc": "0.91"}},
    },
    "runtime": {
        "name": "mlserver",
        "image": "registry.example/churn:2.1.0",
        "command": ["serve"],
        "args": ["--workers", "2"],
        "env": [{"name": "A", "value": "1"}, {"name": "B"}],
        "port": 8080,
        "protocol": "v2",
        "probes": {"startup": {"path": "/ready", "timeout": "5m"}, "readiness": {"path": "/ready"}, "liveness": {}},
        "metrics": {
            "port": 8082,
            "path": "/metrics",
            "series": {
                "requests": {
                    "metric": "requests_total",
                    "matchers": [{"label": "job", "value": "churn"}],
                    "failure": [{"label": "code", "op": "=~", "value": "5.."}],
                },
                "latency": {"metric": "request_duration_seconds", "unit": "s"},
            },
        },
    },
    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "1Gi", "nvidia.com/gpu": 1}},
    "scaling": {
        "minReplicas": 2,
        "maxReplicas": 20,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    },
    "traffic": {
        "gateway": {"name": "models", "namespace": "gateways"},
        "hostnames": ["churn.models.example", "*.churn.example"],
        "path": "/churn",
    },
    "objectives": [
        {"name": "errors", "errors": {"below": "1%"}, "relativeToStable": {"atMost": 1.5, "above": "0.1%"}},
        {"name": "latency", "latency": {"percentile": 99, "below": "50ms"}, "dryRun": True, "minRequests": 100},
    ],
    "rollout": {
        "steps": [{"weight": 5, "for": "2m"}, {"weight": 25, "for": "1h30m", "replicas": 2}],
        "deadlines": {"schedule": "15m", "pull": "2m", "ready": "30m"},
        "watch": {"for": "30m"},
    },
    "history": {"revisions": 10},
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """A ModelDeployment that must be taken: the smallest one and these parts."""

    why: str
    spec: Json = field(default_factory=dict)
    name: str = "churn"

    def full(self) -> Json:
        return MINIMAL | self.spec


@dataclass(frozen=True, slots=True)
class Refused:
    """A ModelDeployment that must be refused, with the field to blame and what people read."""

    why: str
    field: str
    says: str
    spec: Json = field(default_factory=dict)
    name: str = "churn"

    def full(self) -> Json:
        return MINIMAL | self.spec


def objectives(*found: Json) -> Json:
    return {"objectives": list(found)}


def steps(*weights: int) -> Json:
    return {"rollout": {"steps": [{"weight": weight} for weight in weights]}}


def errors(below: str, name: str = "errors", **rest: Any) -> Json:
    return {"name": name, "errors": {"below": below}} | rest


GATEWAY = {"name": "models"}
LATENCY = {"percentile": 99, "below": "50ms"}
PERCENTAGE = "a percentage is at most 100%"

ACCEPTED = (
    Accepted("the smallest"),
    Accepted("every field", FULL),
    Accepted("a name of 40 characters", name="c" * 40),
    Accepted("a name with digits and dashes", name="churn-v2"),
    Accepted("a pre-release", {"model": {"version": "1.0.0-rc.1"}}),
    Accepted("a runtime by name", {"runtime": {"name": "mlserver"}}),
    Accepted("a runtime by name with an image", {"runtime": {"name": "mlserver", "image": "registry.example/x:1"}}),
    Accepted("two variables", {"runtime": MINIMAL["runtime"] | {"env": [{"name": "A"}, {"name": "B"}]}}),
    Accepted("replicas", {"scaling": {"replicas": 3}}),
    Accepted("bounds that are equal", {"scaling": {"minReplicas": 3, "maxReplicas": 3}}),
    Accepted("an upper bound alone", {"scaling": {"maxReplicas": 3}}),
    Accepted("a gateway with a host", {"traffic": {"gateway": GATEWAY, "hostnames": ["churn.example"]}}),
    Accepted("a gateway with a path", {"traffic": {"gateway": GATEWAY, "path": "/churn"}}),
    Accepted("a path without a gateway", {"traffic": {"path": "/"}}),
    Accepted("all of them may fail", objectives(errors("100%"))),
    Accepted("a fine percentage", objectives(errors("099.999999%"))),
    Accepted("one of each", objectives(errors("1%"), {"name": "latency", "latency": LATENCY})),
    Accepted("relative to stable", objectives(errors("1%", relativeToStable={"atMost": 1, "above": "100.0%"}))),
    Accepted("weights that rise", steps(5, 25, 50)),
    Accepted("weights that stay", steps(5, 5, 25)),
    Accepted("weight 100 at the end", steps(50, 100)),
    Accepted("no steps", {"rollout": {"steps": []}}),
    Accepted("no wait", {"rollout": {"steps": [{"weight": 5, "for": "0s"}], "watch": {"for": "1h30m10s"}}}),
)

REFUSED = (
    Refused("not semver", "spec.model.version", "should match", {"model": {"version": "1.0"}}),
    Refused("a leading zero", "spec.model.version", "should match", {"model": {"version": "1.02.0"}}),
    Refused("no runtime at all", "spec.runtime.image", "name a ModelRuntime", {"runtime": {"port": 8080}}),
    Refused("no port", "spec.runtime.port", "the port of the model server", {"runtime": {"image": "x"}}),
    Refused(
        "a variable twice",
        "spec.runtime.env",
        'duplicate entries for key [name="A"]',
        {"runtime": MINIMAL["runtime"] | {"env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]}},
    ),
    Refused("port 0", "spec.runtime.port", "greater than or equal to 1", {"runtime": {"image": "x", "port": 0}}),
    Refused(
        "replicas and a bound",
        "spec.scaling.replicas",
        "set either replicas",
        {"scaling": {"replicas": 2, "maxReplicas": 3}},
    ),
    Refused(
        "replicas and both bounds",
        "spec.scaling.replicas",
        "set either replicas",
        {"scaling": {"replicas": 2, "minReplicas": 1, "maxReplicas": 3}},
    ),
    Refused("no upper bound", "spec.scaling.maxReplicas", "minReplicas needs", {"scaling": {"minReplicas": 2}}),
    Refused(
        "bounds the wrong way round",
        "spec.scaling.minReplicas",
        "must not exceed maxReplicas",
        {"scaling": {"minReplicas": 4, "maxReplicas": 3}},
    ),
    Refused("a gateway alone", "spec.traffic.hostnames", "a gateway needs", {"traffic": {"gateway": GATEWAY}}),
    Refused(
        "a gateway with no hosts and the whole path",
        "spec.traffic.hostnames",
        "a gateway needs",
        {"traffic": {"gateway": GATEWAY, "hostnames": [], "path": "/"}},
    ),
    Refused(
        "an objective of two kinds",
        "spec.objectives[0]",
        "exactly one of errors and latency",
        objectives(errors("1%", latency=LATENCY)),
    ),
    Refused(
        "an objective of no kind",
        "spec.objectives[1]",
        "exactly one of errors and latency",
        objectives(errors("1%"), {"name": "none"}),
    ),
    Refused("a name twice", "spec.objectives", "duplicate entries for key", objectives(errors("1%"), errors("2%"))),
    Refused("more than all", "spec.objectives[0].errors.below", PERCENTAGE, objectives(errors("100.000001%"))),
    Refused("no percentage", "spec.objectives[0].errors.below", "should match", objectives(errors("0.01"))),
    Refused(
        "relative to more than all",
        "spec.objectives[0].relativeToStable.above",
        PERCENTAGE,
        objectives(errors("1%", relativeToStable={"atMost": 2, "above": "101%"})),
    ),
    Refused(
        "percentile 100",
        "spec.objectives[0].latency.percentile",
        "should be less than 100",
        objectives({"name": "latency", "latency": {"percentile": 100, "below": "1s"}}),
    ),
    Refused("weights that fall", "spec.rollout.steps", "must not fall", steps(5, 50, 25)),
    Refused("weight 100 twice", "spec.rollout.steps", "may only be the last step", steps(50, 100, 100)),
    Refused("weight 0", "spec.rollout.steps[0].weight", "greater than or equal to 1", steps(0)),
    Refused("an empty duration", "spec.rollout.watch.for", "at least 2", {"rollout": {"watch": {"for": ""}}}),
    Refused(
        "a duration without a unit", "spec.rollout.watch.for", "should match", {"rollout": {"watch": {"for": "90"}}}
    ),
    Refused("a field that is not there", "spec.replicas", "not declared in schema", {"replicas": 2}),
)

NAMES_REFUSED = (
    Refused("a name of 41 characters", "metadata.name", "at most 40 characters", name="c" * 41),
    Refused("a digit first", "metadata.name", "a letter first", name="2churn"),
    Refused("a dot", "metadata.name", "at most 40 characters", name="churn.v2"),
)
