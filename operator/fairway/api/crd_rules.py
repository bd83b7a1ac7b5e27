"""What one object can tell about itself, in CEL: the API server says it before the operator has to.

Each rule has a twin in the validators of the models, for objects stored under an older CRD. What
needs a second object (does the ModelRuntime exist?) or a cluster (can the router do it?) is no rule
but a condition.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from fairway.api.runtime import ModelRuntimeSpec
from fairway.api.spec import (
    Errors,
    ModelDeploymentSpec,
    Objective,
    Relative,
    Rollout,
    Runtime,
    Scaling,
    Traffic,
)
from fairway.api.types import DNS_LABEL, NAME_LENGTH, OBJECT_NAME, PERCENT


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


RULES: Mapping[type[BaseModel], Sequence[Rule]] = {
    Runtime: (
        Rule(
            expression="has(self.name) || has(self.image)",
            message="name a ModelRuntime in runtime.name or give an image",
            field=".image",
            missing=True,
        ),
        Rule(
            expression="has(self.name) || has(self.port)",
            message="without a ModelRuntime the port of the model server must be given",
            field=".port",
            missing=True,
        ),
    ),
    Scaling: (
        Rule(
            expression="!has(self.replicas) || !(has(self.minReplicas) || has(self.maxReplicas))",
            message="set either replicas, or minReplicas and maxReplicas for an autoscaler",
            field=".replicas",
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
            expression="has(self.errors) != has(self.latency)",
            message="an objective has exactly one of errors and latency",
        ),
    ),
    Errors: (_percent("below"),),
    Relative: (_percent("above", optional=True),),
    Rollout: (
        Rule(
            expression="!has(self.steps) || self.steps.map(step, step.weight).isSorted()",
            message="the weights of the steps must not fall",
            field=".steps",
        ),
        Rule(
            # A step after the last 100 is lighter, which is the rule above.
            expression="!has(self.steps) || self.steps.filter(step, step.weight == 100).size() <= 1",
            message="weight 100 may only be the last step",
            field=".steps",
        ),
    ),
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
