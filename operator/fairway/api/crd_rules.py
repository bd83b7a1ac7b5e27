"""What one object can tell about itself, in CEL: the API server says it before the operator has to.

Each rule has a twin in the validators of the models, for objects stored under an older CRD. What
needs a second object (does the ModelRuntime exist?) or a cluster (can the router do it?) is no rule
but a condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from fairway.api.rollout import Deadlines, Rollout, Step, Watch
from fairway.api.runtime import (
    ADMINS_ONLY,
    ONE_WAY,
    REVISION_VARIABLES,
    UNBOUND,
    ModelRuntimeSpec,
    RequestSeries,
    RevisionMatcher,
    StartupProbe,
)
from fairway.api.serving import DRAIN_DEFAULTS, URI_FORM, Drain, Model, PodOverlay, Runtime, Volume
from fairway.api.spec import (
    AUTOSCALED,
    NO_BOUND,
    NO_SERVER,
    NO_VARIABLE,
    ONE_BOUND,
    ONE_KIND,
    QUERY,
    Errors,
    LatencyObjective,
    ModelDeploymentSpec,
    Objective,
    Relative,
    Scaling,
    Traffic,
)
from fairway.api.types import DNS_LABEL, MODEL_URI, NAME_LENGTH, OBJECT_NAME, PERCENT, POSITIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One CEL expression over ``self`` that must be true, and what people read when it is not.

    ``field`` is the part of ``self`` to blame, such as ``.minReplicas``; ``missing`` says that it is
    not there. Messages are plain text: one that quoted a list would exceed the cost that the API
    server allows, because it takes every number that is written as a string for an endless one.
    """

    expression: str
    message: str
    field: str = ""
    missing: bool = False

    def manifest(self) -> dict[str, str]:
        """Write the rule as an entry of ``x-kubernetes-validations``."""
        entry = {"rule": self.expression, "message": self.message}
        if self.missing:
            entry["reason"] = "FieldValueRequired"
        if self.field:
            entry["fieldPath"] = self.field
        return entry


def _percent(field: str, *, optional: bool = False) -> Rule:
    # What is no percentage at all is refused by the pattern; converting it here would only add noise.
    inside = f"!self.{field}.matches(r'{PERCENT}') || double(self.{field}.replace('%', '')) <= 100.0"
    return Rule(
        expression=f"!has(self.{field}) || {inside}" if optional else inside,
        message="a percentage is at most 100%",
        field=f".{field}",
    )


def _positive(field: str, *, optional: bool = True) -> Rule:
    # Durations and latencies are more than zero when one of their digits is: no need to parse them.
    inside = f"self.{field}.matches('[1-9]')"
    return Rule(
        expression=f"!has(self.{field}) || {inside}" if optional else inside, message=POSITIVE, field=f".{field}"
    )


def _only_with(field: str, other: str, message: str) -> Rule:
    word = f"__{field}__" if field == "for" else field  # a word of the language is written in its own way
    return Rule(expression=f"!has(self.{word}) || has(self.{other})", message=message, field=f".{field}")


def _only_of_counts(field: str) -> Rule:
    return Rule(
        expression=f"!has(self.{field}) || has(self.errors) || has(self.latency)",
        message=f"{field} is for errors and latency, which count requests",
        field=f".{field}",
    )


RULES: Mapping[type[BaseModel], Sequence[Rule]] = {
    ModelDeploymentSpec: (
        Rule(
            expression="has(self.runtime.name) || has(self.runtime.image) || has(self.model.format)",
            message=NO_SERVER,
            field=".runtime.name",
            missing=True,
        ),
    ),
    Model: (
        Rule(expression=f"!has(self.uri) || self.uri.matches(r'{MODEL_URI}')", message=URI_FORM, field=".uri"),
        Rule(
            expression="!has(self.digest) || has(self.uri)",
            message="there is nothing to verify without uri; an image is pinned in runtime.image",
            field=".digest",
        ),
        Rule(
            expression="!has(self.digest) || !has(self.uri) || !self.uri.startsWith('oci://')",
            message="an oci:// model is pinned in its reference: end model.uri with @sha256:...",
            field=".digest",
        ),
        Rule(
            expression="!has(self.credentials) || (has(self.uri) && self.uri.startsWith('https://'))",
            message=(
                "they are for a model at https://; a registry's are in runtime.podTemplate.imagePullSecrets, "
                "and a claim has none"
            ),
            field=".credentials",
        ),
    ),
    Runtime: (
        Rule(
            expression="has(self.name) || !has(self.image) || has(self.port)",
            message="without a ModelRuntime the port of the model server must be given",
            field=".port",
            missing=True,
        ),
        Rule(
            expression="!has(self.metrics) || !has(self.metrics.series) || !has(self.metrics.series.revisionMatcher)",
            message=ADMINS_ONLY,
            field=".metrics.series.revisionMatcher",
        ),
    ),
    RequestSeries: (
        Rule(
            expression=(
                "(has(self.failure) && size(self.failure) > 0 ? 1 : 0) + (has(self.failed) ? 1 : 0) "
                "+ (has(self.succeeded) ? 1 : 0) <= 1"
            ),
            message=ONE_WAY,
        ),
    ),
    RevisionMatcher: (
        Rule(
            expression=" && ".join(f"self.value.contains('${name}')" for name in REVISION_VARIABLES),
            message=UNBOUND,
            field=".value",
        ),
    ),
    StartupProbe: (_positive("timeout"),),
    Drain: (
        _positive("grace"),
        Rule(
            expression=(
                "duration(has(self.grace) ? self.grace : '90s') >= duration(has(self.delay) ? self.delay : '10s')"
            ),
            message=f"grace includes delay and must not be shorter; {DRAIN_DEFAULTS}",
            field=".grace",
        ),
    ),
    PodOverlay: (
        Rule(
            expression=(
                "!has(self.volumes) "
                "|| self.volumes.all(v, self.volumes.exists_one(other, other.mountPath == v.mountPath))"
            ),
            message="the mount paths of the volumes must differ",
            field=".volumes",
        ),
    ),
    Volume: (
        Rule(
            expression="[has(self.configMap), has(self.secret), has(self.claim), has(self.emptyDir)].exists_one(x, x)",
            message="a volume has exactly one of configMap, secret, claim and emptyDir",
        ),
    ),
    Scaling: (
        Rule(
            expression="!has(self.replicas) || !(has(self.minReplicas) || has(self.maxReplicas))",
            message=AUTOSCALED,
            field=".replicas",
        ),
        Rule(
            expression=("!has(self.external) || !self.external || !(has(self.minReplicas) || has(self.maxReplicas))"),
            message=AUTOSCALED,
            field=".external",
        ),
        Rule(
            expression=(
                "!has(self.external) || !self.external || has(self.replicas) "
                "|| has(self.minReplicas) || has(self.maxReplicas)"
            ),
            message="scaling.external needs it, as the size to start with",
            field=".replicas",
            missing=True,
        ),
        Rule(
            expression="!has(self.minReplicas) || has(self.maxReplicas)",
            message="minReplicas needs maxReplicas",
            field=".maxReplicas",
            missing=True,
        ),
        Rule(
            expression="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            message="minReplicas must not exceed maxReplicas",
            field=".minReplicas",
        ),
        _only_with("metrics", "maxReplicas", "metrics are for an autoscaler, which needs maxReplicas"),
        _only_with("behavior", "maxReplicas", "behavior is for an autoscaler, which needs maxReplicas"),
    ),
    Traffic: (
        Rule(
            expression=(
                "!has(self.gateway) || (has(self.hostnames) && self.hostnames.size() > 0) "
                "|| (has(self.path) && self.path != '/')"
            ),
            message="a gateway needs hostnames, or a path other than /, to tell this model from others",
            field=".hostnames",
            missing=True,
        ),
    ),
    Objective: (
        Rule(
            expression=("[has(self.errors), has(self.latency), has(self.query), has(self.template)].exists_one(x, x)"),
            message=ONE_KIND,
        ),
        Rule(
            expression=("!(has(self.query) || has(self.template)) || has(self.below) != has(self.above)"),
            message=ONE_BOUND,
            field=".below",
        ),
        Rule(
            expression="!(has(self.errors) || has(self.latency)) || !(has(self.below) || has(self.above))",
            message=NO_BOUND,
            field=".below",
        ),
        Rule(
            expression=f"!has(self.query) || self.query.matches(r'{QUERY}')",
            message=NO_VARIABLE,
            field=".query",
        ),
        _only_of_counts("relativeToStable"),
        _only_of_counts("minRequests"),
    ),
    Errors: (_percent("below"),),
    LatencyObjective: (_positive("below", optional=False),),
    Relative: (_percent("above", optional=True),),
    Step: (
        Rule(
            expression="has(self.weight) != has(self.approval)",
            message="a step has exactly one of weight and approval",
        ),
        _only_with("for", "weight", "for belongs to a step with a weight, not to an approval"),
        _only_with("replicas", "weight", "replicas belongs to a step with a weight, not to an approval"),
        _only_with("approvers", "approval", "approvers belongs to a step with an approval"),
        _only_with("timeout", "approval", "timeout belongs to a step with an approval"),
        _positive("timeout"),
    ),
    Rollout: (
        Rule(
            expression=("!has(self.steps) || self.steps.filter(s, has(s.weight)).map(s, s.weight).isSorted()"),
            message="the weights of the steps must not fall",
            field=".steps",
        ),
        Rule(
            # A weight after the last 100 is lighter, which is the rule above.
            expression=(
                "!has(self.steps) || self.steps.size() == 0 "
                "|| self.steps.filter(s, has(s.weight) && s.weight == 100).size() "
                "<= (has(self.steps[self.steps.size() - 1].weight) ? 1 : 0)"
            ),
            message="weight 100 may only be the last step: nothing is left to wait for after it",
            field=".steps",
        ),
        Rule(
            expression=(
                "!has(self.steps) || self.steps.filter(s, has(s.approval))"
                ".all(s, self.steps.exists_one(other, has(other.approval) && other.approval == s.approval))"
            ),
            message="the names of the approvals must differ",
            field=".steps",
        ),
    ),
    Deadlines: (_positive("schedule"), _positive("pull"), _positive("ready")),
    Watch: (_percent("keep", optional=True),),
}
"""The rules by the model that they belong to. ``self`` is an object of that model."""

NAMES: Mapping[type[BaseModel], Rule] = {
    ModelDeploymentSpec: Rule(
        expression=f"self.metadata.name.size() <= {NAME_LENGTH} && self.metadata.name.matches(r'{OBJECT_NAME}')",
        message=(
            f"the name has at most {NAME_LENGTH} characters, so that the names of its children fit: lower-case "
            "letters, digits and dashes, a letter first and no dash at the end"
        ),
        field=".metadata.name",
    ),
    ModelRuntimeSpec: Rule(
        expression=f"self.metadata.name.size() <= 63 && self.metadata.name.matches(r'{DNS_LABEL}')",
        message=(
            "the name has at most 63 characters, as runtime.name takes no longer one: lower-case letters, "
            "digits and dashes, no dash at either end"
        ),
        field=".metadata.name",
    ),
}
"""The rule for ``metadata.name`` of each kind, by its spec. ``self`` is the whole object."""
