"""What the API takes and what it refuses, as the API server and the models must both see it."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

MINIMAL: Json = {"model": {"version": "1.0.0"}, "runtime": {"image": "registry.example/churn:1.0.0", "port": 8080}}
OWNER: Json = {"label": "service", "value": "$namespace-$name-$revision-.*"}
FULL: Json = {
    "model": {
        "name": "churn",
        "version": "2.1.0-rc.1+build.7",
        "uri": "https://models.example/churn/2.1.0.tar?download=1",
        "digest": f"sha256:{'0' * 64}",
        "mountPath": "/mnt/models",
        "credentials": {"secretName": "models.example"},
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
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "fsGroup": 1000,
            "readOnlyRootFilesystem": True,
        },
        "drain": {"delay": "20s", "grace": "2m"},
        "podTemplate": {
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
            "nodeSelector": {"pool": "gpu"},
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
            ],
            "priorityClassName": "serving",
            "runtimeClassName": "nvidia",
            "imagePullSecrets": ["registry.example"],
            "volumes": [
                {"name": "labels", "mountPath": "/etc/labels", "configMap": "churn-labels"},
                {"name": "key", "mountPath": "/etc/key", "secret": "churn.key"},
                {"name": "features", "mountPath": "/mnt/features", "claim": "features"},
                {"name": "shm", "mountPath": "/dev/shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            ],
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
        {"name": "drift", "query": "max(prediction_drift{$selector})", "below": "0.2", "provider": "drift"},
        {"name": "fairness", "template": "parity", "above": "-0.05", "dryRun": False},
    ],
    "rollout": {
        "steps": [
            {"weight": 5, "for": "2m"},
            {"weight": 25, "for": "1h30m", "replicas": 2},
            {"approval": "risk-review", "approvers": ["jane@example.com", "risk-team"], "timeout": "24h"},
            {"weight": 50},
        ],
        "deadlines": {"schedule": "15m", "pull": "2m", "ready": "30m"},
        "watch": {"for": "30m", "keep": "50%", "onBreach": "Rollback"},
        "onRegression": "Rollback",
        "onUndecided": {"after": "15m", "then": "Pause"},
        "fastReturn": 3,
    },
    "history": {"revisions": 10},
    "paused": False,
    "state": "Active",
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


def plan(*found: Json) -> Json:
    return {"rollout": {"steps": list(found)}}


def series(**fields: Any) -> Json:
    """The example, with these series in its runtime."""
    return {"runtime": MINIMAL["runtime"] | {"metrics": {"series": fields}}}


def model(**rest: Any) -> Json:
    return {"model": {"version": "1.0.0"} | rest}


def runtime(**rest: Any) -> Json:
    return {"runtime": MINIMAL["runtime"] | rest}


def volumes(*found: Json) -> Json:
    return runtime(podTemplate={"volumes": list(found)})


def rollout(**rest: Any) -> Json:
    return {"rollout": rest}


def errors(below: str, name: str = "errors", **rest: Any) -> Json:
    return {"name": name, "errors": {"below": below}} | rest


def query(promql: str = "max(drift{$selector})", **rest: Any) -> Json:
    return objectives({"name": "drift", "query": promql} | rest)


GATEWAY = {"name": "models"}
LATENCY = {"percentile": 99, "below": "50ms"}
PERCENTAGE = "a percentage is at most 100%"
AUTOSCALED = "an autoscaler of ours owns the size"
PINNED = f"sha256:{'a' * 64}"
SCRATCH: Json = {"name": "scratch", "mountPath": "/scratch", "emptyDir": {}}
REVIEW: Json = {"approval": "review"}

ACCEPTED = (
    Accepted("the smallest"),
    Accepted("every field", FULL),
    Accepted("a name of 40 characters", name="c" * 40),
    Accepted("a name with digits and dashes", name="churn-v2"),
    Accepted("a pre-release", {"model": {"version": "1.0.0-rc.1"}}),
    Accepted("a runtime by name", {"runtime": {"name": "mlserver"}}),
    Accepted("a runtime by name with an image", {"runtime": {"name": "mlserver", "image": "registry.example/x:1"}}),
    Accepted("a runtime by format", {"runtime": {}} | model(format={"name": "sklearn"})),
    Accepted("a runtime by format with a port", {"runtime": {"port": 8080}} | model(format={"name": "sklearn"})),
    Accepted("two variables", runtime(env=[{"name": "A"}, {"name": "B"}])),
    Accepted("a model at https", model(uri="https://models.example:8443/a/@b/c.onnx?v=1", digest=PINNED)),
    Accepted("a model with a token", model(uri="https://models.example/a", credentials={"secretName": "token"})),
    Accepted("an image volume", model(uri="oci://registry.example:5000/models/churn:2.1.0")),
    Accepted("an image volume by digest", model(uri=f"oci://registry.example/churn:2.1.0@{PINNED}")),
    Accepted("a claim", model(uri="pvc://models")),
    Accepted("a directory in a claim", model(uri="pvc://models/churn/2.1.0/", digest=PINNED)),
    Accepted("a hidden directory in a claim", model(uri="pvc://models/.cache/a..b")),
    Accepted("a delay as long as the grace", runtime(drain={"delay": "1m30s", "grace": "90s"})),
    Accepted("a delay within the default grace", runtime(drain={"delay": "90s"})),
    Accepted("a grace with the default delay", runtime(drain={"grace": "10s"})),
    Accepted("no delay", runtime(drain={"delay": "0s"})),
    Accepted("a volume", volumes(SCRATCH)),
    Accepted("two volumes", volumes(SCRATCH, {"name": "shm", "mountPath": "/dev/shm", "emptyDir": {}})),
    Accepted("a patient start", runtime(probes={"startup": {"timeout": "1s"}})),
    Accepted("quantities", {"resources": {"requests": {"cpu": "0.5", "memory": "1.5Gi", "gpu.example/x": 1}}}),
    Accepted("replicas", {"scaling": {"replicas": 3}}),
    Accepted("bounds that are equal", {"scaling": {"minReplicas": 3, "maxReplicas": 3}}),
    Accepted("an upper bound alone", {"scaling": {"maxReplicas": 3}}),
    Accepted("another autoscaler", {"scaling": {"external": True, "replicas": 2}}),
    Accepted("no other autoscaler", {"scaling": {"external": False, "maxReplicas": 2}}),
    Accepted("metrics and behavior", {"scaling": {"maxReplicas": 3, "metrics": [], "behavior": {}}}),
    Accepted("a gateway with a host", {"traffic": {"gateway": GATEWAY, "hostnames": ["churn.example"]}}),
    Accepted("a gateway with a path", {"traffic": {"gateway": GATEWAY, "path": "/churn"}}),
    Accepted("a path without a gateway", {"traffic": {"path": "/"}}),
    Accepted("all of them may fail", objectives(errors("100%"))),
    Accepted("failed by a second counter", series(requests={"metric": "m", "failed": {"metric": "f", "apart": True}})),
    Accepted("failed if not good", series(requests={"metric": "m", "succeeded": {"metric": "s"}})),
    Accepted("a fine percentage", objectives(errors("099.999999%"))),
    Accepted("one of each", objectives(errors("1%"), {"name": "latency", "latency": LATENCY})),
    Accepted("relative to stable", objectives(errors("1%", relativeToStable={"atMost": 1, "above": "100.0%"}))),
    Accepted("a query below", query(below="0.2")),
    Accepted("a query above", query(above="-1000000.5")),
    Accepted("every variable", query('x{a="$name$namespace",$selector} / y{b=~"$revision.*"}[$window]', below="1")),
    Accepted("a template", objectives({"name": "drift", "template": "drift", "below": "0"})),
    Accepted("another provider", objectives(errors("1%", provider="mimir"))),
    Accepted("weights that rise", steps(5, 25, 50)),
    Accepted("weights that stay", steps(5, 5, 25)),
    Accepted("weight 100 at the end", steps(50, 100)),
    Accepted("no steps", {"rollout": {"steps": []}}),
    Accepted("an approval first", plan(REVIEW, {"weight": 50})),
    Accepted("an approval last", plan({"weight": 50}, REVIEW)),
    Accepted("approvals alone", plan(REVIEW, {"approval": "audit"})),
    Accepted("an approval between weights", plan({"weight": 5}, REVIEW, {"weight": 5}, {"weight": 100})),
    Accepted("an approval of some", plan(REVIEW | {"approvers": ["risk"], "timeout": "1s"}, {"weight": 5})),
    Accepted("one is kept", rollout(watch={"keep": "0%"})),
    Accepted("decided at once", rollout(onUndecided={"after": "0s", "then": "Promote"}, fastReturn=0)),
    Accepted("the shortest deadlines", rollout(deadlines={"schedule": "1s", "pull": "1s", "ready": "1s"})),
    Accepted("paused", {"paused": True}),
    Accepted("suspended", {"state": "Suspended"}),
    Accepted("no wait", {"rollout": {"steps": [{"weight": 5, "for": "0s"}], "watch": {"for": "1h30m10s"}}}),
)

REFUSED = (
    Refused("not semver", "spec.model.version", "should match", {"model": {"version": "1.0"}}),
    Refused("a leading zero", "spec.model.version", "should match", {"model": {"version": "1.02.0"}}),
    Refused("no runtime at all", "spec.runtime.name", "name a ModelRuntime", {"runtime": {"port": 8080}}),
    Refused("no port", "spec.runtime.port", "the port of the model server", {"runtime": {"image": "x"}}),
    Refused(
        "a variable twice",
        "spec.runtime.env",
        'duplicate entries for key [name="A"]',
        {"runtime": MINIMAL["runtime"] | {"env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]}},
    ),
    Refused(
        "requests of others",
        "spec.runtime.metrics.series.revisionMatcher",
        "only a ModelRuntime may have it",
        series(revisionMatcher=OWNER),
    ),
    Refused(
        "requests of everybody",
        "spec.runtime.metrics.series.revisionMatcher.value",
        "$namespace, $name and $revision are needed",
        series(revisionMatcher=OWNER | {"value": "$name-$revision"}),
    ),
    Refused(
        "failed in two ways",
        "spec.runtime.metrics.series.requests",
        "in one way which requests failed",
        series(requests={"metric": "m", "failed": {"metric": "f"}, "succeeded": {"metric": "s"}}),
    ),
    Refused(
        "no port beside a format",
        "spec.runtime.port",
        "the port of the model server",
        {"runtime": {"image": "x"}} | model(format={"name": "sklearn"}),
    ),
    Refused("a scheme that nothing fetches", "spec.model.uri", "model.uri is https://", model(uri="s3://models/churn")),
    Refused("user and password", "spec.model.uri", "without user and password", model(uri="https://me:pw@host/x")),
    Refused("a user of a registry", "spec.model.uri", "without user and password", model(uri="oci://me@host/churn")),
    Refused("half a digest", "spec.model.uri", "model.uri is https://", model(uri="oci://host/churn@sha256:12")),
    Refused("out of the claim", "spec.model.uri", "model.uri is https://", model(uri="pvc://models/../secret")),
    Refused("a digest of nothing", "spec.model.digest", "nothing to verify", model(digest=PINNED)),
    Refused(
        "a digest beside a reference",
        "spec.model.digest",
        "end model.uri with @sha256:",
        model(uri="oci://host/churn:1", digest=PINNED),
    ),
    Refused("a short digest", "spec.model.digest", "should match", model(uri="https://host/x", digest="sha256:0")),
    Refused(
        "a token for a registry",
        "spec.model.credentials",
        "for a model at https://",
        model(uri="oci://host/churn:1", credentials={"secretName": "token"}),
    ),
    Refused(
        "a token for nothing",
        "spec.model.credentials",
        "for a model at https://",
        model(credentials={"secretName": "token"}),
    ),
    Refused("the root as directory", "spec.model.mountPath", "should match", model(mountPath="/")),
    Refused(
        "a grace shorter than the delay",
        "spec.runtime.drain.grace",
        "grace includes delay",
        runtime(drain={"delay": "1m", "grace": "59s"}),
    ),
    Refused(
        "a delay longer than the default grace",
        "spec.runtime.drain.grace",
        "grace includes delay",
        runtime(drain={"delay": "1m31s"}),
    ),
    Refused("no grace", "spec.runtime.drain.grace", "more than zero", runtime(drain={"delay": "0s", "grace": "0s"})),
    Refused(
        "no time to start",
        "spec.runtime.probes.startup.timeout",
        "more than zero",
        runtime(probes={"startup": {"timeout": "0s"}}),
    ),
    Refused(
        "a server that runs as root",
        "spec.runtime.securityContext.runAsUser",
        "greater than or equal to 1",
        runtime(securityContext={"runAsUser": 0}),
    ),
    Refused(
        "a volume of nothing",
        "spec.runtime.podTemplate.volumes[0]",
        "exactly one of configMap",
        volumes({"name": "nothing", "mountPath": "/nothing"}),
    ),
    Refused(
        "a volume of two kinds",
        "spec.runtime.podTemplate.volumes[1]",
        "exactly one of configMap",
        volumes(SCRATCH, {"name": "two", "mountPath": "/two", "claim": "a", "secret": "b"}),
    ),
    Refused(
        "a volume twice",
        "spec.runtime.podTemplate.volumes",
        "duplicate entries for key",
        volumes(SCRATCH, SCRATCH | {"mountPath": "/other"}),
    ),
    Refused(
        "two volumes in one place",
        "spec.runtime.podTemplate.volumes",
        "the mount paths of the volumes must differ",
        volumes(SCRATCH, SCRATCH | {"name": "other"}),
    ),
    Refused(
        "the network of the host",
        "spec.runtime.podTemplate.hostNetwork",
        "not declared in schema",
        runtime(podTemplate={"hostNetwork": True}),
    ),
    Refused(
        "a negative number",
        "spec.resources.limits.cpu",
        "greater than or equal to 0",
        {"resources": {"limits": {"cpu": -1}}},
    ),
    Refused(
        "a negative quantity",
        "spec.resources.limits.memory",
        "should match",
        {"resources": {"limits": {"memory": "-1Gi"}}},
    ),
    Refused("port 0", "spec.runtime.port", "greater than or equal to 1", {"runtime": {"image": "x", "port": 0}}),
    Refused(
        "replicas and a bound",
        "spec.scaling.replicas",
        AUTOSCALED,
        {"scaling": {"replicas": 2, "maxReplicas": 3}},
    ),
    Refused(
        "replicas and both bounds",
        "spec.scaling.replicas",
        AUTOSCALED,
        {"scaling": {"replicas": 2, "minReplicas": 1, "maxReplicas": 3}},
    ),
    Refused("no upper bound", "spec.scaling.maxReplicas", "minReplicas needs", {"scaling": {"minReplicas": 2}}),
    Refused(
        "bounds the wrong way round",
        "spec.scaling.minReplicas",
        "must not exceed maxReplicas",
        {"scaling": {"minReplicas": 4, "maxReplicas": 3}},
    ),
    Refused(
        "two autoscalers",
        "spec.scaling.external",
        AUTOSCALED,
        {"scaling": {"external": True, "minReplicas": 1, "maxReplicas": 3}},
    ),
    Refused(
        "another autoscaler without a size to start with",
        "spec.scaling.replicas",
        "the size to start with",
        {"scaling": {"external": True}},
    ),
    Refused(
        "metrics without an autoscaler",
        "spec.scaling.metrics",
        "metrics are for an autoscaler",
        {"scaling": {"replicas": 2, "metrics": []}},
    ),
    Refused(
        "behavior without an autoscaler",
        "spec.scaling.behavior",
        "behavior is for an autoscaler",
        {"scaling": {"behavior": {}}},
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
        "exactly one of errors, latency, query and template",
        objectives(errors("1%", latency=LATENCY)),
    ),
    Refused(
        "an objective of no kind",
        "spec.objectives[1]",
        "exactly one of errors, latency, query and template",
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
    Refused("a query without a bound", "spec.objectives[0].below", "exactly one of below and above", query()),
    Refused(
        "a query with two bounds",
        "spec.objectives[0].below",
        "exactly one of below and above",
        query(below="1", above="0"),
    ),
    Refused(
        "a query with an unknown variable",
        "spec.objectives[0].query",
        "the variables of a query are",
        query("max(drift{$selectors})", below="1"),
    ),
    Refused(
        "a query with a bare dollar sign",
        "spec.objectives[0].query",
        "the variables of a query are",
        query('max(drift{path=~"^/x$"})', below="1"),
    ),
    Refused("a bound that is no number", "spec.objectives[0].below", "should match", query(below="1e3")),
    Refused("an empty query", "spec.objectives[0].query", "at least 1 char", query("", below="1")),
    Refused(
        "a second bound for errors",
        "spec.objectives[0].below",
        "below and above are for a query",
        objectives(errors("1%") | {"below": "1"}),
    ),
    Refused(
        "a query relative to stable",
        "spec.objectives[0].relativeToStable",
        "relativeToStable is for errors and latency",
        query(below="1", relativeToStable={"atMost": 2}),
    ),
    Refused(
        "a query that counts requests",
        "spec.objectives[0].minRequests",
        "minRequests is for errors and latency",
        query(below="1", minRequests=10),
    ),
    Refused(
        "an address for a provider",
        "spec.objectives[0].provider",
        "should match",
        objectives(errors("1%", provider="http://169.254.169.254")),
    ),
    Refused(
        "percentile 100",
        "spec.objectives[0].latency.percentile",
        "should be less than 100",
        objectives({"name": "latency", "latency": {"percentile": 100, "below": "1s"}}),
    ),
    Refused(
        "no time to answer",
        "spec.objectives[0].latency.below",
        "more than zero",
        objectives({"name": "latency", "latency": {"percentile": 99, "below": "0.0ms"}}),
    ),
    Refused("a step of no kind", "spec.rollout.steps[1]", "exactly one of weight", plan({"weight": 5}, {"for": "2m"})),
    Refused("a step of two kinds", "spec.rollout.steps[0]", "exactly one of weight", plan(REVIEW | {"weight": 5})),
    Refused(
        "an approval that is observed", "spec.rollout.steps[0].for", "for belongs to", plan(REVIEW | {"for": "2m"})
    ),
    Refused(
        "an approval with replicas",
        "spec.rollout.steps[0].replicas",
        "replicas belongs to",
        plan(REVIEW | {"replicas": 2}),
    ),
    Refused(
        "approvers of a weight",
        "spec.rollout.steps[0].approvers",
        "approvers belongs to",
        plan({"weight": 5, "approvers": ["jane"]}),
    ),
    Refused(
        "a weight that times out",
        "spec.rollout.steps[0].timeout",
        "timeout belongs to",
        plan({"weight": 5, "timeout": "1h"}),
    ),
    Refused(
        "an approval of nobody", "spec.rollout.steps[0].approvers", "at least 1 items", plan(REVIEW | {"approvers": []})
    ),
    Refused("no time to approve", "spec.rollout.steps[0].timeout", "more than zero", plan(REVIEW | {"timeout": "0s"})),
    Refused("an approval twice", "spec.rollout.steps", "names of the approvals", plan(REVIEW, {"weight": 5}, REVIEW)),
    Refused("an approval at 100", "spec.rollout.steps", "may only be the last", plan({"weight": 100}, REVIEW)),
    Refused(
        "weights that fall over an approval",
        "spec.rollout.steps",
        "must not fall",
        plan({"weight": 50}, REVIEW, {"weight": 25}),
    ),
    Refused("more than all is kept", "spec.rollout.watch.keep", PERCENTAGE, rollout(watch={"keep": "101%"})),
    Refused("no schedule", "spec.rollout.deadlines.schedule", "more than zero", rollout(deadlines={"schedule": "0s"})),
    Refused("no pull", "spec.rollout.deadlines.pull", "more than zero", rollout(deadlines={"pull": "0m"})),
    Refused("no ready", "spec.rollout.deadlines.ready", "more than zero", rollout(deadlines={"ready": "0h0m"})),
    Refused("a state that is none", "spec.state", "Unsupported value", {"state": "Retired"}),
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
